//! Why a key was not taken. Operators always learn it. The caller learns only what its secret
//! entitles it to know.

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
    /// The public id in the key that was presented.
    pub key: Option<KeyId>,
    hint: Hint,
}

/// What the caller may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// Only that a key is needed. A caller that guesses must not learn how close it came.
    Nothing,
    /// That it sent one of Courier's tokens.
    Courier,
    /// When the key expired. Its secret was right.
    Ended(SystemTime),
    /// That the key was revoked. Its secret was right.
    Revoked,
    /// What the key is for. Its secret was right.
    ForOthers(&'static str),
}

impl Refusal {
    /// No key was presented.
    #[must_use]
    pub fn nothing() -> Self {
        Self { why: Denied::None, key: None, hint: Hint::Nothing }
    }

    /// `presented` does not have the form of a gateway key.
    pub(super) fn foreign(presented: &[u8]) -> Self {
        if presented.is_empty() {
            return Self::nothing();
        }
        let courier = secret::begins_as_couriers(presented);
        let hint = if courier { Hint::Courier } else { Hint::Nothing };
        Self { why: Denied::Foreign, key: None, hint }
    }

    /// There is no key with that id. The id is repeated only if it has the form of one.
    pub(super) fn unknown(id: &str) -> Self {
        let key = KeyId::try_from(id.to_owned()).ok();
        Self { why: Denied::Unknown, key, hint: Hint::Nothing }
    }

    /// The secret is not that of the key `id`.
    pub(super) fn wrong(id: &KeyId) -> Self {
        Self { why: Denied::Wrong, key: Some(id.clone()), hint: Hint::Nothing }
    }

    /// The secret of the key `id` is right, but the key expired at `end`.
    pub(super) fn expired(id: &KeyId, end: SystemTime) -> Self {
        Self { why: Denied::Expired, key: Some(id.clone()), hint: Hint::Ended(end) }
    }

    /// The secret of the key `id` is right, but the key was revoked.
    pub(super) fn revoked(id: &KeyId) -> Self {
        Self { why: Denied::Revoked, key: Some(id.clone()), hint: Hint::Revoked }
    }

    /// The same key is a live one of another kind, which the caller may hear: `theirs`, such as `a
    /// key of an app`.
    #[must_use]
    pub fn is_for(self, theirs: &'static str) -> Self {
        Self { hint: Hint::ForOthers(theirs), ..self }
    }

    /// What the caller is told. `kind` is the kind of key that it needs, such as `a gateway key`.
    #[must_use]
    pub fn detail(&self, kind: &str) -> Cow<'static, str> {
        let send = format!("send {kind} as 'x-api-key: tg_…' or 'Authorization: Bearer tg_…'");
        match self.hint {
            Hint::Nothing => send.into(),
            Hint::ForOthers(theirs) => format!("that is {theirs}; {send}").into(),
            Hint::Courier => format!("that is a Courier token; {send}").into(),
            Hint::Revoked => {
                let key = self.key.as_ref().map_or("", KeyId::as_str);
                format!("the key '{key}' was revoked; ask the operator for a new one").into()
            }
            Hint::Ended(end) => {
                let end = clock::rfc3339(end);
                let date = end.split_once('T').map_or("", |(date, _)| date);
                format!("the key expired on {date}; ask the operator for a new one").into()
            }
        }
    }
}
