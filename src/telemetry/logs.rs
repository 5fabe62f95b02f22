//! Logs: one line for each finished call and one for each event, on standard output, as JSON or for
//! people.
//!
//! A thread of its own writes them. So a reader that does not keep up costs lines, which are
//! counted, and never delays a call. Levels and form follow the configuration at each reload.

mod event;
mod form;
mod levels;
mod line;
mod member;
mod writer;

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use opentelemetry::trace::TraceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::metadata::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::record::{Breakdown, Marks, Record};
pub use form::Format;
use form::{Form, Lines};
pub use levels::{Level, Target};
use line::AccessLine;
pub use writer::{Flush, Writer};

/// What is logged on standard output, and in which form: the table `[logs]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `"json"`: one JSON object a line. `"human"`: short lines for people, in UTC. `"auto"`: for
    /// people on a terminal, JSON elsewhere. Only terminals get colours, and none if `NO_COLOR` is
    /// set.
    pub format: Format,
    /// The lowest level that is written: `"off"`, `"error"`, `"warn"`, `"info"`, `"debug"`,
    /// `"trace"`. Libraries never log more than warnings.
    pub level: Level,
    /// Levels of single targets, such as `{ access = "warn", "tollgate::server" = "debug" }`. The
    /// longest name that matches counts. `access` is the line of each finished call. It is a
    /// warning if the call ended in a 5xx, a cut answer or Courier's own 429, and else of level
    /// `info`. `audit` is what operators do on the admin port, and what is refused to them; its lines
    /// are always JSON. `tollgate` is everything else. `tollgate::admission` covers the slots kept over a
    /// restart. `tollgate::app` covers the ports, and what is left at a stop. `tollgate::cli`
    /// covers the line of a start, signals and reloads. `tollgate::edge` says why calls failed.
    /// `tollgate::shared` covers the Redis that replicas share. `tollgate::server` covers client
    /// sockets. `tollgate::stage` covers Courier and its tokens. `tollgate::telemetry` covers the
    /// usage files.
    pub levels: levels::Map,
}

/// The log of the process. The last lines are written when it is dropped.
pub struct Logs {
    writer: Writer,
    choice: Arc<ArcSwap<Choice>>,
    filter: reload::Handle<Targets, Registry>,
    around: Surroundings,
    _flush: Flush,
}

/// Where access lines go.
#[derive(Clone)]
pub struct AccessLog {
    output: Output,
    choice: Arc<ArcSwap<Choice>>,
}

/// Who takes the lines.
#[derive(Clone)]
enum Output {
    Writer(Writer),
    Given(Arc<dyn Fn(Vec<u8>) + Send + Sync>),
}

thread_local! {
    /// Where a thread makes its lines.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A longer buffer is not kept for the next line.
const LONG: usize = 4 << 10;

/// What applies until the next reload.
#[derive(Clone)]
struct Choice {
    form: Form,
    /// The lowest level of access lines that are written.
    access: LevelFilter,
}

/// What the configuration does not say: the terminal and the environment.
struct Surroundings {
    terminal: bool,
    colours: bool,
    rust_log: Option<Targets>,
}

// === impl LogSettings ===

impl LogSettings {
    fn choose(&self, around: &Surroundings, now: &[(Target, Level)]) -> (Targets, Choice) {
        let targets = around.rust_log.clone().unwrap_or_else(|| levels::targets(self));
        let now = now.iter().map(|(target, level)| (target.as_str(), LevelFilter::from(*level)));
        let targets = targets.with_targets(now);
        // It repeats what Redis says, and Redis may repeat a password.
        let targets = targets.with_target("redis", LevelFilter::OFF);
        let form = self.format.on(around.terminal, around.colours);
        let access = levels::access(&targets);
        (targets, Choice { form, access })
    }
}

// === impl Surroundings ===

impl Surroundings {
    /// The surroundings of this process, and what is wrong with `RUST_LOG`.
    fn here() -> (Self, Option<String>) {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (rust_log, wrong) = match set("RUST_LOG").map(|text| text.parse::<Targets>()) {
            None => (None, None),
            Some(Ok(targets)) => (Some(targets), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let terminal = std::io::stdout().is_terminal();
        (Self { terminal, colours: terminal && set("NO_COLOR").is_none(), rust_log }, wrong)
    }
}

// === impl Logs ===

impl Logs {
    /// Starts the writer thread, and sends `tracing` events to it.
    #[must_use]
    pub fn start(wanted: &LogSettings) -> Self {
        let (writer, flush) = Writer::start(std::io::stdout());
        let (around, wrong) = Surroundings::here();
        let (targets, choice) = wanted.choose(&around, &[]);
        let choice = Arc::new(ArcSwap::from_pointee(choice));
        let (filter, handle) = reload::Layer::new(targets);
        let subscriber = tracing_subscriber::registry().with(filter);
        // A second start in one process (tests) keeps the first subscriber.
        let _ = subscriber.with(events(choice.clone(), writer.clone())).try_init();
        if let Some(cause) = wrong {
            tracing::warn!(cause, "RUST_LOG is not understood: the configuration's levels hold");
        }
        Self { writer, choice, filter: handle, around, _flush: flush }
    }

    /// Applies `wanted` from now on; `now` are an operator's levels, which stand before them and
    /// before `RUST_LOG`.
    pub fn follow(&self, wanted: &LogSettings, now: &[(Target, Level)]) {
        let (targets, choice) = wanted.choose(&self.around, now);
        self.choice.store(Arc::new(choice));
        // This fails only when the subscriber is gone, and then nothing is left to filter.
        let _ = self.filter.reload(targets);
    }

    /// An access log that writes to the same output.
    #[must_use]
    pub fn access(&self) -> AccessLog {
        AccessLog { choice: self.choice.clone(), ..AccessLog::through(self.writer.clone()) }
    }
}

/// The layer that writes events.
fn events<S, W>(choice: Arc<ArcSwap<Choice>>, writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer().event_format(Lines::new(choice)).with_writer(writer)
}

// === impl AccessLog ===

impl AccessLog {
    /// An access log that gives each line, as JSON and with its line feed, to `write`, which must
    /// not block.
    pub fn new(write: impl Fn(Vec<u8>) + Send + Sync + 'static) -> Self {
        Self::of(Output::Given(Arc::new(write)), tracing::metadata::LevelFilter::INFO)
    }

    /// An access log that puts each line, as JSON, into `writer`.
    #[must_use]
    pub fn through(writer: Writer) -> Self {
        Self::of(Output::Writer(writer), tracing::metadata::LevelFilter::INFO)
    }

    /// No access log.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Output::Given(Arc::new(drop)), LevelFilter::OFF)
    }

    fn of(output: Output, access: tracing::metadata::LevelFilter) -> Self {
        let choice = Choice { form: Form::Json, access };
        Self { output, choice: Arc::new(ArcSwap::from_pointee(choice)) }
    }

    /// Lines dropped so far for lack of room, of this log and of the process's own events.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        match &self.output {
            Output::Writer(writer) => writer.dropped(),
            Output::Given(_) => 0,
        }
    }

    /// Writes the line of a finished call, if its level is wanted; its parts took `time`, and
    /// `trace` is its trace.
    pub fn write(&self, record: &Record, marks: &Marks, time: &Breakdown, trace: Option<TraceId>) {
        let choice = self.choice.load();
        let level = line::level(marks);
        if level > choice.access {
            return;
        }
        let write = |line: &mut Vec<u8>| {
            let what = AccessLine { level, record, marks, time, trace };
            line::write(line, choice.form, &what);
        };
        match &self.output {
            Output::Writer(writer) => {
                // A thread that is ending has none any more.
                let mut line = LINE.try_with(RefCell::take).unwrap_or_default();
                write(&mut line);
                writer.put(&line);
                line.shrink_to(LONG);
                let _ = LINE.try_with(|kept| kept.replace(line));
            }
            Output::Given(take) => {
                let mut line = Vec::new();
                write(&mut line);
                take(line);
            }
        }
    }
}

#[cfg(test)]
mod tests;
