//! Sends spans to the collector, by a bounded queue, a thread of the SDK that waits for the
//! collector, and our own HTTP client.
//!
//! Each span that was handed over is counted exactly once, as exported or as dropped. The SDK's own
//! logs are off, because it logs each batch that fails. Here only a change is logged.

mod pause;
mod refused;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};
use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::tls;
use pause::Pause;

/// The most bytes of a collector's answer that are read; no collector needs as many.
const ANSWER_MAX: usize = 64 << 10;

/// The spans that left the gateway's queue.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The collector took them.
    pub exported: Counter,
    /// There was no room for them, or the collector did not take them.
    pub dropped: Counter,
}

/// Where spans go, and how many may be under way.
pub struct CollectorAddress {
    /// The whole URL of the collector.
    pub url: String,
    /// Fields of each request; their values may be secrets.
    pub headers: HeaderMap,
    /// TLS to the collector.
    pub tls: tls::Client,
    /// Time for one request. No attempt begins later than this after the first one, unless the
    /// collector asks for a pause.
    pub timeout: Duration,
    /// The most spans that may wait, including those of the request under way.
    pub queue: usize,
    /// The most spans in one request.
    pub batch: usize,
    /// The longest that a span waits for others.
    pub interval: Duration,
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: Arc<str>,
}

/// Sends spans to one collector.
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    queue: Arc<Queue>,
    timeout: Duration,
}

/// The spans in the queue, and what became of those that left it.
#[derive(Debug)]
struct Queue {
    room: usize,
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// Cancelled at the end; then no pause is waited out any more.
    end: CancellationToken,
    /// True if the last news was that spans are lost.
    losing: AtomicBool,
    /// Spans of the request under way that the collector refused.
    rejected: AtomicU64,
    /// Why the last request failed, as far as its sender knows: the SDK tells less.
    cause: Mutex<Option<String>>,
    /// The collector, without what may be a secret.
    endpoint: String,
    counts: Counts,
}

/// The SDK's exporter, and a count of what it did.
#[derive(Debug)]
struct Counted {
    inner: opentelemetry_otlp::SpanExporter,
    queue: Arc<Queue>,
}

/// Sends requests on the gateway's runtime, since the SDK's thread has no reactor.
struct Bridge {
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    headers: HeaderMap,
    timeout: Duration,
    queue: Arc<Queue>,
    pause: Arc<Pause>,
}

// === impl Exporter ===

impl Exporter {
    /// Starts the thread that sends.
    pub(super) fn start(to: CollectorAddress, counts: Counts) -> Self {
        let endpoint = endpoint(&to.url);
        let queue = Arc::new(Queue { endpoint, ..Queue::new(to.queue, counts) });
        let resource = resource(&to);
        let bridge = Bridge {
            runtime: Handle::current(),
            client: Client::builder(TokioExecutor::new()).build(tls::connector(to.tls)),
            headers: to.headers,
            timeout: to.timeout,
            queue: queue.clone(),
            pause: Arc::default(),
        };
        let mut inner = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(to.url)
            .with_timeout(to.timeout)
            .with_http_client(bridge)
            .build()
            .expect("a URL that was parsed and a client are all that an exporter needs");
        inner.set_resource(&resource);
        let exporter = Counted { inner, queue: queue.clone() };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(to.queue)
            .with_max_export_batch_size(to.batch)
            .with_scheduled_delay(to.interval)
            .build();
        Self { processor: BatchSpanProcessor::new(exporter, config), queue, timeout: to.timeout }
    }

    /// Takes the spans of one call, all or none; false if it took none. It never waits.
    pub(super) fn hand_over(&self, spans: Vec<SpanData>) -> bool {
        let room = self.queue.enter(spans.len());
        if room {
            spans.into_iter().for_each(|span| self.processor.on_end(span));
        }
        room
    }

    /// The longest useful wait for the collector at the end.
    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    /// Sends the spans that wait, and blocks for at most `within`.
    pub(super) fn shut_down(&self, within: Duration) {
        self.queue.closed.store(true, Ordering::Release);
        self.queue.end.cancel();
        let ended = self.processor.shutdown_with_timeout(within);
        let left = self.queue.waiting.load(Ordering::Acquire);
        if ended.is_ok() {
            // The thread has ended. Spans that came meanwhile will not be taken.
            self.queue.leave(left, 0);
        } else {
            tracing::warn!(spans = left, "the collector did not take the last spans in time");
        }
    }
}

fn resource(to: &CollectorAddress) -> Resource {
    let attributes = [
        ("service.name", to.service.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", to.instance.to_string()),
    ];
    Resource::builder_empty()
        .with_detector(Box::new(opentelemetry_sdk::resource::TelemetryResourceDetector))
        .with_attributes(attributes.map(|(key, value)| KeyValue::new(key, value)))
        .build()
}

/// Scheme, host and path of a collector's URL. They name the collector and hold no secret.
fn endpoint(url: &str) -> String {
    let uri: http::Uri = url.parse().unwrap_or_default();
    let host = uri.authority().map_or("", |all| all.as_str().rsplit('@').next().unwrap_or(""));
    format!("{}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

// === impl Queue ===

impl Queue {
    fn new(room: usize, counts: Counts) -> Self {
        Self {
            room,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            end: CancellationToken::new(),
            losing: AtomicBool::new(false),
            rejected: AtomicU64::new(0),
            cause: Mutex::default(),
            endpoint: String::new(),
            counts,
        }
    }

    /// Takes room for all `spans`, or for none; false for none.
    fn enter(&self, spans: usize) -> bool {
        let more = |waiting| Some(waiting + spans).filter(|all| *all <= self.room);
        let open = !self.closed.load(Ordering::Acquire);
        if open && self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok() {
            return true;
        }
        self.counts.dropped.inc_by(spans as u64);
        if open {
            self.loses("no room in the queue");
        }
        false
    }

    /// `spans` are no longer under way. The collector has `exported` of them.
    fn leave(&self, spans: usize, exported: usize) {
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        self.counts.exported.inc_by(exported as u64);
        self.counts.dropped.inc_by((spans - exported) as u64);
    }

    fn loses(&self, reason: &str) {
        if !self.losing.swap(true, Ordering::AcqRel) {
            let endpoint = self.endpoint.as_str();
            tracing::warn!(
                reason,
                endpoint,
                "spans are lost; tollgate_spans_dropped_total counts them"
            );
        }
    }

    fn sends(&self) {
        if self.losing.swap(false, Ordering::AcqRel) {
            tracing::info!("spans reach the collector again");
        }
    }
}

// === impl Counted ===

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        let rejected = self.queue.rejected.swap(0, Ordering::AcqRel);
        let rejected = usize::try_from(rejected).unwrap_or(spans).min(spans);
        match &result {
            Ok(()) if rejected == 0 => {
                self.queue.leave(spans, spans);
                self.queue.sends();
            }
            Ok(()) => {
                self.queue.leave(spans, spans - rejected);
                self.queue.loses("the collector refused some");
            }
            Err(error) => {
                self.queue.leave(spans, 0);
                let cause = self.queue.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.queue.loses(&cause.unwrap_or_else(|| error.to_string()));
            }
        }
        result
    }
}

// === impl Bridge ===

impl Bridge {
    /// The body with the fields of the configuration, and nothing that the environment added.
    fn request(&self, request: Request<Bytes>) -> Request<Full<Bytes>> {
        let (mut head, body) = request.into_parts();
        let kind = head.headers.remove(header::CONTENT_TYPE);
        head.headers = self.headers.clone();
        head.headers.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        Request::from_parts(head, Full::new(body))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = self.request(request);
        let (client, limit) = (self.client.clone(), self.timeout);
        let ask = move || {
            let asking = client.request(request.clone());
            let answered = async move {
                let (head, body) = asking.await?.into_parts();
                let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            async move { timeout(limit, answered).await? }
        };
        let (pause, end) = (self.pause.clone(), self.queue.end.clone());
        let answer = self.runtime.spawn(async move { pause.kept(ask, &end).await }).await?;
        let cause = answer.as_ref().err().map(|error| chain(error.as_ref()));
        *self.queue.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        let answer = answer?;
        if answer.status().is_success() {
            let rejected = refused::rejected_spans(answer.body());
            self.queue.rejected.store(rejected, Ordering::Release);
        }
        Ok(answer)
    }
}

impl HttpClient for Bridge {
    /// The signature is the one that `async_trait` gave the trait's method.
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.send(request))
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bridge(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_without_its_secrets() {
        let named = endpoint("https://user:pass@collector.example:4318/v1/traces?key=secret");
        assert_eq!(named, "https://collector.example:4318/v1/traces");
    }

    #[test]
    fn each_span_ends_in_one_of_two_counters() {
        let counts = Counts::default();
        let queue = Queue::new(10, counts.clone());
        assert!(queue.enter(6) && queue.enter(4));
        assert!(!queue.enter(1), "full");
        queue.leave(6, 6);
        assert!(!queue.enter(7), "all or none");
        queue.leave(4, 1);
        queue.closed.store(true, Ordering::Release);
        assert!(!queue.enter(1), "closed");
        assert_eq!(queue.waiting.load(Ordering::Acquire), 0);
        assert_eq!((counts.exported.get(), counts.dropped.get()), (7, 1 + 7 + 3 + 1));
    }
}
