//! One client connection from its first octet to its last.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Answering, Verdict};
use super::{Answer, Event, Limits, RequestBody, Unreadable};
use crate::error::Cause;

/// Time that a connection has to send its last octets after it was told to end.
const LAST_OCTETS: Duration = Duration::from_secs(5);

/// Serves `io` until it ends, breaks a limit, or `drain` is cancelled and its calls are answered.
pub(super) async fn serve<A: Answer>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    limits: Limits,
    answer: A,
    drain: CancellationToken,
) {
    let activity = Arc::new(Activity::new(&limits));
    let (watched, observer) = (activity.clone(), answer.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (answer, answering) = (answer.clone(), Answering::begin(watched.clone()));
        async move {
            let (head, body) = request.into_parts();
            let request = http::Request::from_parts(head, ());
            let body = RequestBody::of(&request, body);
            let response = answer.answer(request.map(|()| body)).await;
            Ok::<_, Infallible>(response.map(|inner| Watched { inner, answering }))
        }
    });
    let builder = builder(&limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut draining = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    ended(&observer, error.as_ref());
                }
                return;
            }
            () = drain.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(activity.next_look()) => match activity.verdict() {
                Verdict::Fine => {}
                Verdict::Idle => {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(LAST_OCTETS, connection.as_mut()).await;
                    return;
                }
                Verdict::Slow(limit) => {
                    observer.happened(Event::TooSlow(limit));
                    tracing::debug!(limit = limit.as_str(), "client connection closed");
                    return;
                }
            },
        }
    }
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

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
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
    builder
}

pin_project! {
    /// An answer's body that tells the connection's watch when the client owes it a read.
    struct Watched<B> {
        #[pin]
        inner: B,
        answering: Answering,
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
        let frame = ready!(this.inner.poll_frame(cx));
        this.answering.gave();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
