//! The gateway's own keys: `tg_<id>_<secret>`. The secret has 256 random bits; only the SHA-256 of
//! the key is kept.
//!
//! A fast hash is right here, since it protects a random key and not a password. A slow one would
//! help attackers to load the gateway. A key is found by its public id and compared in constant
//! time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;
use subtle::ConstantTimeEq;

use super::{App, Refusal};
use crate::hex::{self, Hex};
use crate::ids::KeyId;
use crate::words::read_as_text;

/// The characters of a secret: 32 bytes in base64url without padding.
const SECRET_LEN: usize = 43;

/// SHA-256 over a whole key string.
#[derive(Clone, PartialEq, Eq, Hash, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Digest([u8; 32]);

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
    by_id: HashMap<KeyId, (Key, T)>,
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

read_as_text!(Digest, "the 64 hex digits in quotes that `tollgate keys new` prints");

// === impl Digest ===

impl Digest {
    fn of(key: &[u8]) -> Self {
        Self(sha2::Sha256::digest(key).into())
    }

    /// True for the hash in the examples and for the hash of nothing. No key has either.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.0.iter().all(|octet| *octet == self.0[0]) || *self == Self::of(b"")
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        const RULE: &str =
            "this is not a SHA-256: write the 64 hex digits that `tollgate keys new` prints";
        hex::octets(digits.as_bytes()).map(Self).ok_or(RULE)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
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
            self.by_id.insert(key.id.clone(), (key, holder));
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
        self.by_id.get(id).map(|(key, _)| &key.sha256)
    }

    /// When the key with that id expires; `None` if it never does.
    #[must_use]
    pub fn expiry(&self, id: &KeyId) -> Option<SystemTime> {
        self.by_id.get(id)?.0.expires
    }

    /// The holder and the id of the live key `presented`.
    ///
    /// # Errors
    /// Why it is not a live key.
    pub fn find(&self, presented: &[u8], now: SystemTime) -> Result<(&T, &KeyId), Refusal> {
        let Some(id) = public_id(presented) else {
            return Err(self.malformed(presented));
        };
        self.live(id, &Digest::of(presented), now)
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
    ) -> Result<(&T, &KeyId), Refusal> {
        let Some((key, holder)) = self.by_id.get(id) else {
            return Err(Refusal::unknown(id));
        };
        let same: bool = digest.0.ct_eq(&key.sha256.0).into();
        match key.expires {
            _ if !same => Err(Refusal::wrong(&key.id)),
            Some(end) if end <= now => Err(Refusal::expired(&key.id, end)),
            _ => Ok((holder, &key.id)),
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
        self.by_id.get(id).map_or(Refusal::unknown(""), |(key, _)| Refusal::wrong(&key.id))
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
mod tests {
    use super::*;
    use crate::identity::Scopes;
    use crate::record::Denied;
    use std::time::Duration;

    fn id(text: &str) -> KeyId {
        KeyId::try_from(text.to_owned()).unwrap()
    }

    fn keys(expires: Option<SystemTime>) -> (Keys, String) {
        let app = Arc::new(App {
            id: "billing".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            scopes: Scopes::default(),
            connections: Vec::new(),
            makes_keys: true,
            asks_cache: true,
            trust: crate::record::Trust::default(),
        });
        let new = NewKey::generate(&id("k1"));
        let mut keys = Keys::default();
        assert!(keys.add(Key { id: id("k1"), sha256: new.sha256, expires }, app));
        (keys, new.text)
    }

    #[test]
    fn a_key_is_found_and_nothing_like_it() {
        let (keys, text) = keys(None);
        let now = SystemTime::UNIX_EPOCH;
        assert!(keys.find(text.as_bytes(), now).is_ok());
        let last = if text.ends_with('A') { 'B' } else { 'A' };
        let other = format!("{}{last}", &text[..text.len() - 1]);
        let renamed = text.replace("tg_k1_", "tg_k2_");
        for wrong in [&other, &renamed, &text[..text.len() - 1], "tg_k1_", "", "Bearer"] {
            assert!(keys.find(wrong.as_bytes(), now).is_err(), "{}", wrong.len());
        }
    }

    #[test]
    fn an_expired_key_is_none() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let (keys, text) = keys(Some(end));
        assert!(keys.find(text.as_bytes(), end - Duration::from_secs(1)).is_ok());
        assert!(keys.find(text.as_bytes(), end).is_err());
    }

    #[test]
    fn a_refusal_says_why_and_names_no_part_of_a_secret() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let (keys, text) = keys(Some(end));
        let secret = text.strip_prefix("tg_k1_").unwrap();
        let others = format!("tg_k1_{}", "A".repeat(SECRET_LEN));
        for (presented, why, id) in [
            ("", Denied::None, None),
            ("Basic dXNlcjpwYXNz", Denied::Foreign, None),
            ("pk_prod_ABC", Denied::Foreign, None),
            (secret, Denied::Foreign, None),
            (&text.replace("tg_k1_", "tg_k2_"), Denied::Unknown, Some("k2")),
            // Not a whole key, so the text in the place of the id may be anything.
            (&text.replace("tg_k1_", "tg_K2_"), Denied::Unknown, None),
            ("tg_k2_short", Denied::Unknown, None),
            (&format!("tg_{}", secret.to_lowercase()), Denied::Unknown, None),
            (&text[..text.len() - 1], Denied::Wrong, Some("k1")),
            ("tg_k1", Denied::Wrong, Some("k1")),
            (&others, Denied::Wrong, Some("k1")),
            (&text, Denied::Expired, Some("k1")),
        ] {
            let refusal = keys.find(presented.as_bytes(), end).unwrap_err();
            let named = refusal.key.as_ref().map(KeyId::as_str);
            assert_eq!((refusal.why, named), (why, id), "{}", presented.len());
        }
    }

    #[test]
    fn only_who_has_the_secret_hears_when_the_key_expired() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let (keys, text) = keys(Some(end));
        let told = |presented: &str| {
            keys.find(presented.as_bytes(), end).unwrap_err().detail("a gateway key").into_owned()
        };
        let send = told("tg_k2_x");
        assert!(send.starts_with("send a gateway key as "), "{send}");
        let told_of_ids = ["", "Basic dXNlcjpwYXNz", "tg_k1_x", &text[..text.len() - 1]].map(told);
        assert!(told_of_ids.iter().all(|detail| *detail == send), "{told_of_ids:?}");
        assert!(told(&text).starts_with("the key expired on 2026-01-02;"), "{}", told(&text));
        for token in ["pk_prod_A", "dk_test_A", "token_A"] {
            assert_eq!(told(token), format!("that is a Courier token; {send}"));
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = NewKey::generate(&id("k1")).sha256;
        assert!(Digest::try_from(digest.to_string()).unwrap() == digest);
        for bad in ["", "zz", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(Digest::try_from((*bad).to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_may_hold_the_separator() {
        assert_eq!(public_id(format!("tg_k1_{}", "_".repeat(43)).as_bytes()), Some("k1"));
    }
}
