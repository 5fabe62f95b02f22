//! One client connection from its first octet to its last.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Answering, Verdict};
use super::keep_alive::KeepAlive;
use super::socket::Reset;
use super::streams::Streams;
use super::{Answer, Event, Limits, RequestBody, TooSlow, Unreadable};
use crate::error::Cause;

/// Time that a connection has to send its last octets after it was told to end.
const LAST_OCTETS: Duration = Duration::from_secs(5);

/// Octets of an HTTP/2 frame, unless a client asks for more (RFC 9113 section 6.5.2).
const FRAME: usize = 16 << 10;

/// A client, ready to speak HTTP.
pub(super) struct Client<T> {
    /// Its octets.
    pub(super) io: T,
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// Makes the end of its socket a reset.
    pub(super) reset: Reset,
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
    /// Its first octets tell.
    Told,
}

impl Protocol {
    /// What was agreed on in the TLS handshake is what is spoken (RFC 7301 section 3.2, RFC 9113
    /// section 3.2).
    pub(super) fn agreed(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            Some(_) => Self::Http1,
            None => Self::Told,
        }
    }
}

/// Serves `client` until it ends, breaks a limit, or `drain` is cancelled and its calls are answered.
pub(super) async fn serve<A: Answer>(
    client: Client<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    limits: Limits,
    answer: A,
    drain: CancellationToken,
) {
    let Client { io, protocol, reset, activity } = client;
    let streams = Streams::default();
    let builder = builder(&limits, protocol, streams.clone());
    let (watched, observer) = (activity.clone(), answer.clone());
    let (keep_alive, drained) = (KeepAlive::of(limits.keep_alive), drain.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let version = request.version();
        let end = (version == Version::HTTP_2).then(|| streams.begin());
        let (answer, answering) = (answer.clone(), Answering::begin(watched.clone(), end));
        let (told, drained) = (keep_alive.asked_by(&request), drained.clone());
        async move {
            let (head, body) = request.into_parts();
            let request = http::Request::from_parts(head, ());
            let (body, rest) = RequestBody::of(&request, body, &answering);
            let mut response = answer.answer(request.map(|()| body)).await;
            rest.answered(&mut response);
            let stays = !drained.is_cancelled() && !answering.is_last();
            if let Some(told) = told.filter(|_| stays) {
                told.tell(&mut response);
            }
            Ok::<_, Infallible>(response.map(|inner| Watched::new(inner, answering, version)))
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut ending = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    ended(&observer, error.as_ref());
                }
                return;
            }
            () = drain.cancelled(), if !ending => {
                ending = true;
                activity.ends(LAST_OCTETS);
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(activity.next_look()) => match activity.verdict() {
                Verdict::Fine => {}
                // A request that crosses the word of the end is answered all the same (RFC 9113
                // section 6.8).
                Verdict::Idle if !ending => {
                    ending = true;
                    activity.ends(LAST_OCTETS);
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Idle => return,
                Verdict::Slow(limit) => {
                    observer.happened(Event::TooSlow(limit));
                    if ends_for(limit, &activity, &reset) {
                        return;
                    }
                }
            },
        }
    }
}

/// Whether the connection ends for a limit that its client broke: one stream may do.
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

/// A head that hyper answered by itself has no record: this is all that is said of it. The cause is
/// one of hyper's own sentences, without a word of the client's.
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
        // hyper starts this timer when the last answer is out: it bounds rest and head together.
        .header_read_timeout(limits.keep_alive)
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
        // Rapid resets (CVE-2023-44487): the connection is closed beyond it.
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Told => builder,
    }
}

pin_project! {
    /// An answer's body that tells the connection's watch when the client owes it a read.
    struct Watched<B> {
        #[pin]
        inner: B,
        answering: Answering,
        // Octets of a piece at most, and what is left of a longer one.
        most: usize,
        rest: Bytes,
    }
}

impl<B> Watched<B> {
    /// HTTP/2 takes a piece whole, whatever the client's window: what it takes is out of sight. A piece
    /// is no larger than one of its frames, so that no more of an answer than that is held unseen.
    fn new(inner: B, answering: Answering, version: Version) -> Self {
        let most = if version == Version::HTTP_2 { FRAME } else { usize::MAX };
        Self { inner, answering, most, rest: Bytes::new() }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Cause>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.answering.asked();
        let frame = if this.rest.is_empty() {
            ready!(this.inner.poll_frame(cx))
        } else {
            Some(Ok(Frame::data(std::mem::take(this.rest))))
        };
        this.answering.gave();
        let most = *this.most;
        Poll::Ready(frame.map(|frame| {
            Ok(frame?.map_data(|mut data| {
                if data.len() > most {
                    *this.rest = data.split_off(most);
                }
                data
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
