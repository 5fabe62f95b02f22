//! Keys and certificates that end: listed, and told of in the log.

use std::sync::PoisonError;
use std::time::Duration;

use super::reminders::{ComingEnd, rest};
use super::{KeyFacts, State};
use crate::{clock, targets};

impl State {
    /// All that ends and was not revoked, the first one first.
    fn ends(&self) -> Vec<ComingEnd> {
        let keys = self.key_facts().into_iter().filter(|key| key.revoked.is_none());
        let key = |key: KeyFacts| {
            let what = format!("key '{}' of {}", key.key.id.as_str(), key.holder());
            Some(ComingEnd { what, at: key.key.expires? })
        };
        let certificate = self.certificate_end().map(|at| {
            let what = "the certificate of server.tls".to_owned();
            ComingEnd { what, at }
        });
        let mut ends: Vec<_> = keys.filter_map(key).chain(certificate).collect();
        ends.sort_by_key(|end| end.at);
        ends
    }

    /// Says what ends soon, and was not said before.
    pub(super) fn remind(&self) -> Duration {
        let (now, ends) = (clock::wall(), self.ends());
        let due = {
            let mut reminders =
                self.0.ring.reminders.lock().unwrap_or_else(PoisonError::into_inner);
            reminders.due(now, &ends)
        };
        for end in due {
            let (what, days_left) = (&end.what, end.days_left(now));
            let expires = clock::rfc3339(end.at);
            if end.at <= now {
                tracing::error!(target: targets::KEYS, what, expires, "it has expired");
            } else {
                tracing::warn!(target: targets::KEYS, what, expires, days_left, "it expires soon");
            }
        }
        rest(now, &ends)
    }

    /// Reminds now and at each moment at which there is something to say.
    pub(super) fn watch_ends(&self) {
        let state = std::sync::Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                let Some(rest) = state.upgrade().map(|state| State(state).remind()) else { return };
                tokio::time::sleep(rest).await;
            }
        });
    }
}
