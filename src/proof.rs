//! What decides whether a call may be done again: how often the vendor may have acted on it, and
//! whether its client has the answer.
//!
//! The server makes one proof a request and says in it when the client leaves; the layers say what
//! was sent. A client that shut its side of the connection may have left, or may only have nothing
//! more to say: nobody can tell before the answer is written. So a call that was not sent ends
//! there, and one that was is answered.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Outcome;

/// Looks whether a client has shut its side. Must not block.
pub trait Looks: Send + Sync + std::fmt::Debug {
    /// It has, though perhaps nobody was told yet.
    fn has_left(&self) -> bool;
}

/// Is told what a client got of an answer. Must not block.
pub trait Acceptance: Send + Sync + std::fmt::Debug {
    /// It was given a good one whole; perhaps said more than once.
    fn accepted(&self);
    /// It heard of none, though the vendor may have acted; said once, and of a client that left at
    /// once, though its call may go on.
    fn doubted(&self);
}

/// See the module text.
#[derive(Debug, Default)]
pub struct SendProof {
    /// Attempts that the vendor may have acted on.
    sent: AtomicU32,
    /// The same send is under way, or was, as another call.
    shared: AtomicBool,
    /// The client shut its side before its answer was there.
    left: AtomicBool,
    looks: Option<Arc<dyn Looks>>,
    /// std, not tokio: each section is an assignment or two.
    delivery: Mutex<Delivery>,
}

#[derive(Debug, Default)]
struct Delivery {
    complete: bool,
    acceptance: Option<Arc<dyn Acceptance>>,
}

impl SendProof {
    /// Of a request whose client `looks` can see.
    #[must_use]
    pub fn seen_by(looks: Arc<dyn Looks>) -> Self {
        Self { looks: Some(looks), ..Self::default() }
    }

    /// The vendor may be working on one more attempt.
    pub fn sending(&self) {
        self.sent.fetch_add(1, Ordering::AcqRel);
    }

    /// The vendor did nothing for the last attempt. What earlier attempts did stays as unknown as
    /// it was.
    pub fn not_done(&self) {
        let less = |sent: u32| Some(sent.saturating_sub(1));
        // Cannot fail: the closure always gives a number.
        let _ = self.sent.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Attempts that the vendor may have acted on.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Acquire)
    }

    /// True when the vendor may have acted on an attempt.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.sent() > 0
    }

    /// From here on, until `false`, the fate of this call is that of another one's send.
    pub fn share(&self, shared: bool) {
        self.shared.store(shared, Ordering::Release);
    }

    /// What is known when the call ends without the vendor's answer.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.was_sent() || self.shared.load(Ordering::Acquire) {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        }
    }

    /// Sees to it that a client that has left by now counts as such, and is heard of.
    pub fn look(&self) {
        if !self.left() && self.looks.as_ref().is_some_and(|looks| looks.has_left()) {
            self.leaves();
        }
    }

    /// The client shut its side before its answer was there. Not said at the call's end: a retry
    /// may come while the call goes on.
    pub fn leaves(&self) {
        // Said at every look; heard once.
        if !self.left.swap(true, Ordering::AcqRel) {
            self.ends();
        }
    }

    /// Whether it did. Whether it is there to read its answer nobody can tell: that is not handed
    /// over.
    #[must_use]
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// `acceptance` is told what the client gets; at once, if it has left by now.
    pub fn tells(&self, acceptance: Arc<dyn Acceptance>) {
        self.delivery().acceptance = Some(acceptance);
        if self.left() {
            self.doubted();
        }
    }

    /// The answer was handed over to its end; it was a `good` one.
    pub fn completed(&self, good: bool) {
        let acceptance = {
            let mut delivery = self.delivery();
            delivery.complete = true;
            delivery.acceptance.clone().filter(|_| good)
        };
        if let Some(acceptance) = acceptance {
            acceptance.accepted();
        }
    }

    /// Nobody waits for the answer any more: unless it was handed over, it is in doubt.
    pub fn ends(&self) {
        if !self.delivery().complete {
            self.doubted();
        }
    }

    /// The client hears that the call failed, or has left.
    pub fn doubted(&self) {
        let acceptance = self.delivery().acceptance.take();
        if let Some(acceptance) = acceptance {
            acceptance.doubted();
        }
    }

    fn delivery(&self) -> MutexGuard<'_, Delivery> {
        self.delivery.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Heard {
        accepted: AtomicU32,
        doubted: AtomicU32,
    }

    impl Acceptance for Heard {
        fn accepted(&self) {
            self.accepted.fetch_add(1, Ordering::SeqCst);
        }

        fn doubted(&self) {
            self.doubted.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Heard {
        fn counts(&self) -> (u32, u32) {
            (self.accepted.load(Ordering::SeqCst), self.doubted.load(Ordering::SeqCst))
        }
    }

    #[derive(Debug)]
    struct Gone;

    impl Looks for Gone {
        fn has_left(&self) -> bool {
            true
        }
    }

    #[test]
    fn an_attempt_that_was_given_back_is_none() {
        let proof = SendProof::default();
        assert_eq!(proof.outcome(), Outcome::NotSent);
        proof.sending();
        assert_eq!(proof.outcome(), Outcome::Unknown);
        proof.not_done();
        assert_eq!((proof.outcome(), proof.was_sent()), (Outcome::NotSent, false));
        proof.not_done();
        assert_eq!(proof.sent(), 0, "there is none to take back");
    }

    #[test]
    fn what_an_earlier_attempt_did_stays_unknown_when_a_later_one_was_not_sent() {
        let proof = SendProof::default();
        proof.sending();
        proof.sending();
        proof.not_done();
        assert_eq!(proof.outcome(), Outcome::Unknown);
        proof.not_done();
        assert_eq!(proof.outcome(), Outcome::NotSent);
        proof.share(true);
        assert_eq!((proof.outcome(), proof.was_sent()), (Outcome::Unknown, false));
    }

    #[test]
    fn a_client_that_left_is_told_of_at_once_and_once_whenever_its_key_was_found() {
        for key_first in [true, false] {
            let (proof, heard) = (SendProof::default(), Arc::new(Heard::default()));
            if key_first {
                proof.tells(heard.clone());
                assert_eq!(heard.counts(), (0, 0));
                proof.leaves();
            } else {
                proof.leaves();
                proof.tells(heard.clone());
            }
            assert_eq!(heard.counts(), (0, 1), "{key_first}");
            proof.leaves();
            proof.doubted();
            assert_eq!(heard.counts(), (0, 1), "a retry may have taken it up");
        }
    }

    #[test]
    fn a_look_at_a_client_that_left_unnoticed_counts_as_its_leaving() {
        let (proof, heard) = (SendProof::seen_by(Arc::new(Gone)), Arc::new(Heard::default()));
        proof.tells(heard.clone());
        assert!(!proof.left());
        proof.look();
        assert!(proof.left());
        assert_eq!(heard.counts(), (0, 1));
    }

    #[test]
    fn who_has_the_answer_is_in_no_doubt_when_it_leaves() {
        for (good, accepted) in [(true, 1), (false, 0)] {
            let (proof, heard) = (SendProof::default(), Arc::new(Heard::default()));
            proof.tells(heard.clone());
            proof.completed(good);
            proof.leaves();
            proof.ends();
            assert_eq!(heard.counts(), (accepted, 0), "{good}");
        }
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_in_doubt() {
        let (proof, heard) = (SendProof::default(), Arc::new(Heard::default()));
        proof.tells(heard.clone());
        proof.ends();
        assert_eq!(heard.counts(), (0, 1));
    }
}
