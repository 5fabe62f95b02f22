//! The task that asks Redis for all calls: one question at a time. It tells what waits to be told,
//! and learns what others told since the last one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep_until;

use super::Desk;
use crate::cache::versions::entry::{Item, LogEntry, Pull, Tag, join};
use crate::cache::versions::{Heard, Versions};
use crate::clock::Instant;
use crate::ids::RandomId;
use crate::shared::{Notice, Script, SharedStore, StoreError, StoreKey, Subscription};

/// Between two questions while somebody reads, or something could not be told. What is left of the
/// bound is time for the answer.
const EVERY: Duration = Duration::from_millis(750);

/// How long a log lives that nobody uses.
const LIFE: &[u8] = b"86400000";

/// Entries of the log. A replica that is further behind has to begin anew.
const MOST: &[u8] = b"512";

/// Both name the form of an entry: a build with another one takes other names.
const LOG: &str = "writes1";

/// The group of its key.
const GROUP: &str = "cache";

pub(super) struct Clerk {
    store: SharedStore,
    desk: Arc<Desk>,
    versions: Versions,
    script: Script,
    log: StoreKey,
    channel: String,
    pushes: Subscription,
    own: RandomId,
    asked: u64,
}

impl Clerk {
    pub(super) fn new(store: SharedStore, desk: Arc<Desk>, versions: Versions) -> Self {
        let (log, channel) = (store.key(GROUP, LOG), store.channel(LOG));
        let pushes = store.subscribe(LOG);
        let script = Script::new(include_str!("exchange.lua"));
        let own = versions.own();
        Self { store, desk, versions, script, log, channel, pushes, own, asked: 0 }
    }

    /// Goes on until the store is gone.
    pub(super) async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            let due = tokio::select! {
                biased;
                notice = self.pushes.next() => match notice {
                    Some(notice) => self.take(&notice),
                    None => return,
                },
                () = self.desk.wake.notified() => true,
                () = sleep_until(next) => {
                    next = Instant::now() + EVERY;
                    self.is_needed()
                }
            };
            if due {
                next = Instant::now() + EVERY;
                self.exchange().await;
            }
        }
    }

    /// Whether Redis is asked although no call waits for it.
    fn is_needed(&self) -> bool {
        let used = self.desk.used.swap(false, Ordering::Relaxed);
        used || !self.desk.outbox().is_empty()
    }

    /// Hears a notice. True: some were missed.
    fn take(&mut self, notice: &Notice) -> bool {
        let now = Instant::now();
        let Notice::Message(text) = notice else {
            self.lose(now);
            return false;
        };
        let entry = std::str::from_utf8(text).ok().and_then(LogEntry::read);
        entry.is_none_or(|entry| self.versions.heard(&entry, now) == Heard::Missed)
    }

    fn lose(&mut self, now: Instant) {
        self.versions.lost(now, self.desk.settle());
        self.publish(None, None);
    }

    /// One question.
    async fn exchange(&mut self) {
        let asked = Instant::now();
        self.desk.set_time(&self.desk.asking, Some(asked));
        let (items, told) = self.desk.outbox().take();
        let answer = self.ask(&items).await;
        let now = Instant::now();
        // What was said of a loss before the answer counts before it.
        let mut lost = false;
        while let Some(notice) = self.pushes.try_next() {
            lost |= notice == Notice::Gap;
            self.take(&notice);
        }
        let pull = answer.and_then(|text| {
            let text = std::str::from_utf8(&text).ok();
            text.and_then(Pull::read).ok_or(StoreError::Unreadable)
        });
        match pull {
            Ok(pull) if !lost => {
                self.versions.pulled(&pull, asked, now, self.desk.settle());
                self.publish(Some((asked, true)), Some(told));
                // There may be more than one entry holds.
                if !self.desk.outbox().is_empty() {
                    self.desk.wake.notify_one();
                }
            }
            // They may have been told; twice is no harm.
            _ => {
                self.desk.outbox().put_back(items);
                self.versions.failed();
                self.publish(Some((asked, false)), None);
            }
        }
        self.desk.set_time(&self.desk.asking, None);
    }

    async fn ask(&mut self, items: &[Item]) -> Result<bytes::Bytes, StoreError> {
        // Nothing is counted that could not be tried.
        if !self.store.status().connected {
            return Err(StoreError::Away);
        }
        self.asked += 1;
        let tag = Tag { replica: self.own, nth: self.asked }.to_string();
        let (mark, items) = (self.versions.mark(), join(items));
        let arguments = [
            self.channel.as_bytes(),
            mark.as_bytes(),
            tag.as_bytes(),
            items.as_bytes(),
            LIFE,
            MOST,
        ];
        self.store.eval(&self.script, &[&self.log], &arguments).await
    }

    /// Says how far it has come: when the question was asked that ended, and whether that was good.
    fn publish(&self, ended: Option<(Instant, bool)>, told: Option<u64>) {
        self.desk.set_time(&self.desk.in_step, self.versions.in_step());
        self.desk.progress.send_modify(|progress| {
            if let Some((asked, good)) = ended {
                progress.ended = Some(asked);
                progress.failed = if good { progress.failed } else { Some(asked) };
            }
            progress.told = told.unwrap_or(progress.told);
        });
    }
}
