//! What operators did, and what was refused.

use std::sync::Arc;

use serde::Serialize;

use super::{Ask, Page};
use crate::audit::AuditLine;
use crate::error::Error;
use crate::local_reply::json;
use crate::runtime::State;

/// Lines that are told, unless fewer or more are asked for.
const TOLD: usize = 100;
/// The most that are told.
const MOST: usize = 1000;

#[derive(Serialize)]
struct Acts {
    acts: Vec<Arc<AuditLine>>,
}

/// The last acts, the newest first.
pub(super) fn audit(state: &State, ask: &Ask) -> Page {
    let [limit] = ask.query.only(["limit"])?;
    let limit = match limit.map(str::parse) {
        None => TOLD,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => return Err(Error::malformed("limit must be a number from 1 to 1000")),
    };
    Ok(json(&Acts { acts: state.audit().last(limit) }))
}
