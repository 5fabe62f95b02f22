//! `tollgate keys new`.

use std::process::ExitCode;

use crate::identity::NewKey;
use crate::ids::{AppId, KeyId, RandomId};
use crate::terminal::{complain, say};

/// Prints a new key of `app`, or of an operator, and its entry for the configuration.
pub(super) fn new(app: Option<&str>, id: Option<String>) -> ExitCode {
    let app = match app.map(str::parse::<AppId>).transpose() {
        Ok(app) => app,
        Err(message) => return usage("--app", &message),
    };
    let id = id.unwrap_or_else(|| RandomId::new().to_string()[..8].to_owned());
    let id = match KeyId::try_from(id) {
        Ok(id) => id,
        Err(message) => return usage("--id", message),
    };
    let key = NewKey::generate(&id);
    let (whose, place, rights) = match app {
        Some(app) => (format!("'{app}'"), "the app", ""),
        None => ("the admin port".to_owned(), "[admin]", ", rights = \"read\""),
    };
    say(&format!("The key for {whose}, shown this once:\n\n  {}\n", key.text));
    say(&format!(
        "Its entry in the configuration, under {place}:\n\n  keys = [{{ id = \"{}\", sha256 = \"{}\"{rights} }}]",
        id.as_str(),
        key.sha256
    ));
    ExitCode::SUCCESS
}

fn usage(option: &str, message: &str) -> ExitCode {
    complain(&format!("{option}: {message}"));
    ExitCode::from(2)
}
