//! The README names everything that can be chosen, and its script is a valid one.

use serde_json::json;
use simulator::{Effect, Options, Switches, When};

const README: &str = include_str!("../../README.md");

#[test]
fn the_script_in_the_readme_is_accepted() {
    let script =
        README.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let options = Options::from_json(script).unwrap();
    assert_eq!((options.faults.len(), options.tokens.len()), (2, 2));
}

#[test]
fn every_script_that_is_shipped_is_accepted() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!Options::from_json(&text).unwrap().faults.is_empty());
    }
}

#[test]
fn every_switch_condition_and_effect_is_in_the_readme() {
    for fields in [json!(Switches::default()), json!(When::default()), json!(Effect::default())] {
        for name in fields.as_object().unwrap().keys() {
            assert!(README.contains(&format!("`{name}`")), "{name}");
        }
    }
}
