//! A connection while its client speaks: from the first octet of a request to the next rest.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep_until;

use super::activity::{Activity, ActivityVerdict};
use super::desk::{ConnectionEnd, RequestDesk};
use super::front::Front;
use super::heads::HeadTimer;
use super::socket::{Leaving, Reset};
use super::streams::Streams;
use super::{Answer, Event, Limits, TooSlow, Unreadable};

/// Time for a connection to send its last bytes, after it was told to end.
pub(super) const LAST_OCTETS: Duration = Duration::from_secs(5);

/// How a connection is told to take no further request, and the time that it then has if it was
/// idle.
type Shut<C> = (fn(Pin<&mut C>), Duration);

/// What a connection came to.
enum Served {
    /// hyper is done with it.
    Ended(hyper::Result<()>),
    /// Its client left, and nothing has to be answered.
    Left,
    /// All is answered, so there is another time to look at it.
    Answered,
}

/// Speaks HTTP/1 until the connection rests, and gives its bytes back; `None` if it is over.
pub(super) async fn speaks_http1<T: AsyncRead + AsyncWrite + Unpin>(
    front: Front<T>,
    desk: RequestDesk<impl Answer>,
    end: &ConnectionEnd<'_>,
) -> Option<Front<T>> {
    let mut http = http1::Builder::new();
    http.timer(HeadTimer(desk.activity.clone()))
        .header_read_timeout(end.limits.keep_alive)
        // `goes_on` looks for the end itself.
        .half_close(Leaving::SEEN)
        .max_buf_size(end.limits.head_size)
        .max_headers(end.limits.head_fields);
    let service = service_fn(|request| desk.answer(request));
    let mut connection = http.serve_connection(TokioIo::new(front), service);
    // A head that has not come by then is not waited for.
    let shut: Shut<_> = (http1::Connection::graceful_shutdown, Duration::ZERO);
    if !goes_on(Pin::new(&mut connection), shut, &desk, end).await {
        return None;
    }
    // hyper has the last word. Told to end, it does so at once only between two requests.
    Pin::new(&mut connection).graceful_shutdown();
    let parts = tokio::select! {
        biased;
        parts = connection.without_shutdown() => parts.ok()?,
        () = std::future::ready(()) => return None,
    };
    let mut front = parts.io.into_inner();
    front.give_back(&parts.read_buf);
    Some(front)
}

/// Speaks HTTP/2 until the connection is over. What h2 holds can't be taken from it, so such a
/// connection does not rest.
pub(super) async fn speaks_http2<T>(
    front: Front<T>,
    desk: RequestDesk<impl Answer>,
    end: &ConnectionEnd<'_>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = http2(end.limits, desk.streams.clone());
    let service = service_fn(|request| desk.answer(request));
    let connection = pin!(http.serve_connection(TokioIo::new(front), service));
    // A request that was sent before the client learned of the end is still answered (RFC 9113
    // section 6.8).
    goes_on(connection, (http2::Connection::graceful_shutdown, LAST_OCTETS), &desk, end).await;
}

/// True if the connection rests, false if it is over.
async fn goes_on<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    (shut, last): Shut<C>,
    desk: &RequestDesk<impl Answer>,
    end: &ConnectionEnd<'_>,
) -> bool {
    let activity = &desk.activity;
    let mut left = pin!(end.leaving.seen());
    let (mut has_left, mut ending) = (false, false);
    loop {
        let look = activity.next_look();
        let served = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Served::Ended(ended));
            }
            // While hyper answers a request, it does not look for the end of what the client sends.
            has_left = has_left || left.as_mut().poll(cx).is_ready();
            match () {
                () if has_left && activity.client_left() => Poll::Ready(Served::Left),
                () if activity.rests_before(look) => Poll::Ready(Served::Answered),
                () => Poll::Pending,
            }
        });
        tokio::select! {
            // Whatever can be done is done before a verdict.
            biased;
            told = served => match told {
                Served::Ended(told) => {
                    told.unwrap_or_else(|error| ended(&desk.answer, &error));
                    return false;
                }
                Served::Left => {
                    tracing::debug!("a client left before its call was sent");
                    return false;
                }
                Served::Answered => {}
            },
            () = end.drain.cancelled(), if !ending => {
                ending = true;
                activity.ends(LAST_OCTETS);
                shut(connection.as_mut());
            }
            () = sleep_until(look) => match activity.verdict() {
                ActivityVerdict::Fine => {}
                ActivityVerdict::Rests => return true,
                ActivityVerdict::Idle if !ending => {
                    ending = true;
                    activity.ends(last);
                    shut(connection.as_mut());
                }
                ActivityVerdict::Idle => return false,
                ActivityVerdict::Slow(limit) => {
                    desk.answer.happened(Event::TooSlow(limit));
                    if ends_for(limit, activity, &end.reset) {
                        return false;
                    }
                }
            },
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

fn http2(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        // Against rapid resets (CVE-2023-44487): beyond this number the connection is closed.
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}
