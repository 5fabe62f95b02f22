//! `tollgate keys`: keys are made here; those of a running gateway are listed and revoked.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::reason;
use super::admin::{AdminArgs, Question, tell};
use super::text::{clean, moment, table};
use crate::identity::NewKey;
use crate::ids::{AppId, KeyId, RandomId};
use crate::terminal::{complain, say};

#[derive(clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key. It is printed once, with its entry for the configuration.
    New {
        /// The application that will use it.
        #[arg(long, required_unless_present = "admin")]
        app: Option<String>,
        /// Make a key for an operator, for the admin port.
        #[arg(long, conflicts_with = "app")]
        admin: bool,
        /// What the operator may do: look, or change something, too.
        #[arg(long, value_name = "RIGHTS", requires = "admin", default_value = "read", value_parser = ["read", "change"])]
        rights: String,
        /// The public part of the key, a-z and 0-9 [default: random].
        #[arg(long)]
        id: Option<String>,
    },
    /// List the keys of a running gateway: whose they are, when they expire and were last used.
    List {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Revoke a key at once, for good.
    Revoke {
        /// The public part of the key.
        #[arg(value_parser = key_id)]
        id: KeyId,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        because: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    keys: Vec<Row>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    id: String,
    tenant: Option<String>,
    app: Option<String>,
    rights: String,
    expires_at_ms: Option<u64>,
    last_used_at_ms: Option<u64>,
    revoked: Option<Revoked>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Revoked {
    at_ms: u64,
    by: String,
    because: String,
}

pub(super) fn run(command: KeysCommand) -> ExitCode {
    match command {
        KeysCommand::New { app, admin: _, rights, id } => new(app.as_deref(), &rights, id),
        KeysCommand::List { admin } => {
            tell(&admin, &Question::get("/api/keys"), |listed: Listed| list(&listed))
        }
        KeysCommand::Revoke { id, because, admin } => {
            let path = format!("/api/keys/{}/revoke", id.as_str());
            let question = Question::post(path, json!({ "because": because }));
            tell(&admin, &question, |_: Value| {
                format!("the key '{}' is revoked; take its entry out of the file too", id.as_str())
            })
        }
    }
}

fn list(listed: &Listed) -> String {
    let heads = ["key", "of", "rights", "last used", "expires", ""];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let or = |at: Option<u64>| at.map_or_else(|| "never".into(), moment);
    rows.extend(listed.keys.iter().map(|key| {
        let of = match (&key.tenant, &key.app) {
            (Some(tenant), Some(app)) => format!("{}/{}", clean(tenant), clean(app)),
            _ => "admin port".into(),
        };
        let revoked = key.revoked.as_ref().map(|it| {
            format!("revoked {} by {}: {}", moment(it.at_ms), clean(&it.by), clean(&it.because))
        });
        vec![
            clean(&key.id),
            of,
            clean(&key.rights),
            or(key.last_used_at_ms),
            or(key.expires_at_ms),
            revoked.unwrap_or_default(),
        ]
    }));
    table(&rows)
}

/// Prints a new key of `app`, or of an operator, and its entry for the configuration.
fn new(app: Option<&str>, rights: &str, id: Option<String>) -> ExitCode {
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
        Some(app) => (format!("'{app}'"), "the app", String::new()),
        None => ("the admin port".to_owned(), "[admin]", format!(", rights = \"{rights}\"")),
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

fn key_id(text: &str) -> Result<KeyId, &'static str> {
    KeyId::try_from(text.to_owned())
}
