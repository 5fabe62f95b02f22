//! Who waits for an answer, between the server that has the client and the record that has the call.
//!
//! A client that shut its side of the connection may have left, or may only have nothing more to say:
//! nobody can tell before the answer is written. So a call that was not sent ends there, and one that
//! was is answered.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Hears at once that a client shut its side. Must not block.
pub trait Hears: Send + Sync + std::fmt::Debug {
    /// It did, before its answer was there.
    fn client_leaves(&self);
}

/// Looks whether a client has shut its side. Must not block.
pub trait Looks: Send + Sync + std::fmt::Debug {
    /// It has, though perhaps nobody was told yet.
    fn has_left(&self) -> bool;
}

/// What both sides know of one request.
#[derive(Debug, Default)]
pub struct Waiter {
    /// Attempts that the vendor may have acted on.
    sent: AtomicU32,
    left: AtomicBool,
    /// Its call, which may be over.
    hears: OnceLock<Weak<dyn Hears>>,
    looks: Option<Arc<dyn Looks>>,
}

impl Waiter {
    /// One whom `looks` can see.
    #[must_use]
    pub fn seen_by(looks: Arc<dyn Looks>) -> Self {
        Self { looks: Some(looks), ..Self::default() }
    }

    /// Sees to it that a client that has left by now counts as such.
    pub fn look(&self) {
        if !self.left() && self.looks.as_ref().is_some_and(|looks| looks.has_left()) {
            self.leaves();
        }
    }

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

    /// `call` hears of it if the client leaves from now on; the first to ask does.
    pub fn heard_by(&self, call: Weak<dyn Hears>) {
        // A request has one call.
        let _ = self.hears.set(call);
    }

    /// The client shut its side before its answer was there.
    pub fn leaves(&self) {
        // Said at every look; heard once.
        if self.left.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(call) = self.hears.get().and_then(Weak::upgrade) {
            call.client_leaves();
        }
    }

    /// Whether it did.
    #[must_use]
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}
