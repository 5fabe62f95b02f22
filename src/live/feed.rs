//! The overview, once a second, for everybody who listens (server-sent events).
//!
//! It is made once, whatever the number of listeners, and only while there is one. A listener that
//! reads slowly misses events and holds none: there is only the last one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::call::{self, StreamBody};
use crate::clock::Instant;
use crate::error::Cause;

/// Listeners at a time.
pub const LISTENERS: usize = crate::descriptors::STREAMS;

/// An event that was made less than this ago is as good as a new one.
const FRESH: Duration = Duration::from_millis(900);

/// Where events come from.
pub struct Feed {
    last: watch::Sender<Bytes>,
    places: Arc<Semaphore>,
    over: CancellationToken,
    /// Number and time of the last event. std, not tokio: held while an event is made, so that it is
    /// made once.
    made: Mutex<(u64, Option<Instant>)>,
}

/// One who listens.
struct Listener<W> {
    events: watch::Receiver<Bytes>,
    /// True while it was not given the event that was there when it came.
    first: bool,
    welcome: W,
    over: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            last: watch::Sender::new(Bytes::new()),
            places: Arc::new(Semaphore::new(LISTENERS)),
            over: CancellationToken::new(),
            made: Mutex::default(),
        }
    }
}

impl Feed {
    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.last.receiver_count() > 0
    }

    /// A second is over; `make` makes the document of the next event.
    pub fn tick(&self, make: impl FnOnce() -> Vec<u8>) {
        if self.is_heard() {
            self.publish(&mut self.made(), make);
        }
    }

    /// The events from now on, the first one at once. They end when `welcome` says no, which is
    /// asked before each, and when the gateway drains. `None` if there are as many listeners as may
    /// be.
    pub fn listen<W: Fn() -> bool + Send + 'static>(
        &self,
        welcome: W,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Option<StreamBody> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let events = self.last.subscribe();
        let mut made = self.made();
        if made.1.is_none_or(|at| at.elapsed() >= FRESH) {
            self.publish(&mut made, make);
        }
        drop(made);
        let over = self.over.clone();
        let listener = Listener { events, first: true, welcome, over, _place: place };
        let events = stream::unfold(listener, |mut listener| async move {
            let event = listener.next().await?;
            Some((Ok::<_, Cause>(Frame::data(event)), listener))
        });
        Some(call::stream(http_body_util::StreamBody::new(events)))
    }

    /// The gateway drains: nobody listens any more.
    pub fn end(&self) {
        self.over.cancel();
    }

    fn publish(&self, made: &mut (u64, Option<Instant>), make: impl FnOnce() -> Vec<u8>) {
        made.0 += 1;
        made.1 = Some(Instant::now());
        let mut event = format!("event: overview\nid: {}\ndata: ", made.0).into_bytes();
        event.extend(make());
        event.extend(b"\n\n");
        self.last.send_replace(event.into());
    }

    fn made(&self) -> MutexGuard<'_, (u64, Option<Instant>)> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Fn() -> bool> Listener<W> {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::take(&mut self.first) {
            tokio::select! {
                changed = self.events.changed() => changed.ok()?,
                () = self.over.cancelled() => return None,
            }
        }
        (self.welcome)().then(|| self.events.borrow_and_update().clone())
    }
}
