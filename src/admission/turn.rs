//! How one call is let in: at once, or when its turn comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::journal::NotedSlots;
use super::pass::Pass;
use super::quotas::{AppPools, Edition, Ending, Tightest};
use crate::clock::Instant;
use crate::quota::{
    AdmissionRequest, AdmissionVerdict, QueuePlace, QueuePosition, QuotaRefusal, Settlement,
};

/// How a call is let in.
pub(super) enum Entered {
    /// At once.
    Let(Pass),
    /// When its turn comes; it stands there.
    Waits(QueueWaiter, QueuePosition),
}

/// A caller in the queue; gives its place back when it leaves.
pub(super) struct QueueWaiter {
    edition: Arc<Edition>,
    place: QueuePlace,
    receiver: oneshot::Receiver<Ending>,
}

impl QueueWaiter {
    /// Waits for its turn.
    pub(super) async fn turn(mut self) -> Result<Pass, QuotaRefusal> {
        let told = (&mut self.receiver).await.expect("every place gets its event");
        let (grant, noted) = told?;
        let pass = Pass::new(self.edition.clone(), grant);
        noted.write();
        Ok(pass)
    }
}

impl Drop for QueueWaiter {
    fn drop(&mut self) {
        self.receiver.close();
        let told = self.receiver.try_recv();
        self.edition.with(|core, now| {
            core.waiting.remove(&self.place);
            match told {
                // Its turn came in the same moment.
                Ok(Ok((grant, _))) => core.settle(grant, Settlement::NothingSent, now),
                Ok(Err(_)) => {}
                Err(_) => {
                    core.quota.leave(self.place);
                }
            }
        });
    }
}

impl Edition {
    /// Lets a call in, or into the queue. `ticket` is made of the time to the vendor's usual
    /// answer; a call that goes back to its line came there first at `since`. Says what the app can
    /// do after it, if the call is refused or that was asked for.
    pub(super) fn enter(
        self: &Arc<Self>,
        of: &AppPools<'_>,
        ticket: impl FnOnce(Duration) -> AdmissionRequest,
        since: Option<Instant>,
    ) -> (Result<Entered, QuotaRefusal>, Option<Tightest>) {
        let since = since.map(|since| self.moment_of(since));
        let mut noted = NotedSlots::default();
        let entered = self.with(|core, now| {
            let ticket = ticket(core.quota.usual_answer(of.connection));
            let entered = match core.quota.enter_again(now, &ticket, since.unwrap_or(now)) {
                AdmissionVerdict::Start(grant) => {
                    noted = core.taken(&grant);
                    Ok(Entered::Let(Pass::new(self.clone(), grant)))
                }
                AdmissionVerdict::Wait(place, standing) => {
                    let (sender, receiver) = oneshot::channel();
                    core.waiting.insert(place, sender);
                    Ok(Entered::Waits(
                        QueueWaiter { edition: self.clone(), place, receiver },
                        standing,
                    ))
                }
                AdmissionVerdict::Refused(refusal) => Err(refusal),
            };
            let room = core.room_after(&entered, of, now);
            (entered, room)
        });
        noted.write();
        entered
    }
}

#[cfg(test)]
mod tests;
