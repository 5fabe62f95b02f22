//! What the caller is told beside the answer itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BufMut;
use http::HeaderValue;

use crate::digits;
use crate::record::{Cached, Kept, KeyUse};

/// Notes of the layers for the answer to one call. They are shared with the call, so that they are
/// there whoever answers in the end: its caller's time may be over while the call goes on.
#[derive(Debug, Default)]
pub struct Notes(
    /// std, not tokio: each section is an assignment and never awaits.
    Mutex<Noted>,
);

/// What was noted.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// What the cache did, on a row that is cached or shared.
    pub cached: Option<Cached>,
    /// What the app may do now.
    pub rate_limit: Option<RateLimit>,
    /// The key under which the call is one send.
    pub key: Option<KeyUse>,
}

/// The state of an app's quotas (IETF draft "RateLimit header fields for HTTP").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The field `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// The quota that binds first.
    pub pool: Arc<str>,
    /// Calls that are left.
    pub left: u32,
    /// In how many seconds there will be more.
    pub seconds: u64,
}

impl RateLimit {
    /// Writes the field `RateLimit`, with other `seconds` where they are sooner.
    pub fn within(&self, seconds: Option<u64>, field: &mut impl BufMut) {
        field.put_u8(b'"');
        field.put_slice(self.pool.as_bytes());
        field.put_slice(b"\";r=");
        digits::number(field, self.left);
        field.put_slice(b";t=");
        digits::number(field, seconds.map_or(self.seconds, |seconds| seconds.min(self.seconds)));
    }
}

impl Notes {
    /// The cache did something.
    pub fn cached(&self, cached: Cached) {
        self.noted().cached = Some(cached);
    }

    /// What became of the answer that the cache let pass.
    pub fn kept(&self, became: Kept) {
        if let Some(Cached::Missed { kept, .. }) = &mut self.noted().cached {
            *kept = became;
        }
    }

    /// What the app may do now; nothing where its quota is not known.
    pub fn rate_limit(&self, now: Option<RateLimit>) {
        self.noted().rate_limit = now;
    }

    /// The call goes under a key.
    pub fn key(&self, key: KeyUse) {
        self.noted().key = Some(key);
    }

    /// A key was made for the call, unless it is that of an earlier one.
    pub fn was_made(&self) {
        let mut noted = self.noted();
        noted.key = noted.key.or(Some(KeyUse::Made));
    }

    /// All of it.
    #[must_use]
    pub fn all(&self) -> Noted {
        self.noted().clone()
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
