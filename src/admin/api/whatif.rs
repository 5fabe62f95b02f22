//! What the last hour would have been under another limit.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Ask, Page};
use crate::catalog::MOST_CALLS;
use crate::error::{Code, Error};
use crate::ids::ConnectionId;
use crate::local_reply::json;
use crate::runtime::State;

/// One at a time: it takes a core for some seconds at most.
static ALONE: Semaphore = Semaphore::const_new(1);
/// The longest window: a day.
const LONGEST_MS: u64 = 24 * 3600 * 1000;

/// `connection`, `calls` and perhaps `window_ms`.
pub(super) async fn what_if(state: &State, ask: &Ask) -> Page {
    let [connection, calls, window] = ask.query.only(["connection", "calls", "window_ms"])?;
    let connection = connection.ok_or_else(|| wrong("connection: say which"))?;
    let connection: ConnectionId = ask.query.name(connection)?;
    let number = |text: &str, most: u64| text.parse().ok().filter(|n| (1..=most).contains(n));
    let calls = calls.and_then(|text| number(text, MOST_CALLS.into()));
    let calls = calls.and_then(|calls| u32::try_from(calls).ok());
    let calls = calls.ok_or_else(|| wrong("calls: write a number from 1 on"))?;
    let window = match window {
        None => None,
        Some(text) => Some(
            number(text, LONGEST_MS)
                .filter(|window| *window >= 1000)
                .ok_or_else(|| wrong("window_ms: write a length from 1000 to 86400000"))?,
        ),
    };
    let question = state.what_if(&connection, calls, window.map(Duration::from_millis));
    let question = question.ok_or_else(|| {
        let detail = format!("there is no connection '{connection}'");
        Error::refused(Code::UnknownOperation, detail)
    })?;
    let _alone = ALONE.try_acquire().map_err(|_| {
        let detail = "somebody else's question is being answered: ask again";
        Error::refused(Code::Overloaded, detail).with_retry_after(Duration::from_secs(1))
    })?;
    let answer = tokio::task::spawn_blocking(move || question.answer()).await.ok().flatten();
    let answer = answer.ok_or_else(|| wrong("calls: no quota could be like that"))?;
    Ok(json(&answer))
}

fn wrong(detail: &'static str) -> Error {
    Error::malformed(detail)
}
