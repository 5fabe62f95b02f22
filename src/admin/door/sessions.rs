//! Sessions of pages. A session stands for a key and ends with it; only the hash of what a browser
//! holds is kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};

use crate::clock::Instant;
use crate::identity::Digest;
use crate::ids::KeyId;

/// How long a session lasts.
pub(super) const LENGTH: Duration = Duration::from_secs(12 * 3600);
/// Sessions of one key; the oldest one goes.
const EACH: usize = 64;
/// Sessions of all keys, also of those that are gone.
const ALL: usize = 64 * EACH;

/// What a browser holds: 256 random bits as text.
pub(super) struct SessionToken(Zeroizing<String>);

/// The SHA-256 of a token, by which its session is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionId([u8; 32]);

/// The sessions that are open.
#[derive(Default)]
pub(super) struct Sessions(
    /// std, not tokio: each section is a look-up, or one walk at a login.
    Mutex<HashMap<SessionId, Session>>,
);

struct Session {
    key: KeyId,
    sha256: Digest,
    begun: Instant,
}

impl SessionToken {
    fn new() -> Self {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).expect("the system has random bytes once it has booted");
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*random)))
    }

    /// Its text, for the browser alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl SessionId {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl Sessions {
    /// Opens a session for `key`, whose digest is `sha256`.
    pub(super) fn open(&self, key: &KeyId, sha256: &Digest, now: Instant) -> SessionToken {
        let token = SessionToken::new();
        let mut sessions = self.all();
        sessions.retain(|_, session| session.is_open(now));
        make_room(&mut sessions, EACH, |session| session.key == *key);
        make_room(&mut sessions, ALL, |_| true);
        let session = Session { key: key.clone(), sha256: sha256.clone(), begun: now };
        sessions.insert(SessionId::of(token.expose()), session);
        token
    }

    /// Whose session it is, if it is open: the key, and the digest that it must still have.
    pub(super) fn find(&self, id: &SessionId, now: Instant) -> Option<(KeyId, Digest)> {
        let sessions = self.all();
        let session = sessions.get(id).filter(|session| session.is_open(now))?;
        Some((session.key.clone(), session.sha256.clone()))
    }

    /// Ends it; false if there is none.
    pub(super) fn end(&self, id: &SessionId) -> bool {
        self.all().remove(id).is_some()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_open(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < LENGTH
    }
}

/// Takes out the oldest of `those`, so that one more is no more than `most`.
fn make_room(
    sessions: &mut HashMap<SessionId, Session>,
    most: usize,
    those: impl Fn(&Session) -> bool,
) {
    while sessions.values().filter(|session| those(session)).count() >= most {
        let old = sessions.iter().filter(|(_, session)| those(session));
        let Some(id) = old.min_by_key(|(_, session)| session.begun).map(|(id, _)| *id) else {
            return;
        };
        sessions.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NewKey;

    fn key(id: &str) -> (KeyId, Digest) {
        let id = KeyId::try_from(id.to_owned()).unwrap();
        let sha256 = NewKey::generate(&id).sha256;
        (id, sha256)
    }

    fn found(sessions: &Sessions, token: &SessionToken, now: Instant) -> bool {
        sessions.find(&SessionId::of(token.expose()), now).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_twelve_hours_and_can_be_ended_before() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (id, sha256) = key("ops");
        let [one, other] = [(); 2].map(|()| sessions.open(&id, &sha256, now));
        assert_eq!(one.expose().len(), 43);
        assert_ne!(one.expose(), other.expose());
        assert!(sessions.end(&SessionId::of(other.expose())));
        assert!(!sessions.end(&SessionId::of(other.expose())));
        assert!(!found(&sessions, &other, now));
        assert!(found(&sessions, &one, now + LENGTH - Duration::from_millis(1)));
        assert!(!found(&sessions, &one, now + LENGTH));
        let text = format!("{:?}", SessionId::of(one.expose()));
        assert_eq!(text, "SessionId(..)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_64_sessions_and_its_oldest_one_goes() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (id, sha256) = key("ops");
        let (other, others) = key("other");
        let neighbour = sessions.open(&other, &others, now);
        let at = |n: u64| now + Duration::from_secs(n);
        let tokens: Vec<_> = (0..70).map(|n| sessions.open(&id, &sha256, at(n))).collect();
        let open: Vec<_> = tokens.iter().map(|token| found(&sessions, token, at(70))).collect();
        assert_eq!(open, [vec![false; 6], vec![true; 64]].concat());
        assert!(found(&sessions, &neighbour, at(70)), "another key's session stays");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_of_keys_that_are_gone_take_no_more_than_their_bound() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        for n in 0..ALL + 9 {
            let (id, sha256) = key(&format!("k{n}"));
            sessions.open(&id, &sha256, now);
        }
        assert_eq!(sessions.all().len(), ALL);
        let (id, sha256) = key("last");
        sessions.open(&id, &sha256, now + LENGTH);
        assert_eq!(sessions.all().len(), 1, "those that are over go");
    }
}
