//! Wrong configurations, and what is said of each: `wrong.txt` has them. `UPDATE=1` writes the answers
//! anew; they are for reading, since each must name what is wrong, where, and what would be right.

use std::fmt::Write as _;
use std::path::PathBuf;

use tollgate::config::Config;

use crate::scratch;

const FILE: &str = "tests/config/wrong.txt";
/// A tenant in which nothing is wrong.
const GOOD: &str = "[[tenant]]\nid = \"acme\"\n[[tenant.connection]]\nid = \"acme-prod\"\ntoken = @token\n[[tenant.app]]\nid = \"billing\"\nkeys = [@key]\n";
/// What no example has.
const HASH: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
/// Words of libraries, which say nothing to an operator.
const FOREIGN: [&str; 9] = [
    "struct",
    "sequence",
    "invalid type",
    "missing field",
    "unknown",
    "u32",
    "usize",
    "variant",
    "os error",
];
/// One of them stands in each message, before what would be right.
const RIGHT: [&str; 20] = [
    "write",
    "must",
    "did you mean",
    "use ",
    "leave",
    "put ",
    "begin with",
    "its keys",
    "has no",
    "or correct",
    "need",
    "name the",
    "would",
    "say ",
    "twice",
    "already",
    "name a",
    "give ",
    "shows ",
    "makes one",
];

/// What a case says after its names were put in, and the files that it names.
struct Case {
    written: String,
    text: String,
    files: Vec<(PathBuf, &'static str)>,
}

impl Case {
    fn of(written: &str) -> Self {
        let key = format!("{{ id = \"k1\", sha256 = \"{HASH}\" }}");
        let mut files = Vec::new();
        let mut text = written.replace("@good\n", GOOD).replace("@key", &key);
        for (name, contents) in [
            ("@token2", "tok-2"),
            ("@token", "tok-1"),
            ("@quoted", "\"tok-3\""),
            ("@spaced", "tok 4"),
            ("@bearer", "Bearer Bearer tok-5"),
            ("@empty", ""),
        ] {
            if text.contains(name) {
                let file = scratch(&name[1..], contents);
                text = text.replace(name, &format!("{{ file = '{}' }}", file.display()));
                files.push((file, name));
            }
        }
        let catalog = written.split_once("@catalog\n").map(|(_, catalog)| catalog);
        if let Some(catalog) = catalog {
            let file = scratch("catalog.toml", catalog);
            let rest = text.split_once("@catalog\n").map_or(String::new(), |(rest, _)| rest.into());
            text = rest.replace("@file", &file.display().to_string());
            files.push((file, "catalog.toml"));
        }
        Self { written: written.to_owned(), text, files }
    }

    /// Each problem and warning, with the names back in.
    fn said(&self) -> Vec<String> {
        let (problems, warnings) = match Config::parse(&self.text) {
            Ok(config) => (Vec::new(), config.warnings),
            Err(found) => (found.problems, found.warnings),
        };
        // How many descriptors there are is the machine's business.
        let warnings = warnings.iter().filter(|it| !it.message.contains("file descriptors"));
        let said: Vec<_> = problems
            .iter()
            .map(|problem| problem.at("x.toml"))
            .chain(warnings.map(|warning| warning.warning("x.toml")))
            .collect();
        let name = |text: String| {
            self.files
                .iter()
                .fold(text, |text, (file, name)| text.replace(&file.display().to_string(), name))
        };
        said.into_iter().map(name).collect()
    }
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(FILE).unwrap();
    let blocks = text.split("\n----\n").map(|block| {
        let lines = block.lines().filter(|line| !line.starts_with("=> "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    });
    blocks.map(|block| Case::of(&block)).collect()
}

#[test]
fn each_wrong_configuration_is_told_what_where_and_what_would_be_right() {
    let cases = cases();
    assert!(cases.len() >= 112, "only {} cases", cases.len());
    let (mut whole, mut poor) = (Vec::new(), Vec::new());
    for case in &cases {
        let said = case.said();
        let mut block = case.written.clone();
        for line in &said {
            let _ = writeln!(block, "=> {line}");
            let place = line.split(": ").next().unwrap();
            let good = FOREIGN.iter().all(|word| !line.contains(word))
                && RIGHT.iter().any(|word| line.contains(word))
                && place.matches(':').count() == 2;
            poor.extend((!good).then(|| line.clone()));
        }
        poor.extend(said.is_empty().then(|| case.text.clone()));
        whole.push(block.trim_end().to_owned());
    }
    let whole = whole.join("\n----\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &whole).unwrap();
    }
    assert!(poor.is_empty(), "{poor:#?}");
    let there = std::fs::read_to_string(FILE).unwrap();
    for (there, now) in there.split("----").zip(whole.split("----")) {
        assert_eq!(there, now, "{FILE}: UPDATE=1 writes it anew");
    }
}

#[test]
fn a_wrong_entry_hides_no_other_one_and_is_reported_once() {
    let text = "[server]\nlisten = 8080\n[vendor]\nbase_url = \"http://courier.example\"\n[[tenant]]\nid = \"Acme Inc.\"\n\
                [[tenant.connection]]\nid = \"c\"\ntoken = \"tok\"\n[tenant.connection.quota]\ncalls = 0\n\
                [[tenant.app]]\nid = \"a\"\nkeys = [{ id = \"k1\" }, 7]\nscopes = [\"brand\"]\nweight = 0\nlane = \"bulky\"\n";
    let problems = Config::parse(text).err().unwrap().problems;
    let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
    let wanted =
        [(2, 10), (4, 1), (6, 6), (9, 9), (11, 1), (14, 9), (14, 24), (15, 11), (16, 1), (17, 8)];
    assert_eq!(places, wanted, "{problems:#?}");
}
