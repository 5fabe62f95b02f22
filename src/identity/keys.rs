//! The gateway's own keys: `tg_<id>_<secret>`. The secret has 256 random bits; only the SHA-256 of
//! the key is kept.
//!
//! A fast hash is right here, since it protects a random key and not a password. A slow one would
//! help attackers to load the gateway. A key is found by its public id and compared in constant
//! time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{App, Digest, Refusal, Revoked};
use crate::ids::KeyId;

/// The characters of a secret: 32 bytes in base64url without padding.
const SECRET_LEN: usize = 43;

/// One key of an app.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its public part.
    pub id: KeyId,
    /// The SHA-256 of the whole key.
    pub sha256: Digest,
    /// When it expires; from then on it is not accepted.
    pub expires: Option<SystemTime>,
}

/// A key that was just made. Only here does its text exist in the gateway.
pub struct NewKey {
    /// `tg_<id>_<secret>`, to be given to the app.
    pub text: String,
    /// Its hash, for the configuration.
    pub sha256: Digest,
}

/// Every key by id, with its holder: an app, or what an operator's key may do.
#[derive(Debug)]
pub struct Keys<T = Arc<App>> {
    by_id: HashMap<KeyId, Held<T>>,
}

/// A key that somebody holds.
#[derive(Debug)]
struct Held<T> {
    key: Key,
    holder: T,
    /// The second of its last use since 1970; 0 before the first.
    used: AtomicU64,
}

/// A key as operators see it.
pub struct KeyRow<'a, T> {
    /// The key.
    pub key: &'a Key,
    /// Its holder.
    pub holder: &'a T,
    /// When it was taken the last time, to the second.
    pub last_used: Option<SystemTime>,
}

/// What an operator's key may do.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Rights {
    /// Ask.
    #[default]
    Read,
    /// Ask and change.
    Change,
}

// === impl NewKey ===

impl NewKey {
    /// Makes a key from 256 random bits that the system gives.
    #[must_use]
    pub fn generate(id: &KeyId) -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the system has random bytes once it has booted");
        let text = format!("tg_{}_{}", id.as_str(), URL_SAFE_NO_PAD.encode(secret));
        let sha256 = Digest::of(text.as_bytes());
        Self { text, sha256 }
    }
}

// === impl Keys ===

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Self { by_id: HashMap::new() }
    }
}

impl<T> Keys<T> {
    /// Adds a key of `holder`; false if the id is taken.
    pub fn add(&mut self, key: Key, holder: T) -> bool {
        let free = !self.knows(&key.id);
        if free {
            let held = Held { key, holder, used: AtomicU64::new(0) };
            self.by_id.insert(held.key.id.clone(), held);
        }
        free
    }

    /// True if there is a key with that id.
    #[must_use]
    pub fn knows(&self, id: &KeyId) -> bool {
        self.by_id.contains_key(id)
    }

    /// True if there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The digest of the key with that id.
    #[must_use]
    pub fn digest(&self, id: &KeyId) -> Option<&Digest> {
        self.by_id.get(id).map(|held| &held.key.sha256)
    }

    /// When the key with that id expires; `None` if it never does.
    #[must_use]
    pub fn expiry(&self, id: &KeyId) -> Option<SystemTime> {
        self.by_id.get(id)?.key.expires
    }

    /// All keys, by their ids.
    #[must_use]
    pub fn rows(&self) -> Vec<KeyRow<'_, T>> {
        let mut rows: Vec<_> = self.by_id.values().map(Held::row).collect();
        rows.sort_by(|one, other| one.key.id.as_str().cmp(other.key.id.as_str()));
        rows
    }

    /// The key with that id.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<KeyRow<'_, T>> {
        self.by_id.get(id).map(Held::row)
    }

    /// Goes on from `earlier`, the keys before a reload: a key that stays keeps its last use.
    pub fn go_on_from(&self, earlier: &Self) {
        for (id, held) in &self.by_id {
            let before =
                earlier.by_id.get(id).filter(|before| before.key.sha256 == held.key.sha256);
            if let Some(before) = before {
                held.used.fetch_max(before.used.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// The holder and the id of the live key `presented`, which is used now.
    ///
    /// # Errors
    /// Why it is not a live key.
    pub fn find(
        &self,
        presented: &[u8],
        now: SystemTime,
        revoked: &Revoked,
    ) -> Result<(&T, &KeyId), Refusal> {
        let id = public_id(presented).ok_or_else(|| self.malformed(presented))?;
        let held = self.look(id, &Digest::of(presented), now, revoked)?;
        held.use_at(now);
        Ok((&held.holder, &held.key.id))
    }

    /// Whether `presented` is a live key, which is not used by that.
    #[must_use]
    pub fn has(&self, presented: &[u8], now: SystemTime, revoked: &Revoked) -> bool {
        let digest = || Digest::of(presented);
        public_id(presented).is_some_and(|id| self.look(id, &digest(), now, revoked).is_ok())
    }

    /// The holder and the id of the live key `id`, if `digest` is that of the whole key.
    ///
    /// # Errors
    /// Why it is not a live key.
    pub fn live(
        &self,
        id: &str,
        digest: &Digest,
        now: SystemTime,
        revoked: &Revoked,
    ) -> Result<(&T, &KeyId), Refusal> {
        let held = self.look(id, digest, now, revoked)?;
        Ok((&held.holder, &held.key.id))
    }

    fn look(
        &self,
        id: &str,
        digest: &Digest,
        now: SystemTime,
        revoked: &Revoked,
    ) -> Result<&Held<T>, Refusal> {
        let held = self.by_id.get(id).ok_or_else(|| Refusal::unknown(id))?;
        let key = &held.key;
        match key.expires {
            _ if !digest.same_as(&key.sha256) => Err(Refusal::wrong(&key.id)),
            _ if revoked.of(&key.id, &key.sha256).is_some() => Err(Refusal::revoked(&key.id)),
            Some(end) if end <= now => Err(Refusal::expired(&key.id, end)),
            _ => Ok(held),
        }
    }

    /// Why a text without the form of a key is refused. The text after `tg_` may be a part of a
    /// secret. So it is looked up, and repeated only if it is the id of a key.
    fn malformed(&self, presented: &[u8]) -> Refusal {
        let text = std::str::from_utf8(presented).ok();
        let Some(rest) = text.and_then(|text| text.strip_prefix("tg_")) else {
            return Refusal::foreign(presented);
        };
        let id = rest.split_once('_').map_or(rest, |(id, _)| id);
        self.by_id.get(id).map_or(Refusal::unknown(""), |held| Refusal::wrong(&held.key.id))
    }
}

impl<T> Held<T> {
    fn row(&self) -> KeyRow<'_, T> {
        let used = Some(self.used.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0);
        let last_used = used.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        KeyRow { key: &self.key, holder: &self.holder, last_used }
    }

    /// Written at most once a second: all threads share it.
    fn use_at(&self, now: SystemTime) {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }
}

/// The id in `tg_<id>_<secret>`; `None` if the text has another form.
fn public_id(presented: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(presented).ok()?;
    let (id, secret) = text.strip_prefix("tg_")?.split_once('_')?;
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_secret = secret.len() == SECRET_LEN && secret.bytes().all(is_base64url);
    is_secret.then_some(id)
}

#[cfg(test)]
mod tests;
