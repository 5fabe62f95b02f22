//! The configuration is read again because somebody says so.

use serde::{Deserialize, Serialize};

use super::overrides::reason;
use super::{Ask, Page};
use crate::audit::Deed;
use crate::error::{Code, Error};
use crate::local_reply::json;
use crate::runtime::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadWanted {
    because: String,
}

#[derive(Serialize)]
struct Reloaded {
    reloaded: bool,
    warnings: Vec<String>,
}

/// As SIGHUP does. A file that is wrong changes nothing.
pub(super) async fn reload(state: &State, ask: &Ask) -> Page {
    let wanted: ReloadWanted = ask.read()?;
    let because = reason(&wanted.because)?;
    let deed = Deed { because, ..ask.deed("reload", "the configuration was read again") };
    let state = state.clone();
    // It is on record also if whoever asked is gone by then.
    let reloading = tokio::spawn(async move {
        let ended = state.reload().await;
        if let Some(Ok(_)) = &ended {
            state.audit().done(deed);
        }
        ended
    });
    let ended = reloading.await.ok().flatten().ok_or_else(|| {
        let detail = "a reload is under way already, or this gateway has no file to read";
        Error::refused(Code::Overloaded, detail)
    })?;
    let warnings = ended.map_err(|problems| {
        Error::refused(Code::ReloadRefused, format!("nothing is changed: {}", problems.join("; ")))
    })?;
    Ok(json(&Reloaded { reloaded: true, warnings }))
}
