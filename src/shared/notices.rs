//! What Redis says unasked: messages of channels, and that a connection ended.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, broadcast};

/// Messages that may wait for a slow listener. Beyond that it is told of a gap.
const QUEUE: usize = 1024;

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody said this on the channel.
    Message(Bytes),
    /// Messages may have been missed: what was learned before may be old.
    Gap,
}

/// Listens to one channel.
pub struct Subscription {
    channel: String,
    heard: broadcast::Receiver<Heard>,
}

#[derive(Clone)]
enum Heard {
    Message(Arc<str>, Bytes),
    Gap,
}

pub(super) struct Notices {
    heard: broadcast::Sender<Heard>,
    /// std, not tokio: held for a look-up only.
    wanted: Mutex<BTreeSet<String>>,
    doubt: Notify,
    stale: AtomicBool,
}

// === impl Notices ===

impl Default for Notices {
    fn default() -> Self {
        Self {
            heard: broadcast::Sender::new(QUEUE),
            wanted: Mutex::default(),
            doubt: Notify::new(),
            stale: AtomicBool::new(false),
        }
    }
}

impl Notices {
    /// From now on the keeper subscribes to `channel` on each connection.
    pub(super) fn listen(&self, channel: String) -> Subscription {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.clone());
        Subscription { channel, heard: self.heard.subscribe() }
    }

    pub(super) fn wanted(&self) -> Vec<String> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Tells all listeners that they may have missed something.
    pub(super) fn gap(&self) {
        // It fails only if nobody listens.
        let _ = self.heard.send(Heard::Gap);
    }

    /// The connection is to be looked at.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The channels are to be asked for again.
    pub(super) fn changed(&self) {
        self.stale.store(true, Ordering::Release);
        self.doubt();
    }

    /// Whether the channels are to be asked for again.
    pub(super) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    fn take(&self, push: PushInfo) {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Disconnection, _) => self.changed(),
            (PushKind::Message, [channel, payload]) => {
                if let (Some(channel), Some(payload)) = (octets(channel), octets(payload)) {
                    let channel = String::from_utf8_lossy(channel).into();
                    let payload = Bytes::copy_from_slice(payload);
                    let _ = self.heard.send(Heard::Message(channel, payload));
                }
            }
            _ => {}
        }
    }
}

fn octets(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(octets) => Some(octets),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The library takes the sender by value, and asks nothing of it.
pub(super) struct Pushes(pub(super) Arc<Notices>);

impl AsyncPushSender for Pushes {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        self.0.take(push);
        Ok(())
    }
}

// === impl Subscription ===

impl Subscription {
    /// The next message or gap that is here already.
    pub fn try_next(&mut self) -> Option<Notice> {
        loop {
            match self.heard.try_recv() {
                Ok(Heard::Message(channel, payload)) if *channel == *self.channel => {
                    return Some(Notice::Message(payload));
                }
                Ok(Heard::Message(..)) => {}
                Ok(Heard::Gap) | Err(broadcast::error::TryRecvError::Lagged(_)) => {
                    return Some(Notice::Gap);
                }
                Err(_) => return None,
            }
        }
    }

    /// The next message, or that some may have been missed. `None` once the store is gone.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            match self.heard.recv().await {
                Ok(Heard::Message(channel, payload)) if *channel == *self.channel => {
                    return Some(Notice::Message(payload));
                }
                Ok(Heard::Message(..)) => {}
                Ok(Heard::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Some(Notice::Gap);
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, payload: &str) -> PushInfo {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        PushInfo { kind: PushKind::Message, data: vec![text(channel), text(payload)] }
    }

    #[tokio::test]
    async fn a_listener_hears_its_channel_and_of_every_gap() {
        let notices = Notices::default();
        let mut listener = notices.listen("a".into());
        notices.take(message("b", "1"));
        notices.take(message("a", "2"));
        notices.gap();
        assert_eq!(listener.next().await, Some(Notice::Message("2".into())));
        assert_eq!(listener.next().await, Some(Notice::Gap));
        (0..=QUEUE).for_each(|_| notices.take(message("a", "3")));
        assert_eq!(listener.next().await, Some(Notice::Gap), "it was too slow");
        notices.take(message("b", "4"));
        notices.take(message("a", "5"));
        while listener.try_next() != Some(Notice::Message("5".into())) {}
        assert_eq!(listener.try_next(), None, "nothing is here yet");
        drop(notices);
        while listener.next().await.is_some() {}
    }

    #[tokio::test]
    async fn an_end_of_a_connection_casts_doubt_on_it() {
        let notices = Notices::default();
        notices.take(PushInfo { kind: PushKind::Disconnection, data: Vec::new() });
        notices.doubted().await;
        assert!(notices.take_stale() && !notices.take_stale());
    }
}
