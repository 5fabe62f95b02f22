//! Overrides that all replicas know: one hash in Redis, which each of them reads and adds to.
//!
//! Redis is told what it doesn't know, whoever made it: one that forgot everything has all of it
//! again after the next look. Which end of an override counts is decided by the set itself.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::set::Override;
use super::{Inner, Overrides, wall_ms};
use crate::ids::RandomId;
use crate::shared::{Script, SharedStore, StoreError};

/// Between two looks when nobody says that there is something new.
const EVERY: Duration = Duration::from_secs(2);

/// The channel on which replicas say that there is something new.
const CHANNEL: &str = "overrides";

/// Writes what it is given, and gives all there is if that is not what the caller knows. The field
/// `v` is another word after each write. A hash that nobody writes to is gone after 32 days: no
/// override is longer.
const SYNC: &str = "
local q = cjson.decode(ARGV[1])
local changed = false
for id, text in pairs(q.put) do redis.call('HSET', KEYS[1], id, text); changed = true end
for _, id in ipairs(q.drop) do redis.call('HDEL', KEYS[1], id); changed = true end
if changed then
  redis.call('HSET', KEYS[1], 'v', q.word)
  redis.call('PEXPIRE', KEYS[1], 2764800000)
  redis.call('PUBLISH', ARGV[2], q.word)
end
local v = redis.call('HGET', KEYS[1], 'v') or ''
if v == q.known then return cjson.encode({v = v}) end
local all, flat = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do if flat[i] ~= 'v' then all[flat[i]] = flat[i + 1] end end
return cjson.encode({v = v, all = all})
";

#[derive(Serialize)]
struct Question<'a> {
    known: &'a str,
    word: String,
    put: HashMap<Arc<str>, String>,
    drop: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    v: String,
    #[serde(default)]
    all: Option<HashMap<String, String>>,
}

/// What replicas share of it.
pub(super) struct SharedSet {
    store: SharedStore,
    script: Script,
    /// tokio: held for a round trip, so that one look follows another.
    seen: tokio::sync::Mutex<Seen>,
}

/// What Redis had at the last look.
#[derive(Default)]
struct Seen {
    version: String,
    all: HashMap<String, String>,
}

impl SharedSet {
    pub(super) fn new(store: SharedStore) -> Self {
        Self { store, script: Script::new(SYNC), seen: tokio::sync::Mutex::default() }
    }

    /// Takes in what Redis has, and tells it what it has not.
    pub(super) async fn sync(&self, overrides: &Overrides) -> Result<(), StoreError> {
        let mut seen = self.seen.lock().await;
        // The first round may bring news that change what is to be told.
        for _ in 0..3 {
            let question = question(&seen, overrides);
            let writes = !question.put.is_empty() || !question.drop.is_empty();
            let text = serde_json::to_vec(&question).map_err(|_| StoreError::Unreadable)?;
            let key = self.store.key("overrides", "all");
            let channel = self.store.channel(CHANNEL);
            let arguments: [&[u8]; 2] = [&text, channel.as_bytes()];
            let answer = self.store.eval(&self.script, &[&key], &arguments).await?;
            let answer: Answer =
                serde_json::from_slice(&answer).map_err(|_| StoreError::Unreadable)?;
            if let Some(all) = answer.all {
                *seen = Seen { version: answer.v, all };
                take_in(&seen, overrides);
            } else if !writes {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What Redis doesn't have as it is known here, and what nobody needs any more.
fn question<'a>(seen: &'a Seen, overrides: &Overrides) -> Question<'a> {
    let mut known: HashMap<Arc<str>, String> = HashMap::new();
    for each in overrides.kept() {
        known.insert(each.id.clone(), text(&each));
    }
    let now = wall_ms();
    let over = |text: &String| {
        serde_json::from_str::<Override>(text).is_ok_and(|known| !known.is_kept(now))
    };
    let drop = seen.all.iter().filter(|(_, text)| over(text)).map(|(id, _)| id.as_str()).collect();
    let mut put = HashMap::new();
    for (id, text) in known {
        if seen.all.get(&*id) != Some(&text) {
            put.insert(id, text);
        }
    }
    Question { known: &seen.version, word: RandomId::new().to_string(), put, drop }
}

fn text(known: &Override) -> String {
    serde_json::to_string(known).expect("strings and numbers are JSON")
}

fn take_in(seen: &Seen, overrides: &Overrides) {
    let all = seen.all.values().filter_map(|text| serde_json::from_str::<Override>(text).ok());
    if overrides.set().merge(all, wall_ms()) {
        overrides.changed();
    }
}

/// Looks for as long as the overrides are in use.
pub(super) async fn keep_up(overrides: Weak<Inner>) {
    let Some(mut news) = overrides.upgrade().and_then(|inner| {
        let replicas = inner.replicas.as_ref()?;
        Some(replicas.store.subscribe(CHANNEL))
    }) else {
        return;
    };
    loop {
        let Some(overrides) = overrides.upgrade().map(Overrides) else { return };
        let before = *overrides.0.changes.borrow();
        if let Some(replicas) = &overrides.0.replicas {
            // The store says by itself that it is away.
            let _ = replicas.sync(&overrides).await;
        }
        if *overrides.0.changes.borrow() != before {
            overrides.write().await;
        }
        drop(overrides);
        tokio::select! {
            _ = news.next() => {}
            () = sleep(EVERY) => {}
        }
    }
}
