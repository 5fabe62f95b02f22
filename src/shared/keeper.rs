//! Keeps the connection: opens it, sees that it is lost, opens it again.
//!
//! A connection counts only after a write through it succeeded. So a replica, a full memory or a
//! user without rights shows at once, and not with the first command that matters.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::commands::bytes;
use super::dial::{Link, dial};
use super::error::StoreError;
use super::meter::Meter;
use super::notices::{Notices, Pushes};
use super::{Status, StoreKey, StoreSettings};
use crate::clock::Instant;
use crate::telemetry::metrics::Metrics;

/// Between two looks at a connection that nobody complains about.
const LOOK: Duration = Duration::from_secs(5);
/// The least time for a look. A command may have less, and a slow moment is no loss.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause before a new try, and the longest one.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// The form in which this version keeps what is shared. A version that changes it has another number
/// here, and the two refuse to work side by side.
const SCHEMA: &str = "1";

pub(super) struct Keeper {
    pub(super) settings: StoreSettings,
    link: ArcSwapOption<Link>,
    pub(super) status: watch::Sender<Status>,
    pub(super) notices: Arc<Notices>,
    meter: Meter,
}

impl Keeper {
    pub(super) fn new(settings: StoreSettings, metrics: &Arc<Metrics>) -> Self {
        let meter = Meter::new(metrics, settings.kind.as_str());
        Self {
            settings,
            link: ArcSwapOption::empty(),
            status: watch::Sender::new(Status::new()),
            notices: Arc::default(),
            meter,
        }
    }

    /// The connection of the moment.
    pub(super) fn link(&self) -> Result<Link, StoreError> {
        self.link.load().as_deref().cloned().ok_or(StoreError::Away)
    }

    /// Counts `work`, which is given up after the time of a command.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let result = timeout(self.settings.timeout, work).await;
        let result = result.unwrap_or(Err(StoreError::TimedOut));
        self.meter.ended(&result, begun.elapsed());
        if result.as_ref().is_err_and(StoreError::casts_doubt) {
            self.notices.doubt();
        }
        result
    }

    /// Never ends.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut failures = 0;
        loop {
            match self.connect().await {
                Ok(link) => {
                    let begun = Instant::now();
                    self.found(link.clone());
                    let cause = self.lost(link).await;
                    self.missing(&cause);
                    // One that is lost again and again is not asked for without end.
                    failures = if begun.elapsed() > LOOK { 0 } else { failures + 1 };
                }
                Err(cause) => {
                    self.missing(&cause);
                    failures += 1;
                }
            }
            sleep(pause(failures, fastrand::f64())).await;
        }
    }

    /// A connection that takes writes, and has the subscriptions.
    async fn connect(&self) -> Result<Link, StoreError> {
        let link = dial(&self.settings, Pushes(self.notices.clone())).await?;
        self.look(link.clone()).await?;
        self.subscribe_all(link.clone()).await?;
        Ok(link)
    }

    /// Writes the number of the schema, unless there is one. A Redis that takes no writes refuses the
    /// command in any case.
    async fn look(&self, mut link: Link) -> Result<(), StoreError> {
        let key = StoreKey::of(&self.settings.prefix, "0", "schema");
        let mut write = redis::cmd("SET");
        write.arg(key.as_str()).arg(SCHEMA).arg("NX").arg("GET");
        let limit = self.settings.timeout.max(PATIENCE);
        let looked = timeout(limit, link.send(&write)).await;
        match bytes(looked.unwrap_or(Err(StoreError::TimedOut))?)? {
            Some(other) if other != SCHEMA => Err(StoreError::OtherSchema),
            _ => Ok(()),
        }
    }

    /// Asks for every channel that somebody listens to, and tells all that they may have missed
    /// something.
    async fn subscribe_all(&self, mut link: Link) -> Result<(), StoreError> {
        for channel in self.notices.wanted() {
            let limit = self.settings.timeout.max(PATIENCE);
            let asked = timeout(limit, link.subscribe(&channel)).await;
            asked.unwrap_or(Err(StoreError::TimedOut))?;
        }
        self.notices.gap();
        Ok(())
    }

    /// Waits until `link` can't be used any more, and says why.
    async fn lost(&self, link: Link) -> StoreError {
        loop {
            let doubted = self.notices.doubted();
            let _ = timeout(LOOK, doubted).await;
            let mut looked = self.look(link.clone()).await;
            // Somebody began to listen; or the library opened a connection of a cluster again, and
            // nobody knows what was said meanwhile.
            if looked.is_ok() && self.notices.take_stale() {
                looked = self.subscribe_all(link.clone()).await;
            }
            if let Err(cause) = looked {
                return cause;
            }
        }
    }

    fn found(&self, link: Link) {
        let away = self.status.borrow().since.elapsed();
        self.link.store(Some(Arc::new(link)));
        self.meter.connected(true);
        let (kind, servers) = (self.settings.kind.as_str(), &self.settings.url);
        tracing::info!(kind, %servers, away_ms = away.as_millis(), "the shared store is connected");
        let since = Instant::now();
        let status = Status { connected: true, was_connected: true, since, cause: None };
        self.status.send_replace(status);
    }

    fn missing(&self, cause: &StoreError) {
        self.link.store(None);
        self.meter.connected(false);
        let cause: Arc<str> = cause.to_string().into();
        self.status.send_modify(|status| {
            // Said once, and not at each try.
            if status.connected || status.cause.is_none() {
                let servers = &self.settings.url;
                tracing::warn!(%servers, %cause, "the shared store is away");
            }
            if status.connected {
                status.since = Instant::now();
            }
            status.connected = false;
            status.cause = Some(cause);
        });
    }
}

/// The pause before the next try, after `failures` of them. `dice` is from 0 to 1: replicas that lost
/// Redis together do not come back together.
fn pause(failures: u32, dice: f64) -> Duration {
    let [first, longest] = PAUSES;
    let whole = first.saturating_mul(1 << failures.min(10)).min(longest);
    whole.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread() {
        assert_eq!(pause(0, 1.0), PAUSES[0]);
        assert_eq!(pause(1, 0.0), PAUSES[0]);
        assert_eq!(pause(u32::MAX, 1.0), PAUSES[1]);
        let whole: Vec<_> = (0..12).map(|failures| pause(failures, 1.0)).collect();
        assert!(whole.is_sorted());
    }

    proptest::proptest! {
        #[test]
        fn no_pause_is_under_half_or_over_the_longest(failures: u32, dice in 0.0..1.0) {
            let (pause, whole) = (pause(failures, dice), pause(failures, 1.0));
            proptest::prop_assert!(pause * 2 >= whole && pause <= whole && whole <= PAUSES[1]);
        }
    }
}
