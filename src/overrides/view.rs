//! An override as operators see it.

use serde::Serialize;

use super::{Act, Override, Spread, WallMs};

/// One override, as operators see it.
#[derive(Debug, Serialize)]
pub struct OverrideView {
    id: String,
    act: Act,
    words: String,
    because: String,
    by: String,
    from_at_ms: WallMs,
    until_at_ms: WallMs,
    left_ms: u64,
    ended_at_ms: Option<WallMs>,
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    everywhere: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<bool>,
}

impl OverrideView {
    /// `known`, as of `now`.
    #[must_use]
    pub fn of(known: &Override, now: WallMs) -> Self {
        let over = !known.holds(now);
        let ended = known.ended.as_ref().map(ToString::to_string);
        Self {
            id: known.id.to_string(),
            act: known.act.clone(),
            words: known.act.to_string(),
            because: known.because.to_string(),
            by: known.by.to_string(),
            from_at_ms: known.from,
            until_at_ms: known.until,
            left_ms: if over { 0 } else { known.until - now },
            ended_at_ms: over.then(|| known.end()),
            ended: over.then(|| ended.unwrap_or_else(|| "its time is over".to_owned())),
            everywhere: None,
            remembered: None,
        }
    }

    /// The same, and who knows of it.
    #[must_use]
    pub fn known(mut self, known: Spread) -> Self {
        self.everywhere = Some(known.everywhere);
        self.remembered = Some(known.remembered);
        self
    }
}
