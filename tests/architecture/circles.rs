//! Circles between files: there is none.
//!
//! A file uses another when it names what the other defines: in a `use`, an expression or a macro.
//! A re-export leads on to the file that defines. `mod x;` and a bare name of a module are no use.
//! A file and its parents (`a/b.rs` and `a.rs`) may use each other, so one of these two ways is
//! left out. Each is left out once, so that no circle through a third file is missed.
//! Tests don't count, and calls of methods can't be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::modules::{LeftOut, Modules};

type Circle = BTreeSet<PathBuf>;

/// All files that this one leads to, itself included if it is part of a circle.
fn reachable(from: &PathBuf, uses: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for used in uses.get(file).into_iter().flatten() {
            if seen.insert(used.clone()) {
                next.push(used);
            }
        }
    }
    seen
}

/// The circles of a crate: groups of files each of which leads to all the others.
fn circles(modules: &Modules) -> BTreeSet<Circle> {
    let mut found = BTreeSet::new();
    for left_out in [LeftOut::Parents, LeftOut::Children] {
        let uses = modules.uses(left_out);
        let reach: BTreeMap<_, _> =
            uses.keys().map(|file| (file, reachable(file, &uses))).collect();
        for (file, ahead) in &reach {
            let back = |other: &&PathBuf| reach.get(other).is_some_and(|r| r.contains(*file));
            let circle: Circle = ahead.iter().filter(back).cloned().collect();
            if circle.len() > 1 {
                found.insert(circle);
            }
        }
    }
    found
}

/// The circles of a crate of these files, each a path below `src` and its code.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut modules = Modules::default();
    for (path, code) in files {
        let file = PathBuf::from("src").join(path);
        modules.add("src", file, &syn::parse_str(code).unwrap());
    }
    let name = |file: &PathBuf| file.strip_prefix("src").unwrap().display().to_string();
    circles(&modules).iter().map(|circle| circle.iter().map(name).collect()).collect()
}

#[test]
fn a_circle_is_found_through_imports_expressions_macros_and_re_exports() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; pub use d::D;"),
        ("a.rs", "use crate::b::{self, Other}; pub fn a() { b::go() }"),
        ("b.rs", "pub struct Other; pub fn go() { println!(\"{}\", super::c::C) }"),
        ("c.rs", "pub const C: u8 = 0; fn c(d: crate::D) {}"),
        ("d.rs", "use crate::a::*; pub struct D; fn d() { a() }"),
    ]);
    assert_eq!(found, [["a.rs", "b.rs", "c.rs", "d.rs"]]);
}

#[test]
fn a_file_and_its_parent_are_no_circle_but_one_that_leads_through_both_is() {
    let kin = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod child; pub struct A; fn a() { child::go() }"),
        ("a/child.rs", "pub fn go() -> super::A { super::A }"),
    ];
    let alone = ("b.rs", "pub fn b(a: crate::a::A) {}");
    assert!(circles_of(&[&kin[..], &[alone]].concat()).is_empty());
    let down = ("a/child.rs", "pub fn go() { crate::b::b() }");
    let found = circles_of(&[&kin[..2], &[down, alone]].concat());
    assert_eq!(found, [["a/child.rs", "a.rs", "b.rs"]]);
    let up = ("a.rs", "mod child; pub struct A; fn a() { crate::b::b() }");
    let back = ("b.rs", "pub fn b() { crate::a::child::go() }");
    let found = circles_of(&[kin[0], up, kin[2], back]);
    assert_eq!(found, [["a/child.rs", "a.rs", "b.rs"]]);
}

#[test]
fn tests_modules_and_names_of_modules_alone_are_no_use() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn a() {} use crate::b; #[cfg(test)] mod tests { use crate::b::b; }"),
        ("b.rs", "pub fn b() { crate::a::a() }"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn no_files_of_the_simulator_use_each_other_in_a_circle() {
    let found = circles(&Modules::read("simulator/src"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_files_of_the_gateway_use_each_other_in_a_circle() {
    let found = circles(&Modules::read("src"));
    assert!(found.is_empty(), "{found:#?}");
}
