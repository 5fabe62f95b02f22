//! The README names everything that can be chosen, and its script is a valid one.

use serde_json::json;
use simulator::{Answer, Effect, Latency, Options, Switches, When, Wire};

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

/// The names that a tagged enum takes, as its own error tells them.
fn kinds<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let error = serde_json::from_str::<T>(r#"{"kind":"?"}"#).err().map(|e| e.to_string());
    let names: Vec<_> =
        error.unwrap_or_default().split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(names.len() > 3, "{names:?}");
    names
}

#[test]
fn every_answer_wire_fault_and_latency_is_in_the_readme() {
    let all = [kinds::<Answer>(), kinds::<Wire>(), kinds::<Latency>()].concat();
    for name in all {
        assert!(README.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn every_option_is_in_the_readme() {
    for name in json!(Options::default()).as_object().unwrap().keys() {
        assert!(README.contains(name.as_str()), "{name}");
    }
}
