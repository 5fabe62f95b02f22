//! The modules of a crate: which file holds them, what they define, and what their names stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// A path of names: of a module from the crate's root, or of anything as the code writes it.
pub(crate) type Names = Vec<String>;

/// More steps from one name to the next than any honest chain of re-exports has.
const STEPS: usize = 32;

/// One module: a file, or a block within one.
#[derive(Default)]
struct Module {
    file: PathBuf,
    /// Types, traits and macros that it defines itself.
    types: BTreeSet<String>,
    /// Functions, constants and statics that it defines itself; no path goes on behind them.
    values: BTreeSet<String>,
    /// The names that `use` brings in, and the paths they stand for.
    imports: BTreeMap<String, Names>,
    /// The paths of `use path::*`.
    globs: Vec<Names>,
    /// Paths that the code names, each as written.
    paths: BTreeSet<Names>,
}

/// A crate's modules by their paths, without those of tests.
#[derive(Default)]
pub(crate) struct Modules(BTreeMap<Names, Module>);

/// Uses between a file and the files of the modules that it lies in, of which one way is left out.
#[derive(Clone, Copy)]
pub(crate) enum LeftOut {
    /// A file uses its parents.
    Parents,
    /// A file uses what lies below it.
    Children,
}

impl Modules {
    /// Reads the crate whose root is `lib.rs` in `folder`. A program's `main.rs` is no part of it.
    pub(crate) fn read(folder: &str) -> Self {
        let mut modules = Self::default();
        for file in super::rust_files(folder) {
            let code = super::parse(&file);
            modules.add(folder, file, &code);
        }
        modules
    }

    /// Adds the code of a file of the crate in `folder`.
    pub(crate) fn add(&mut self, folder: &str, file: PathBuf, code: &syn::File) {
        let path = module_path(file.strip_prefix(folder).unwrap());
        if !path.iter().any(|name| name == "tests" || name == "main") {
            let mut reader = Reader { modules: self, file, path };
            reader.enter();
            reader.visit_file(code);
        }
    }

    /// The files that each file uses.
    pub(crate) fn uses(&self, left_out: LeftOut) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        let mut uses: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for (path, module) in &self.0 {
            for named in module.paths.iter().chain(module.imports.values()).chain(&module.globs) {
                let Some(definer) = self.definer(path, named, STEPS) else {
                    continue;
                };
                let used = &self.0[&definer].file;
                let kin = match left_out {
                    LeftOut::Parents => path.starts_with(&definer),
                    LeftOut::Children => definer.starts_with(path),
                };
                if *used != module.file && !kin {
                    uses.entry(module.file.clone()).or_default().insert(used.clone());
                }
            }
        }
        uses
    }

    /// The module that defines what `named` stands for in the module `from`.
    ///
    /// `None` if that is another crate's, or a module.
    fn definer(&self, from: &Names, named: &[String], steps: usize) -> Option<Names> {
        let steps = steps.checked_sub(1)?;
        let (mut module, mut rest) = (from.clone(), named);
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                _ => break,
            }
            rest = after;
        }
        loop {
            let [name, after @ ..] = rest else {
                return None;
            };
            let mut child = module.clone();
            child.push(name.clone());
            let here = self.0.get(&module)?;
            if self.0.contains_key(&child) {
                (module, rest) = (child, after);
            } else if here.types.contains(name) || (after.is_empty() && here.values.contains(name))
            {
                return Some(module);
            } else if let Some(path) = here.imports.get(name) {
                let whole: Names = path.iter().chain(after).cloned().collect();
                // A crate's name that is imported under itself would be looked up for ever.
                return (whole != rest).then(|| self.definer(&module, &whole, steps)).flatten();
            } else {
                return here.globs.iter().find_map(|glob| {
                    let whole: Names = glob.iter().chain(rest).cloned().collect();
                    self.definer(&module, &whole, steps)
                });
            }
        }
    }
}

/// `quota/queue.rs` holds the module `quota::queue`.
fn module_path(below: &Path) -> Names {
    let mut names: Names = below
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if names.last().is_some_and(|last| last == "lib" || last == "mod") {
        names.pop();
    }
    names
}

/// Walks through one file and notes what its modules define, import and name.
struct Reader<'a> {
    modules: &'a mut Modules,
    file: PathBuf,
    path: Names,
}

impl Reader<'_> {
    fn enter(&mut self) {
        self.here().file = self.file.clone();
    }

    fn here(&mut self) -> &mut Module {
        self.modules.0.entry(self.path.clone()).or_default()
    }

    fn import(&mut self, tree: &syn::UseTree, mut path: Names) {
        match tree {
            syn::UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.import(&next.tree, path);
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.here().imports.insert(path.last().cloned().unwrap_or_default(), path);
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.here().imports.insert(name.ident.to_string(), path);
            }
            syn::UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.here().imports.insert(name.rename.to_string(), path);
            }
            syn::UseTree::Glob(_) => self.here().globs.push(path),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone()));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).iter().any(is_for_tests) {
            return;
        }
        match item {
            syn::Item::Const(_) | syn::Item::Fn(_) | syn::Item::Static(_) => {
                self.here().values.extend(defined(item));
            }
            _ => self.here().types.extend(defined(item)),
        }
        match item {
            syn::Item::Use(import) => self.import(&import.tree, Names::new()),
            syn::Item::Mod(module) if module.content.is_some() => {
                self.path.push(module.ident.to_string());
                self.enter();
                syn::visit::visit_item_mod(self, module);
                self.path.pop();
            }
            _ => syn::visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.here().paths.insert(names);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What a macro takes need not be Rust, so only names joined by `::` are looked for.
        let text = call.tokens.to_string().replace(" :: ", "::");
        let other = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
        let paths = text.split(other).filter(|word| word.contains("::"));
        let names = paths.map(|path| path.split("::").map(str::to_owned).collect::<Names>());
        self.here().paths.extend(names);
        syn::visit::visit_macro(self, call);
    }
}

/// What an item puts into its module's names.
fn defined(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, and only that: `#[cfg(not(test))]` is code that ships.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}
