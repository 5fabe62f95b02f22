//! What operators change for a time: made, listed, ended.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Ask, Page};
use crate::audit::Deed;
use crate::call::Reply;
use crate::document::veiled;
use crate::error::{Code, Error};
use crate::local_reply::json;
use crate::overrides::{
    Act, CannotEnd, LONGEST_MS, Override, OverrideView, REASON, Spread, wall_ms,
};
use crate::runtime::State;
use crate::words::is_invisible;

/// For how long a purge is remembered, so that every replica learns of it.
const PURGE: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    act: Act,
    for_ms: u64,
    because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeWanted {
    connection: crate::ids::ConnectionId,
    #[serde(default)]
    tag: Option<std::sync::Arc<str>>,
    #[serde(default)]
    operation: Option<std::sync::Arc<str>>,
    because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    because: String,
}

#[derive(Serialize)]
struct Listed {
    overrides: Vec<OverrideView>,
}

#[derive(Serialize)]
struct Purged {
    purged: String,
    everywhere: bool,
}

/// Those that hold; with `all=1` also those that are over and still kept.
pub(super) fn list(state: &State, ask: &Ask) -> Page {
    let [all] = ask.query.only(["all"])?;
    let all = match all {
        None => false,
        Some("1") => true,
        Some(_) => return Err(Error::malformed("all must be 1, or left out")),
    };
    let now = wall_ms();
    let all = state.overrides().list(all);
    Ok(json(&Listed { overrides: all.iter().map(|known| OverrideView::of(known, now)).collect() }))
}

/// Makes one. It holds when this answers.
pub(super) async fn make(state: &State, ask: &Ask) -> Page {
    let wanted: Wanted = ask.read()?;
    let because = reason(&wanted.because)?;
    if !(1000..=LONGEST_MS).contains(&wanted.for_ms) {
        return Err(wrong("for_ms: write a length from 1000 (1 s) to 2592000000 (30 days)".into()));
    }
    if wanted.act.is_instant() {
        return Err(wrong("copies are forgotten once, with POST /api/purge".into()));
    }
    let act = state.checked(wanted.act).map_err(wrong)?;
    let life = Duration::from_millis(wanted.for_ms);
    let (made, known) = apply(state, ask, act, life, &because).await?;
    let mut reply = json(&OverrideView::of(&made, wall_ms()).known(known));
    *reply.status_mut() = StatusCode::CREATED;
    Ok(reply)
}

/// Forgets copies, here and on every replica.
pub(super) async fn purge(state: &State, ask: &Ask) -> Page {
    let PurgeWanted { connection, tag, operation, because } = ask.read()?;
    let because = reason(&because)?;
    if tag.is_some() && operation.is_some() {
        return Err(wrong("write a tag or an operation, not both".into()));
    }
    let act = state.checked(Act::Purge { connection, tag, operation }).map_err(wrong)?;
    let (made, known) = apply(state, ask, act, PURGE, &because).await?;
    Ok(json(&Purged { purged: made.act.to_string(), everywhere: known.everywhere }))
}

/// Ends one before its time.
pub(super) async fn end(state: &State, ask: &Ask) -> Page {
    let mut because = String::new();
    if !ask.document.is_empty() {
        because = reason(&ask.read::<Reason>()?.because)?;
    }
    let found = state.overrides().list(true).into_iter().find(|known| *known.id == *ask.part);
    let before = found.map(|known| state.present(&known.act));
    let ended = state.overrides().end(&ask.part, ask.operator.key.as_str()).map_err(|error| {
        let code = match error {
            CannotEnd::Unknown => Code::UnknownOverride,
            CannotEnd::Over => Code::OverrideOver,
        };
        Error::refused(code, error.to_string())
    })?;
    state.steer();
    say(state, Deed { because, before, ..ask.deed("end-override", "") }, &ended.act);
    let known = state.overrides().spread().await;
    Ok(view(&ended, known))
}

fn view(known: &Override, spread: Spread) -> Reply {
    json(&OverrideView::of(known, wall_ms()).known(spread))
}

async fn apply(
    state: &State,
    ask: &Ask,
    act: Act,
    life: Duration,
    because: &str,
) -> Result<(Override, Spread), Error> {
    let by = ask.operator.key.as_str();
    let before = Some(state.present(&act));
    let made = state.overrides().add(act, life, because, by).ok_or_else(|| {
        Error::refused(Code::Overloaded, "there are 1000 overrides of the last day: no more fit")
    })?;
    // It holds before it is written down: at once is what counts.
    state.steer();
    let word = if made.act.is_instant() { "purge" } else { "override" };
    say(state, Deed { because: because.to_owned(), before, ..ask.deed(word, "") }, &made.act);
    Ok((made, state.overrides().spread().await))
}

/// Says in the audit what became of what `act` changes.
fn say(state: &State, deed: Deed, act: &Act) {
    let told = |text: String| (!text.is_empty()).then_some(text);
    let (before, after) = (deed.before.and_then(told), told(state.present(act)));
    state.audit().done(Deed { what: act.to_string(), before, after, ..deed });
}

/// A reason is what people read later: one line, in which a secret is veiled.
pub(super) fn reason(because: &str) -> Result<String, Error> {
    let text = because.trim();
    match (1..=REASON).contains(&text.chars().count()) && !text.chars().any(is_invisible) {
        true => Ok(veiled(text.to_owned())),
        false => Err(wrong("because: write a reason, one line of 1 to 200 characters".into())),
    }
}

fn wrong(detail: String) -> Error {
    Error::refused(Code::MalformedRequest, detail)
}
