use super::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read by Debug")]
struct Sample {
    #[serde(default)]
    wait: Option<crate::units::Span>,
    #[serde(default)]
    item: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read by Debug")]
struct Item {
    id: String,
    #[serde(default)]
    size: u32,
}

#[test]
fn what_is_wrong_is_not_missing_too() {
    let found = problems("[[item]]\nid = 1\nsize = \"x\"\n[[item]]\nsize = 2\n[[item]]\nid = 3\n");
    let lines: Vec<_> = found.iter().map(|text| text.split(':').next().unwrap()).collect();
    let places = ["line 2, column 6", "line 3, column 8", "line 4, column 1", "line 7, column 6"];
    assert_eq!(lines, places, "{found:#?}");
    assert!(found[2].contains("'item' has no 'id', which it must have: id = \"name\""));
}

fn problems(text: &str) -> Vec<String> {
    parse::<Sample>(text).err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

#[test]
fn every_problem_is_reported_with_line_and_column() {
    let found = problems(
        "wiat = \"5s\"\nwait = \"5 s\"\n[[item]]\nid = \"a\"\nsize = \"big\"\n[[item]]\nsize = 1\n",
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with(
            "line 1, column 1: there is no key 'wiat' in the file: did you mean 'wait'?"
        ),
        "{found:#?}"
    );
    assert!(found[1].starts_with("line 2, column 8: wait: '5 s' is not a duration"), "{found:#?}");
    assert!(
        found[2].starts_with("line 5, column 8: item.size is text: write a whole number"),
        "{found:#?}"
    );
    assert!(found[3].starts_with("line 6, column 1: 'item' has no 'id'"), "{found:#?}");
}

#[test]
fn every_syntax_error_is_reported() {
    let found = problems("a = = 1\nb = \"x\nitem = []\n");
    assert!(found.len() >= 2, "{found:#?}");
}

#[test]
fn a_value_of_the_wrong_type_is_not_repeated() {
    let found = problems("item = \"tok-\\\"secret\"\n");
    assert!(!found[0].contains("secret"), "{found:#?}");
}

#[test]
fn a_later_check_can_point_at_an_entry() {
    let document = parse::<Sample>("[[item]]\nid = \"a\"\n[[item]]\nid = \"b\"\n").unwrap();
    let path = [PathStep::Key("item"), PathStep::Index(1), PathStep::Key("id")];
    assert_eq!(document.problem(&path, "taken").to_string(), "line 4, column 1: taken");
    let missing = [PathStep::Key("item"), PathStep::Index(0), PathStep::Key("size")];
    assert_eq!(document.problem(&missing, "absent").line, 1);
}

/// A text that can be broken in many ways.
const SAMPLE: &str =
    "wait = \"5s\"\n[[item]]\nid = \"a\"\nsize = 1\n[[item]]\nid = 'b'\nx.y = { z = [1, 2] }\n";

proptest::proptest! {
    #[test]
    fn no_text_is_too_wrong_to_be_told_of(
        at in 0..SAMPLE.len(), gone in 0..9_usize, put in "[\\[\\]{}=\"'a1. \\n]{0,4}",
    ) {
        let end = (at + gone).min(SAMPLE.len());
        let text = [&SAMPLE[..at], &put, &SAMPLE[end..]].concat();
        let reading = read::<Sample>(&text);
        proptest::prop_assert!(reading.document.is_some() || !reading.problems.is_empty());
        for problem in reading.problems {
            proptest::prop_assert!(problem.line >= 1 && problem.column >= 1, "{}", problem);
            proptest::prop_assert!(problem.line <= text.lines().count() + 1, "{}", problem);
        }
    }
}

#[test]
fn what_was_taken_out_is_hollow_and_its_neighbours_are_not() {
    let text = "wait = 5\n[[item]]\nid = 1\nsize = 2\n[[item]]\nid = \"b\"\n";
    let document = read::<Sample>(text).document.unwrap();
    let item = |at, key| [PathStep::Key("item"), PathStep::Index(at), PathStep::Key(key)];
    assert!(document.is_hollow(&[PathStep::Key("wait")]));
    assert!(document.is_hollow(&item(0, "id")));
    assert!(!document.is_hollow(&item(0, "size")));
    assert!(!document.is_hollow(&item(1, "id")));
    assert_eq!(document.value.item.len(), 2);
    assert_eq!(document.problem(&item(1, "id"), "").line, 6);
}

#[test]
fn a_good_file_is_parsed_again_only_when_a_place_is_asked_for() {
    let document = parse::<Sample>("[[item]]\nid = \"a\"\n").unwrap();
    let id = [PathStep::Key("item"), PathStep::Index(0), PathStep::Key("id")];
    assert!(!document.is_hollow(&id));
    assert!(document.root.get().is_none());
    let problem = document.problem(&id, "is wrong");
    assert_eq!((problem.line, problem.column), (2, 1));
}
