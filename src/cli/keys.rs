//! `tollgate keys new`.

use std::process::ExitCode;

use crate::identity::NewKey;
use crate::ids::{AppId, KeyId, RandomId};
use crate::terminal::{complain, say};

/// Prints a new key and its entry for the configuration.
pub(super) fn new(app: &str, id: Option<String>) -> ExitCode {
    let app = match app.parse::<AppId>() {
        Ok(app) => app,
        Err(message) => return usage("--app", &message),
    };
    let id = id.unwrap_or_else(|| RandomId::new().to_string()[..8].to_owned());
    let id = match KeyId::try_from(id) {
        Ok(id) => id,
        Err(message) => return usage("--id", message),
    };
    let key = NewKey::generate(&id);
    say(&format!("The key for '{app}', shown this once:\n\n  {}\n", key.text));
    say(&format!(
        "Its entry in the configuration, under the app:\n\n  keys = [{{ id = \"{}\", sha256 = \"{}\" }}]",
        id.as_str(),
        key.sha256
    ));
    ExitCode::SUCCESS
}

fn usage(option: &str, message: &str) -> ExitCode {
    complain(&format!("{option}: {message}"));
    ExitCode::from(2)
}
