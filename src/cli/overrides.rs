//! `tollgate overrides`: the changes for a time that are in force, and how one is ended.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::admin::{AdminArgs, Question, asked, tell};
use super::documents::{SeenOverride, SeenOverrides};
use super::failed;
use super::text::{clean, long};
use crate::terminal::complain;

/// The arguments of `overrides`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct OverridesArgs {
    #[command(subcommand)]
    command: Option<End>,
    /// Also those that have ended, as far as they are kept.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(clap::Subcommand)]
enum End {
    /// End one before its time.
    End {
        /// Its id, as `tollgate overrides` lists it.
        id: String,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        because: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// Lists them, or ends one.
pub(super) fn run(args: &OverridesArgs) -> ExitCode {
    if let Some(End::End { id, because, admin }) = &args.command {
        return end(admin, id, because.as_deref());
    }
    let question =
        Question::get("/api/overrides").with([("all", args.all.then(|| "1".to_owned()))]);
    tell(&args.admin, &question, |seen: SeenOverrides| match seen.overrides.is_empty() {
        true => "nothing is overridden".into(),
        false => seen.overrides.iter().map(line).collect::<Vec<_>>().join("\n"),
    })
}

/// Ends the override of that id.
fn end(admin: &AdminArgs, id: &str, because: Option<&str>) -> ExitCode {
    let Some(question) = ending(id, because) else {
        complain(&format!("'{}' is no id of an override", clean(id)));
        return ExitCode::from(super::USAGE);
    };
    tell(admin, &question, |ended: SeenOverride| line(&ended))
}

/// The question that ends the override `id`; none if no id is like that.
pub(super) fn ending(id: &str, because: Option<&str>) -> Option<Question> {
    let fits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let document = because.map(|because| json!({ "because": because }));
    fits.then(|| Question::delete(format!("/api/overrides/{id}"), document))
}

/// Ends the override whose act has all members of `act`.
pub(super) fn end_matching(admin: &AdminArgs, act: &Value, because: Option<&str>) -> ExitCode {
    let found = match asked(admin, &Question::get("/api/overrides")) {
        Ok(body) => serde_json::from_slice::<SeenOverrides>(&body),
        Err(code) => return code,
    };
    let overrides = match found {
        Ok(seen) => seen.overrides,
        Err(error) => return failed(&error),
    };
    match &*matching(&overrides, act) {
        [] => {
            complain("there is nothing to end: `tollgate overrides` lists what is in force");
            ExitCode::FAILURE
        }
        [one] => end(admin, &one.id, because),
        several => {
            several.iter().for_each(|one| complain(&line(one)));
            complain("several fit: say --tenant, or name one to `tollgate overrides end`");
            ExitCode::FAILURE
        }
    }
}

/// Those whose act has all members of `act`. A connection that `act` does not name must not be
/// there either: it stands for more than one.
fn matching<'a>(overrides: &'a [SeenOverride], act: &Value) -> Vec<&'a SeenOverride> {
    let members = act.as_object().into_iter().flatten();
    let fits = |it: &&SeenOverride| {
        let mut all = members.clone().all(|(name, value)| it.act.get(name) == Some(value));
        all &= it.act["connection"].is_null() == act["connection"].is_null();
        all && it.ended.is_none()
    };
    overrides.iter().filter(fits).collect()
}

/// One line for each.
pub(super) fn line(it: &SeenOverride) -> String {
    let left = match &it.ended {
        Some(ended) => clean(ended),
        None => format!("{} left", long(it.left_ms)),
    };
    let mut text = format!("{}  {}  {left}", clean(&it.id), clean(&it.words));
    text += &format!("  {}: {}", clean(&it.by), clean(&it.because));
    if it.everywhere == Some(false) {
        text += "  (other replicas don't know it yet)";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(act: Value) -> SeenOverride {
        SeenOverride { act, ..SeenOverride::default() }
    }

    #[test]
    fn a_pause_is_found_by_what_it_pauses_and_by_nothing_else() {
        let all = [
            of(json!({ "kind": "pause-app", "tenant": "a", "app": "x" })),
            of(json!({ "kind": "pause-app", "tenant": "b", "app": "x" })),
            of(json!({ "kind": "lane", "tenant": "a", "app": "x", "lane": "bulk" })),
            of(json!({ "kind": "pause-operation", "operation": "o", "connection": "c" })),
            of(json!({ "kind": "pause-operation", "operation": "o" })),
        ];
        let found = |act: Value| matching(&all, &act).len();
        assert_eq!(found(json!({ "kind": "pause-app", "app": "x" })), 2);
        assert_eq!(found(json!({ "kind": "pause-app", "app": "x", "tenant": "b" })), 1);
        assert_eq!(found(json!({ "kind": "pause-operation", "operation": "o" })), 1);
        let one = json!({ "kind": "pause-operation", "operation": "o", "connection": "c" });
        assert_eq!(found(one), 1);
        assert_eq!(found(json!({ "kind": "pause-app", "app": "y" })), 0);
    }

    #[test]
    fn an_id_that_is_a_path_is_no_id() {
        assert!(ending("k3f9x2", None).is_some());
        for id in ["", "../reload", "a/b", "a?b", "a b"] {
            assert!(ending(id, None).is_none(), "{id}");
        }
    }
}
