//! The keys: who has them, until when, when they were used; and their end before their time.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::overrides::reason;
use super::{Ask, Page};
use crate::audit::Deed;
use crate::clock;
use crate::error::{Code, Error};
use crate::identity::{Revocation, Rights};
use crate::ids::KeyId;
use crate::local_reply::json;
use crate::revocations::MOST;
use crate::runtime::{KeyFacts, State};

#[derive(Serialize)]
struct Listed {
    keys: Vec<KeyView>,
}

/// One key.
#[derive(Serialize)]
struct KeyView {
    id: String,
    tenant: Option<String>,
    app: Option<String>,
    rights: &'static str,
    expires_at_ms: Option<u64>,
    last_used_at_ms: Option<u64>,
    revoked: Option<RevokedView>,
}

/// That a key was revoked.
#[derive(Serialize)]
struct RevokedView {
    at_ms: u64,
    by: String,
    because: String,
}

/// What became of an order.
#[derive(Serialize)]
struct Done {
    key: KeyView,
    words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    because: String,
}

/// All of them.
pub(super) fn list(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&Listed { keys: state.key_facts().iter().map(view).collect() }))
}

/// Refuses a key from now on.
pub(super) async fn revoke(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    let because = reason(&ask.read::<Order>()?.because)?;
    let key = KeyId::try_from(ask.part.clone()).map_err(Error::malformed)?;
    let unknown = || {
        let detail = format!("the configuration has no key '{}'", key.as_str());
        Error::refused(Code::MalformedRequest, detail)
    };
    let before = state.key_state(&key).ok_or_else(unknown)?;
    let revocations = state.revocations();
    if revocations.keys().load().count() >= MOST {
        let detail = "too many keys are revoked: take this one out of the configuration";
        return Err(Error::malformed(detail));
    }
    let what = format!("the key '{}' of {} is refused", key.as_str(), before.holder());
    let news = revocations.add(&[Revocation {
        key: key.clone(),
        print: before.key.sha256.print(),
        at_ms: millis(clock::wall()),
        by: ask.operator.key.as_str().to_owned(),
        because: because.clone(),
    }]);
    if news {
        state.audit().done(Deed { because, what: what.clone(), ..ask.deed("revoke-key", "") });
    }
    // It is refused already. Whoever asked hears when it is written down, or could not be.
    let written = revocations.write().await;
    let after = state.key_state(&key).ok_or_else(unknown)?;
    let forgets = match revocations.are_kept() && written {
        true => "",
        false => "; a restart forgets that: take it out of the configuration",
    };
    Ok(json(&Done { key: view(&after), words: format!("{what}{forgets}") }))
}

fn view(state: &KeyFacts) -> KeyView {
    let (tenant, app) = match &state.app {
        Some((tenant, app)) => (Some(tenant.to_string()), Some(app.to_string())),
        None => (None, None),
    };
    let rights = match state.rights {
        None => "app",
        Some(Rights::Read) => "read",
        Some(Rights::Change) => "change",
    };
    KeyView {
        id: state.key.id.as_str().to_owned(),
        tenant,
        app,
        rights,
        expires_at_ms: state.key.expires.map(millis),
        last_used_at_ms: state.last_used.map(millis),
        revoked: state.revoked.as_ref().map(|it| RevokedView {
            at_ms: it.at_ms,
            by: it.by.clone(),
            because: it.because.clone(),
        }),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
