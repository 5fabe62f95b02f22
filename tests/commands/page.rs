//! The commands as documents.

use crate::port::program;

#[test]
fn the_page_of_commands_is_their_help() {
    let (path, text) = ("docs/commands.md", tollgate::cli::commands());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "{path} is old: UPDATE=1 cargo test --test commands");
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("whatif"), "{shell}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = std::env::temp_dir().join(format!("tollgate-man-{}", std::process::id()));
    let named = folder.to_str().unwrap();
    assert!(
        program(&["man", "--out", named]).env("TOLLGATE_ADMIN", "a:1").status().unwrap().success()
    );
    for page in
        ["tollgate.1", "tollgate-status.1", "tollgate-keys-revoke.1", "tollgate-cache-purge.1"]
    {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".TH") && !text.contains("a:1"), "{page}");
    }
    std::fs::remove_dir_all(folder).unwrap();
    let output = program(&["man"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(".TH tollgate 1"));
}
