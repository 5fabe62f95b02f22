//! What the scripts of the gate must say.

#[test]
fn the_gate_builds_with_the_versions_of_the_lock_file_only() {
    for script in [".ci/run", ".ci/coverage", "fuzz/run"] {
        let text = std::fs::read_to_string(script).unwrap();
        let cargo = text.lines().filter(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let builds =
                ["build", "test", "clippy", "doc", "bench", "run", "demo", "tree", "fetch"];
            words.windows(2).any(|two| two[0].ends_with("cargo") && builds.contains(&two[1]))
        });
        for line in cargo {
            assert!(line.contains("--locked"), "{script}: {line}");
        }
    }
}
