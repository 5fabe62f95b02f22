//! Sees hyper wait for the head of a request.
//!
//! hyper asks for a timer when it begins to wait for a head, and at no other time. So this timer
//! tells the connection's watch that nothing of a request is under way. The watch has the limits of
//! time itself, and this timer never ends.

#![expect(clippy::disallowed_types, reason = "hyper's own clock, of which nothing is read here")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use super::activity::Activity;

/// The timer; see the top of this file.
pub(super) struct HeadTimer(pub(super) Arc<Activity>);

/// Takes no room, so its box takes none either.
struct Never;

impl Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        self.0.awaits_head();
        Box::pin(Never)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(Duration::ZERO)
    }

    fn reset(&self, _: &mut Pin<Box<dyn Sleep>>, _: Instant) {
        self.0.awaits_head();
    }
}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {}
