//! One client connection from its first byte to its last.
//!
//! It either speaks or rests. While it rests, nothing is built for it and it holds no buffer.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, ActivityVerdict};
use super::desk::{ConnectionEnd, RequestDesk};
use super::front::{Front, Protocol};
use super::socket::{Leaving, Reset};
use super::spoken::{LAST_OCTETS, speaks_http1, speaks_http2};
use super::{Answer, Event, Limits, TooSlow};

/// A client, ready to speak HTTP.
pub(super) struct ServedClient<T> {
    /// Its bytes.
    pub(super) io: T,
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// Makes the end of its socket a reset.
    pub(super) reset: Reset,
    /// Sees it shut its side.
    pub(super) leaving: Leaving,
    /// Its watch.
    pub(super) activity: Arc<Activity>,
}

/// How a rest ended.
enum Woke {
    /// The client speaks this.
    Speaks(Protocol),
    /// The connection is over, in order.
    Over,
    /// The connection can't be used any more.
    Broken,
}

/// Serves `client` until it ends, breaks a limit, or `drain` is cancelled and its calls are
/// answered.
pub(super) async fn serve<A: Answer>(
    client: ServedClient<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    limits: &Limits,
    answer: &A,
    drain: CancellationToken,
) {
    let ServedClient { io, mut protocol, reset, leaving, activity } = client;
    let mut front = Front::new(io, activity.clone());
    let end = ConnectionEnd { reset, leaving, limits, drain };
    loop {
        match rest(&mut front, protocol, &activity, &end.drain).await {
            Ok(Woke::Speaks(spoken)) => protocol = spoken,
            // Over TLS the client is told of the end.
            Ok(Woke::Over) => return drop(timeout(LAST_OCTETS, front.shutdown()).await),
            Ok(Woke::Broken) => return,
            Err(limit) => return answer.happened(Event::TooSlow(limit)),
        }
        activity.wakes();
        let desk = RequestDesk::new(answer.clone(), activity.clone(), &end);
        // In a box, so that a connection is small while it rests.
        let rests = match protocol {
            Protocol::Http2 => return Box::pin(speaks_http2(front, desk, &end)).await,
            _ => Box::pin(speaks_http1(front, desk, &end)).await,
        };
        let Some(rests) = rests else { return };
        front = rests;
    }
}

/// Waits until the client speaks, with nothing built for it. It fails if the client did not speak
/// in time, and must have.
async fn rest(
    front: &mut Front<impl AsyncRead + AsyncWrite + Unpin>,
    protocol: Protocol,
    activity: &Activity,
    drain: &CancellationToken,
) -> Result<Woke, TooSlow> {
    tokio::select! {
        // What has come is read first.
        biased;
        spoken = front.spoken(protocol) => Ok(match spoken {
            Ok(Some(protocol)) => Woke::Speaks(protocol),
            Ok(None) => Woke::Over,
            Err(cause) => {
                tracing::debug!(%cause, "client connection ended");
                Woke::Broken
            }
        }),
        () = drain.cancelled() => Ok(Woke::Over),
        () = sleep_until(activity.rests_until()) => match activity.verdict() {
            ActivityVerdict::Slow(limit) => {
                tracing::debug!(limit = limit.as_str(), "client connection closed");
                Err(limit)
            }
            _ => Ok(Woke::Over),
        },
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
