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
    reason(&wanted.because)?;
    let ended = state.reload().await.ok_or_else(|| {
        let detail = "a reload is under way already, or this gateway has no file to read";
        Error::refused(Code::Overloaded, detail)
    })?;
    let warnings = ended.map_err(|problems| {
        Error::refused(Code::ReloadRefused, format!("nothing is changed: {}", problems.join("; ")))
    })?;
    let deed = ask.deed("reload", "the configuration was read again");
    state.audit().done(Deed { because: wanted.because, ..deed });
    Ok(json(&Reloaded { reloaded: true, warnings }))
}
