//! The shape of the code: which module may import which, and how long files and functions may be.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod circles;
mod modules;
mod names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Modules from the ground up: a module imports only from lower layers, or from itself.
const LAYERS: &[&[&str]] = &[
    &["digits", "hex", "words", "targets"],
    &[
        "address",
        "clock",
        "descriptors",
        "headers",
        "hosts",
        "ids",
        "numbers",
        "paths",
        "secret",
        "terminal",
        "tls",
        "units",
        "document",
    ],
    &["error"],
    &["proof"],
    &["catalog"],
    &["quota"],
    &["record", "call"],
    &["detached", "single_flight", "identity", "telemetry", "local_reply"],
    &["shared"],
    &["admission", "audit", "history", "overrides", "revocations", "usage"],
    &["cache", "live", "upstream"],
    &["breaker", "credentials", "idempotency", "retry"],
    &["ingress", "me", "server"],
    &["config"],
    &["wiring", "runtime", "pipeline", "admin"],
    &["app"],
    &["demo"],
    &["cli"],
];

/// Modules that may read the configuration.
const READ_CONFIG: &[&str] = &["app", "wiring", "runtime", "pipeline", "cli", "demo", "config"];

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The crate's modules that a file names, as `crate::x`.
#[derive(Default)]
struct Imports {
    modules: BTreeSet<String>,
    depth_of_tests: usize,
}

impl Imports {
    fn note(&mut self, first: &syn::Ident, second: Option<String>) {
        if first == "crate" && self.depth_of_tests == 0 {
            self.modules.extend(second);
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let tests = module.ident == "tests";
        self.depth_of_tests += usize::from(tests);
        syn::visit::visit_item_mod(self, module);
        self.depth_of_tests -= usize::from(tests);
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        match &*path.tree {
            syn::UseTree::Path(next) => self.note(&path.ident, Some(next.ident.to_string())),
            syn::UseTree::Name(next) => self.note(&path.ident, Some(next.ident.to_string())),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    if let syn::UseTree::Path(next) = tree {
                        self.note(&path.ident, Some(next.ident.to_string()));
                    }
                    if let syn::UseTree::Name(next) = tree {
                        self.note(&path.ident, Some(next.ident.to_string()));
                    }
                }
            }
            _ => {}
        }
        syn::visit::visit_use_path(self, path);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if let (Some(first), second) = (segments.next(), segments.next()) {
            self.note(&first.ident, second.map(|segment| segment.ident.to_string()));
        }
        syn::visit::visit_path(self, path);
    }
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("module '{module}' has no place in LAYERS"))
}

/// `src/ingress/route.rs` belongs to the module `ingress`.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut checked = 0;
    for path in rust_files("src") {
        let module = module_of(&path);
        if module == "main" || module == "lib" {
            continue;
        }
        let mut imports = Imports::default();
        imports.visit_file(&parse(&path));
        for import in imports.modules.iter().filter(|import| **import != module) {
            // `record` and `call` know each other, as do `runtime` and `pipeline`: one layer.
            let fine = layer(import) < layer(&module)
                || (layer(import) == layer(&module)
                    && [
                        "record", "call", "wiring", "runtime", "pipeline", "admin", "secret",
                        "document", "headers",
                    ]
                    .contains(&module.as_str()));
            assert!(fine, "{} imports {import}, which is not below it", path.display());
            let reads = import == "config";
            assert!(
                !reads || READ_CONFIG.contains(&module.as_str()),
                "{} reads the configuration",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} imports seen: does the visitor still work?");
}

#[test]
fn the_server_knows_no_domain_type() {
    let server = rust_files("src/server").into_iter().chain([PathBuf::from("src/server.rs")]);
    for path in server {
        let mut imports = Imports::default();
        imports.visit_file(&parse(&path));
        let allowed = ["error", "clock", "server", "proof"];
        for import in &imports.modules {
            assert!(
                allowed.contains(&import.as_str()),
                "{}: server knows {import}",
                path.display()
            );
        }
    }
}

/// The longest function of a file, in lines of its body.
#[derive(Default)]
struct Longest {
    name: String,
    lines: usize,
    parameters: usize,
}

impl Longest {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        use syn::spanned::Spanned;
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        if lines > self.lines {
            (self.lines, self.name) = (lines, signature.ident.to_string());
        }
        self.parameters = self.parameters.max(signature.inputs.len());
    }
}

impl<'ast> Visit<'ast> for Longest {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn files_and_functions_stay_short() {
    let folders = ["src", "tests", "simulator/src", "simulator/tests"];
    let existing = folders.iter().filter(|folder| Path::new(folder).exists());
    let mut long = Vec::new();
    for path in existing.flat_map(|folder| rust_files(folder)) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let mut longest = Longest::default();
        longest.visit_file(&parse(&path));
        let Longest { name, lines: body, parameters } = longest;
        if lines > 500 || body > 60 || parameters > 6 {
            let path = path.display();
            long.push(format!(
                "{path}: {lines} lines; {name} has {body}; a function has {parameters} parameters"
            ));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}
