//! Why a key was not taken: for operators always, for the caller only what its secret entitles it to
//! know.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::clock;
use crate::ids::KeyId;
use crate::record::Denied;
use crate::secret;

/// A key that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for operators.
    pub why: Denied,
    /// The public id in what was presented.
    pub key: Option<KeyId>,
    hint: Hint,
}

/// What the caller may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// That a key is needed, and no more: who guesses must not learn how close it came.
    Nothing,
    /// That it sent a token of Courier's.
    Courier,
    /// Since when the key is over. Its secret was right.
    Ended(SystemTime),
}

impl Refusal {
    /// No key was presented.
    #[must_use]
    pub fn nothing() -> Self {
        Self { why: Denied::None, key: None, hint: Hint::Nothing }
    }

    /// `presented` is of another form than a gateway key.
    pub(super) fn foreign(presented: &[u8]) -> Self {
        if presented.is_empty() {
            return Self::nothing();
        }
        let courier = secret::begins_as_couriers(presented);
        let hint = if courier { Hint::Courier } else { Hint::Nothing };
        Self { why: Denied::Foreign, key: None, hint }
    }

    /// Nobody has a key of that id; it is repeated only if it can be one.
    pub(super) fn unknown(id: &str) -> Self {
        let key = KeyId::try_from(id.to_owned()).ok();
        Self { why: Denied::Unknown, key, hint: Hint::Nothing }
    }

    /// Another secret than that of the key `id`.
    pub(super) fn wrong(id: &KeyId) -> Self {
        Self { why: Denied::Wrong, key: Some(id.clone()), hint: Hint::Nothing }
    }

    /// The right secret of the key `id`, which was good until `end`.
    pub(super) fn expired(id: &KeyId, end: SystemTime) -> Self {
        Self { why: Denied::Expired, key: Some(id.clone()), hint: Hint::Ended(end) }
    }

    /// What the caller is told; `kind` is the kind of key that it needs here, such as `a gateway key`.
    #[must_use]
    pub fn detail(&self, kind: &str) -> Cow<'static, str> {
        let send = format!("send {kind} as 'x-api-key: tg_…' or 'Authorization: Bearer tg_…'");
        match self.hint {
            Hint::Nothing => send.into(),
            Hint::Courier => format!("that is a Courier token; {send}").into(),
            Hint::Ended(end) => {
                let end = clock::rfc3339(end);
                let date = end.split_once('T').map_or("", |(date, _)| date);
                format!("the key expired on {date}; ask the operator for a new one").into()
            }
        }
    }
}
