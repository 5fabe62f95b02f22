//! The revoked keys that replicas share, in Redis.
//!
//! Each replica asks once a second whether there are others, and tells what it knows and Redis does
//! not. So a Redis that lost everything has it again after a second, from any of them.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Inner, MOST, Revocations};
use crate::identity::Revocation;
use crate::ids::RandomId;
use crate::shared::{Script, SharedStore, StoreError};
use crate::targets;

/// Between two questions: two of them and their answers fit into the two seconds that are promised.
const EVERY: Duration = Duration::from_millis(900);
/// The most that are told with one question.
const TOLD: usize = 100;

/// What is known of what Redis has.
struct Exchange {
    store: SharedStore,
    script: Script,
    /// The name of the state that was read last; none at the beginning.
    seen: String,
    /// What Redis has, as far as it is known.
    there: HashSet<String>,
}

/// Exchanges them until nobody else holds `revocations`.
pub(super) fn keep(revocations: &Revocations, store: SharedStore) {
    let inner = Arc::downgrade(&revocations.0);
    let mut changed = revocations.0.changed.subscribe();
    let mut exchange = Exchange {
        store,
        script: Script::new(include_str!("exchange.lua")),
        seen: "-".into(),
        there: HashSet::new(),
    };
    tokio::spawn(async move {
        loop {
            match exchange.once(&inner).await {
                Some(true) => {}
                Some(false) => {
                    // Whatever comes first: its end, or a change here.
                    if matches!(timeout(EVERY, changed.changed()).await, Ok(Err(_))) {
                        return;
                    }
                }
                None => return,
            }
        }
    });
}

impl Exchange {
    /// One question. True if there is more to tell; nothing if there is nobody to ask for.
    async fn once(&mut self, inner: &Weak<Inner>) -> Option<bool> {
        let revocations = inner.upgrade().map(Revocations)?;
        let all: Vec<_> = revocations.keys().load().all().into_iter().cloned().collect();
        let known = |new: &&Revocation| !self.there.contains(&field(new));
        let news: Vec<_> = all.iter().filter(known).take(TOLD).cloned().collect();
        // A store that is away says so itself.
        let Ok(answer) = self.ask(&news).await else { return Some(false) };
        let text = String::from_utf8_lossy(&answer);
        let mut lines = text.lines();
        let state = lines.next().unwrap_or_default();
        if state != self.seen {
            let theirs: Vec<_> = lines.filter_map(read).take(MOST).collect();
            self.there = theirs.iter().map(field).collect();
            revocations.add(&theirs);
            state.clone_into(&mut self.seen);
        } else {
            self.there.extend(news.iter().map(field));
        }
        Some(
            revocations
                .keys()
                .load()
                .all()
                .into_iter()
                .any(|one| !self.there.contains(&field(one))),
        )
    }

    async fn ask(&self, news: &[Revocation]) -> Result<Bytes, StoreError> {
        let [set, state] = ["all", "state"].map(|name| self.store.key("revoked", name));
        let name = RandomId::new().to_string();
        let texts: Vec<_> = news
            .iter()
            .filter_map(|new| Some([field(new), serde_json::to_string(new).ok()?]))
            .flatten()
            .collect();
        let mut arguments = vec![name.as_bytes(), self.seen.as_bytes()];
        arguments.extend(texts.iter().map(String::as_bytes));
        self.store.eval(&self.script, &[&set, &state], &arguments).await
    }
}

/// What a revocation is of.
fn field(revocation: &Revocation) -> String {
    format!("{}:{}", revocation.key.as_str(), revocation.print)
}

fn read(line: &str) -> Option<Revocation> {
    let read = serde_json::from_str(line);
    if read.is_err() {
        tracing::warn!(target: targets::KEYS, "a revoked key in the shared store can't be read");
    }
    read.ok()
}
