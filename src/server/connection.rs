//! One client connection from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, ActivityVerdict, Answering};
use super::keep_alive::KeepAlive;
use super::socket::{Glance, Leaving, Reset};
use super::streams::Streams;
use super::watched::Watched;
use super::{Answer, Event, Limits, RequestBody, TooSlow, Unreadable};
use crate::proof::SendProof;

/// Time for a connection to send its last bytes, after it was told to end.
const LAST_OCTETS: Duration = Duration::from_secs(5);

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

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Not agreed on; its first bytes tell.
    Told,
}

impl Protocol {
    /// The protocol that the TLS handshake agreed on (RFC 7301 section 3.2, RFC 9113 section 3.2).
    pub(super) fn agreed(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            Some(_) => Self::Http1,
            None => Self::Told,
        }
    }
}

/// Serves `client` until it ends, breaks a limit, or `drain` is cancelled and its calls are
/// answered.
pub(super) async fn serve<A: Answer>(
    client: ServedClient<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    limits: Limits,
    answer: A,
    drain: CancellationToken,
) {
    let ServedClient { io, protocol, reset, leaving, activity } = client;
    let streams = Streams::default();
    let builder = builder(&limits, protocol, streams.clone());
    let observer = answer.clone();
    let keep_alive = KeepAlive::of(limits.keep_alive);
    let (seen, told, glance) = (activity.clone(), drain.clone(), Arc::new(leaving.glance()));
    let desk = Desk { answer, activity: seen, keep_alive, drain: told, streams, glance };
    let service = service_fn(move |request| desk.answer(request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut left = pin!(leaving.seen());
    let (mut has_left, mut ending) = (false, false);
    loop {
        // While hyper answers a request, it does not look for the end of what the client sends.
        let served = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx).map(Some);
            has_left = has_left || left.as_mut().poll(cx).is_ready();
            let ends = polled.is_pending() && has_left && activity.client_left();
            if ends { Poll::Ready(None) } else { polled }
        });
        tokio::select! {
            result = served => {
                match result {
                    Some(Ok(())) => {}
                    Some(Err(error)) => ended(&observer, error.as_ref()),
                    None => tracing::debug!("a client left before its call was sent"),
                }
                return;
            }
            () = drain.cancelled(), if !ending => {
                ending = true;
                activity.ends(LAST_OCTETS);
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(activity.next_look()) => match activity.verdict() {
                ActivityVerdict::Fine => {}
                // A request that was sent before the client learned of the end is still answered
                // (RFC 9113 section 6.8).
                ActivityVerdict::Idle if !ending => {
                    ending = true;
                    activity.ends(LAST_OCTETS);
                    connection.as_mut().graceful_shutdown();
                }
                ActivityVerdict::Idle => return,
                ActivityVerdict::Slow(limit) => {
                    observer.happened(Event::TooSlow(limit));
                    if ends_for(limit, &activity, &reset) {
                        return;
                    }
                }
            },
        }
    }
}

/// Answers the requests of one connection.
struct Desk<A> {
    answer: A,
    activity: Arc<Activity>,
    keep_alive: KeepAlive,
    drain: CancellationToken,
    streams: Streams,
    glance: Arc<Glance>,
}

impl<A: Answer> Desk<A> {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Watched<A::Body>>, Infallible>> + use<A> {
        let version = request.version();
        let end = (version == Version::HTTP_2).then(|| self.streams.begin());
        let answering = Answering::begin(self.activity.clone(), end);
        let told = self.keep_alive.asked_by(&request);
        let (answer, drain) = (self.answer.clone(), self.drain.clone());
        let glance = self.glance.clone();
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, ());
            let proof = if version < Version::HTTP_2 {
                let proof = Arc::new(SendProof::seen_by(glance));
                answering.waits(Some(proof.clone()));
                proof
            } else {
                Arc::default()
            };
            let (body, rest) = RequestBody::of(&request, body, &answering);
            let mut response = answer.answer(request.map(|()| body), proof).await;
            answering.waits(None);
            rest.answered(&mut response);
            let stays = !drain.is_cancelled() && !answering.is_last();
            if let Some(told) = told.filter(|_| stays) {
                told.tell(&mut response);
            }
            Ok(response.map(|inner| Watched::new(inner, answering, version)))
        }
    }
}

/// Whether the connection ends for a limit that its client broke. Over HTTP/2 the end of one stream
/// may be enough.
fn ends_for(limit: TooSlow, activity: &Activity, reset: &Reset) -> bool {
    if limit == TooSlow::AnswerUnread {
        if activity.end_unread() {
            tracing::debug!("a stream whose answer is not read was reset");
            return false;
        }
        reset.tell();
    }
    tracing::debug!(limit = limit.as_str(), "client connection closed");
    true
}

/// A head that hyper answered by itself has no record, so nothing else is logged of it. The cause
/// is one of hyper's own sentences and holds nothing that the client sent.
fn ended<A: Answer>(observer: &A, error: &(dyn std::error::Error + 'static)) {
    let cause = error.to_string();
    let Some(reason) = Unreadable::of(error) else {
        tracing::debug!(cause, "client connection ended");
        return;
    };
    observer.happened(Event::Unreadable(reason));
    tracing::info!(reason = reason.as_str(), cause, "what a client sent could not be read");
}

fn builder(limits: &Limits, protocol: Protocol, streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper starts this timer when the last answer is out. So it bounds the rest and the next
        // head together.
        .header_read_timeout(limits.keep_alive)
        // `serve` looks for the end itself.
        .half_close(Leaving::SEEN)
        .max_buf_size(limits.head_size)
        .max_headers(limits.head_fields);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        // Against rapid resets (CVE-2023-44487): beyond this number the connection is closed.
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Told => builder,
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
