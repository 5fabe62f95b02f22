//! One word a thing: no two types that are seen beyond their file share a name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Item, Visibility};

use super::{parse, rust_files};

/// Types of a file that others may name, those of inline modules too.
fn types(items: &[Item], into: &mut Vec<String>) {
    for item in items {
        let (visibility, name) = match item {
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            Item::Union(item) => (&item.vis, &item.ident),
            Item::Mod(module) if module.ident != "tests" => {
                types(module.content.as_ref().map_or(&[], |(_, items)| items), into);
                continue;
            }
            _ => continue,
        };
        if !matches!(visibility, Visibility::Inherited) {
            into.push(name.to_string());
        }
    }
}

fn is_of_tests(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || ["tests.rs", "testing.rs"].iter().any(|name| path.ends_with(name))
}

#[test]
fn no_two_types_that_are_seen_beyond_their_file_share_a_name() {
    for folder in ["src", "simulator/src"] {
        let mut homes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in rust_files(folder).into_iter().filter(|path| !is_of_tests(path)) {
            let mut names = Vec::new();
            types(&parse(&path).items, &mut names);
            for name in names {
                homes.entry(name).or_default().push(path.clone());
            }
        }
        assert!(homes.len() > 30, "only {} types seen in {folder}", homes.len());
        homes.retain(|_, files| files.len() > 1);
        assert!(homes.is_empty(), "{homes:#?}");
    }
}
