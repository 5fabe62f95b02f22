//! Who waits for an answer, between the server that has the client and the record that has the call.
//!
//! A client that shut its side of the connection may have left, or may only have nothing more to say:
//! nobody can tell before the answer is written. So a call that was not sent ends there, and one that
//! was is answered.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What both sides know of one request.
#[derive(Debug, Default)]
pub struct Waiter {
    /// Attempts that the vendor may have acted on.
    sent: AtomicU32,
    left: AtomicBool,
}

impl Waiter {
    /// The vendor may be working on one more attempt.
    pub fn sending(&self) {
        self.sent.fetch_add(1, Ordering::AcqRel);
    }

    /// The vendor did nothing for the last attempt.
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

    /// The client shut its side before its answer was there.
    pub fn leaves(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether it did.
    #[must_use]
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}
