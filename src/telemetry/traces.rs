//! Traces: spans made from finished records, so that no call holds one, and all errors and all slow
//! calls can be kept at a small ratio. A collector that is away costs spans, which are counted.

mod build;
mod export;
pub mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use opentelemetry::trace::TraceId;
#[cfg(feature = "testing")]
use opentelemetry_sdk::trace::SpanData;

use crate::ids::ConnectionId;
use crate::record::{Marks, Record, Sampling, Trace};
use export::Exporter;
pub use export::{CollectorAddress, Counts};

/// Which calls are traced, and what their spans say beyond the records.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The traces that are recorded, however the call ends.
    pub sampling: Sampling,
    /// Calls that took longer are kept.
    pub slow: Duration,
    /// `http` or `https`: what the data port speaks.
    pub scheme: &'static str,
    /// Host and port behind each connection.
    pub hosts: HashMap<ConnectionId, (Arc<str>, u16)>,
}

/// Makes spans of finished records.
pub struct Traces {
    counts: Counts,
    #[cfg(feature = "testing")]
    given: Option<Take>,
    running: ArcSwapOption<Running>,
}

/// Takes the spans of one call.
#[cfg(feature = "testing")]
type Take = Arc<dyn Fn(Vec<SpanData>) + Send + Sync>;

struct Running {
    rules: Rules,
    exporter: Option<Arc<Exporter>>,
}

impl Traces {
    /// Makes no traces until [`Self::reconfigure`] names a collector. `counts` counts the spans
    /// that left.
    #[must_use]
    pub fn new(counts: Counts) -> Self {
        Self {
            counts,
            #[cfg(feature = "testing")]
            given: None,
            running: ArcSwapOption::empty(),
        }
    }

    /// Gives the spans of each kept call to `take`, with or without a collector. `take` must not
    /// block.
    #[cfg(feature = "testing")]
    pub fn into(take: impl Fn(Vec<SpanData>) + Send + Sync + 'static) -> Self {
        Self { given: Some(Arc::new(take)), ..Self::new(Counts::default()) }
    }

    /// From now on calls are kept by `rules` and sent to `collector`. Without a collector there are
    /// no traces. Spans that wait for the collector before are still sent. Must be called inside a
    /// tokio runtime.
    pub fn reconfigure(&self, rules: Rules, collector: Option<CollectorAddress>) {
        let given = self.is_given();
        let collector = collector.filter(|_| !given);
        let exporter = collector.map(|to| Arc::new(Exporter::start(to, self.counts.clone())));
        let on = exporter.is_some() || given;
        let before = self.running.swap(on.then(|| Arc::new(Running { rules, exporter })));
        if let Some(before) = before.and_then(|before| before.exporter.clone()) {
            tokio::task::spawn_blocking(move || before.shut_down(before.patience()));
        }
    }

    /// Makes the spans of a finished call, if it is kept. Returns the trace in which the call can
    /// be found: its own, or else the one that its client named.
    pub fn finished(&self, record: &Record, marks: &Marks) -> Option<TraceId> {
        let named = marks.trace.named().map(|client| client.trace);
        let Some(running) = &*self.running.load() else { return named };
        let (now, trace) = (marks.ended(), record.trace(&marks.trace));
        let taken = now.saturating_duration_since(record.started);
        if !running.rules.keep(&trace, marks, taken) {
            return named;
        }
        let spans = build::spans(record, marks, &trace, &running.rules, now);
        #[cfg(feature = "testing")]
        if let Some(take) = &self.given {
            take(spans);
            return Some(trace.id);
        }
        let exporter = running.exporter.as_ref();
        let handed_over = exporter.is_some_and(|exporter| exporter.hand_over(spans));
        if handed_over { Some(trace.id) } else { named }
    }

    /// Whether a test or a bench gets the spans.
    #[cfg(feature = "testing")]
    const fn is_given(&self) -> bool {
        self.given.is_some()
    }

    #[cfg(not(feature = "testing"))]
    const fn is_given(&self) -> bool {
        false
    }

    /// Sends the spans that wait, for at most `within`. Later ones are dropped.
    pub async fn shut_down(&self, within: Duration) {
        let last = self.running.load_full().and_then(|running| running.exporter.clone());
        if let Some(exporter) = last {
            let within = within.min(exporter.patience());
            // The SDK waits for its thread, which waits for the collector.
            let flushed = tokio::task::spawn_blocking(move || exporter.shut_down(within)).await;
            if flushed.is_err() {
                tracing::error!("the last spans were not sent: their exporter failed");
            }
        }
    }
}

impl Rules {
    /// Whether the spans of a call are kept. Errors (a 5xx of the vendor or of the gateway, an
    /// answer that was cut) and slow calls always are. All others are kept by the ratio, refusals
    /// too, because an app that is refused all the time would leave no room for errors.
    fn keep(&self, trace: &Trace, marks: &Marks, taken: Duration) -> bool {
        let failed = marks.broken || marks.status.is_some_and(|status| status.is_server_error());
        failed || taken > self.slow || self.sampling.picks(trace)
    }
}
