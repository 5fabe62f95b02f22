//! Every problem of a configuration has its place and one line of words, whatever the file holds, and
//! none repeats what stands where only a secret or a number should.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tollgate::config::{Look, check};

/// What the seeds have in the place of secrets.
const SECRET: &str = "SeCrEt";

/// More than anybody reads; the document stops at 200.
const MOST: usize = 1000;

/// `check` takes a file.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("tollgate-fuzz-{}.toml", std::process::id()))
});

fuzz_target!(|text: &str| {
    // Catalogues and roots are other files, whichever the text names.
    if ["catalog", "ca_file"].iter().any(|key| text.contains(key))
        || std::fs::write(&*FILE, text).is_err()
    {
        return;
    }
    let problems = match check(&FILE, Look::FILE) {
        Ok(good) => good.warnings,
        Err(error) => {
            assert!(!error.findings.problems.is_empty(), "refused, and nothing is wrong");
            error.findings.problems
        }
    };
    assert!(problems.len() < MOST, "{}", problems.len());
    for problem in &problems {
        placed(text, problem.line, problem.column, &problem.message);
        assert!(
            !problem.message.contains(SECRET) || !only_in_place_of_secrets(text),
            "repeats a secret: {problem}"
        );
    }
});

fn placed(text: &str, line: usize, column: usize, message: &str) {
    assert!(!message.trim().is_empty(), "no words at {line}:{column}");
    assert!(!message.contains('\n'), "more than a line: {message:?}");
    assert!(line >= 1, "nowhere: {message}");
    let there = text.split('\n').nth(line - 1).map(|there| there.chars().count());
    let there = there.unwrap_or_else(|| panic!("{line}:{column} is behind the file: {message}"));
    assert!((1..=there + 1).contains(&column), "{line}:{column} is behind its line: {message}");
}

/// Whether each secret is the value of a key that takes a reference, a hash, a number or a switch.
fn only_in_place_of_secrets(text: &str) -> bool {
    const KEYS: [&str; 6] = ["token", "calls", "burst", "sha256", "enabled", "make_keys"];
    text.lines().filter(|line| line.contains(SECRET)).all(|line| {
        let Some((key, value)) = line.split_once('=') else { return false };
        let value = value.trim();
        let plain = value.len() > 2 && value.starts_with('"') && value.ends_with('"');
        KEYS.contains(&key.trim()) && plain && !value[1..value.len() - 1].contains(['"', '\\'])
    })
}
