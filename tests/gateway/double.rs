//! A vendor in process whose stages a test controls, over HTTP/1.1 or HTTP/2, and a gateway before
//! it. What it does with a call is in the last segment of the path.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tollgate::call::{self, BoxFuture};
use tollgate::error::Cause;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::upstream::{Dial, Line};

use crate::support::{Lines, Setup, request};

/// Where the opening of a line can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The name look-up.
    Name,
    /// The TCP connect.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// After it: the vendor says nothing, not even its SETTINGS.
    Silence,
}

/// The vendor, and what it saw.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) h2: bool,
    /// Streams that it takes at a time on one HTTP/2 socket; 0 for hyper's own number.
    pub(crate) streams: u32,
    /// How long it takes to say anything on a new line.
    pub(crate) greets_after: Duration,
    pub(crate) hold: Mutex<Option<Stage>>,
    /// Lines whose opening has come to the stage that is held.
    pub(crate) held: AtomicUsize,
    /// Lines that were opened.
    pub(crate) opened: AtomicUsize,
    /// So many of the next calls are refused with REFUSED_STREAM.
    pub(crate) refuses: AtomicU32,
    /// Heads that arrived and were not refused: what it may count for its quota.
    pub(crate) heads: Mutex<HashMap<String, u32>>,
    /// By path, how often a body came whole.
    pub(crate) whole: Mutex<HashMap<String, u32>>,
    /// When it counted each call: as it came, or when the gateway gave up on it.
    pub(crate) counted_at: Mutex<Vec<Instant>>,
    pub(crate) going_on: Notify,
}

impl Double {
    pub(crate) fn new(h2: bool) -> Self {
        Self { h2, ..Self::default() }
    }

    /// Calls that arrived, over all paths.
    pub(crate) fn counted(&self) -> usize {
        self.heads.lock().unwrap().values().map(|count| *count as usize).sum()
    }

    /// How often each path arrived.
    pub(crate) fn arrived(&self) -> HashMap<String, u32> {
        self.heads.lock().unwrap().clone()
    }

    /// Nothing is held from now on, and what was held goes on.
    pub(crate) fn go_on(&self) {
        *self.hold.lock().unwrap() = None;
        self.going_on.notify_waiters();
    }

    async fn stages(&self) -> Option<Stage> {
        for stage in [Stage::Name, Stage::Tcp, Stage::Tls] {
            if *self.hold.lock().unwrap() == Some(stage) {
                self.held.fetch_add(1, Ordering::SeqCst);
                self.going_on.notified().await;
            }
            tokio::task::yield_now().await;
        }
        *self.hold.lock().unwrap()
    }

    async fn answer(
        &self,
        call: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Cause>>, h2::Error> {
        let less = |left: u32| left.checked_sub(1);
        if self.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(h2::Reason::REFUSED_STREAM.into());
        }
        let path = call.uri().path().to_owned();
        *self.heads.lock().unwrap().entry(path.clone()).or_default() += 1;
        let word = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut words = word.split('-');
        let word = words.next().unwrap_or_default();
        // Any other is counted here, where its guard ends.
        let _late = (word == "late").then_some(Counting(self));
        if word == "unread" {
            // Keeps the body, and reads nothing of it.
            let _body = call.into_body();
            return std::future::pending().await;
        }
        call.into_body().collect().await.map_err(|_| h2::Reason::CANCEL)?;
        *self.whole.lock().unwrap().entry(path.clone()).or_default() += 1;
        let answer = match word {
            "hang" | "late" => std::future::pending().await,
            "drip" => {
                let first =
                    futures_util::stream::iter([Ok::<_, Cause>(Frame::data(Bytes::from("[")))]);
                let body = StreamBody::new(first.chain(futures_util::stream::pending()));
                Response::new(call::stream(body))
            }
            "large" => Response::new(call::full(vec![b' '; 400_000])),
            "busy" if self.heads.lock().unwrap()[&path] == 1 => {
                let mut busy = Response::new(call::full("{}"));
                *busy.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                busy
            }
            "heady" => {
                let mut answer = Response::new(call::full("{}"));
                for n in 0..90 {
                    let name = http::HeaderName::try_from(format!("x-long-{n}")).unwrap();
                    answer.headers_mut().insert(name, "v".repeat(1_000).parse().unwrap());
                }
                answer
            }
            "slow" => {
                let ms = words.next().and_then(|ms| ms.parse().ok()).unwrap_or_default();
                sleep(Duration::from_millis(ms)).await;
                Response::new(call::full("{}"))
            }
            _ => {
                sleep(Duration::from_millis(20)).await;
                Response::new(call::full("{}"))
            }
        };
        Ok(answer.map(BodyExt::boxed_unsync))
    }
}

/// A call that is counted as late as it can be: when nothing of it is under way any more.
struct Counting<'a>(&'a Double);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.counted_at.lock().unwrap().push(Instant::now());
    }
}

/// [`Double`] as a way to open lines.
pub(crate) struct Reach(pub(crate) Arc<Double>);

impl Dial for Reach {
    fn dial(&self, _: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        let double = self.0.clone();
        Box::pin(async move {
            let hold = double.stages().await;
            double.opened.fetch_add(1, Ordering::SeqCst);
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let h2 = double.h2;
            if hold == Some(Stage::Silence) {
                double.held.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    double.going_on.notified().await;
                    serve(double.clone(), TokioIo::new(theirs)).await;
                });
            } else {
                tokio::spawn(serve(double, TokioIo::new(theirs)));
            }
            Ok(Line { io: Box::new(TokioIo::new(ours)), h2 })
        })
    }
}

async fn serve(double: Arc<Double>, io: TokioIo<tokio::io::DuplexStream>) {
    sleep(double.greets_after).await;
    let (h2, streams) = (double.h2, double.streams);
    let service = service_fn(move |call| {
        let double = double.clone();
        async move { double.answer(call).await }
    });
    // How a connection ends is the gateway's business here.
    if h2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        if streams > 0 {
            builder.max_concurrent_streams(streams);
        }
        let _ = builder.serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

/// A gateway before a [`Double`].
pub(crate) struct Front {
    pub(crate) double: Arc<Double>,
    pub(crate) setup: Setup,
    pub(crate) state: State,
    pub(crate) pipeline: Pipeline,
    pub(crate) lines: Lines,
}

impl Front {
    pub(crate) fn new(setup: Setup, double: Double) -> Self {
        let (double, lines) = (Arc::new(double), Lines::default());
        let config = setup.config();
        let dial = Arc::new(Reach(double.clone()));
        let state = State::with_dial(&config, Telemetry::new(lines.log()), dial).unwrap();
        let pipeline = Pipeline::build(&config, &state);
        Self { double, setup, state, pipeline, lines }
    }

    /// A setup with `vendor` in its table `[vendor]`, and answers that are not kept.
    pub(crate) fn setup(vendor: &str, quota: &str) -> Setup {
        let head = format!("[cache]\noff = [\"brands.get\"]\n[vendor]\n{vendor}\n");
        Setup::with_quota(&head, &format!("[quota]\n{quota}\n"))
    }

    /// Starts a GET of a brand whose name says what the vendor does.
    pub(crate) fn get(
        &self,
        key: &str,
        name: &str,
    ) -> impl Future<Output = tollgate::pipeline::Response> + Send + use<> {
        self.start(request("GET", &format!("/brands/{name}"), key, ""))
    }

    pub(crate) fn start(
        &self,
        request: call::Request,
    ) -> impl Future<Output = tollgate::pipeline::Response> + Send + use<> {
        let pipeline = self.pipeline.clone();
        async move { pipeline.answer(request).await }
    }

    /// Slots of a connection's own pool that are not free.
    pub(crate) fn slots_held(&self, connection: &str) -> usize {
        let figures = self.state.admission().figures();
        let pools = figures.iter().flat_map(|workspace| &workspace.pools);
        let own =
            pools.filter(|pool| pool.owner.as_ref().is_some_and(|id| id.as_str() == connection));
        own.map(|pool| (pool.slots.in_use + pool.slots.resting) as usize).sum()
    }

    /// Calls of a connection that wait for their turn.
    pub(crate) fn waiting(&self, connection: &str) -> usize {
        let figures = self.state.admission().figures();
        let lanes = figures.iter().flat_map(|workspace| &workspace.lanes);
        let own = lanes.filter(|lane| lane.connection.as_str() == connection);
        own.map(|lane| lane.waiting as usize).sum()
    }
}

/// Lets all that can be done at this moment of the paused clock be done.
pub(crate) async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}
