//! Every span, event and attribute, with what it says: one table for the code, the tests and
//! `docs/traces.md`.
//!
//! No attribute ever holds a path, a query, a body, a secret or a word that a client chose: ids in
//! paths are often e-mail addresses. `url.path`, `url.full` and `client.address`, which the
//! semantic conventions ask for, are left out for that reason. Keys that do not begin with `tollgate.`
//! are theirs, of the version that `SCHEMA_URL` names.

use std::fmt::Write as _;

use opentelemetry::{KeyValue, Value};

/// The semantic conventions of OpenTelemetry that spans and their resource are written by.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// One kind of span or event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanPart {
    /// The span of a call.
    Call,
    /// The span of one wait for a turn.
    Wait,
    /// The span of one try at the vendor.
    Try,
    /// An event in the span of a call: what the cache did.
    Cache,
    /// An event in the span of a try: it was handed to a socket.
    Sent,
}

impl SpanPart {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Call, Self::Wait, Self::Try, Self::Cache, Self::Sent];

    /// The name, or how it is made.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call | Self::Try => "{method} {template}",
            Self::Wait => "queue",
            Self::Cache => "tollgate.cache",
            Self::Sent => "tollgate.sent",
        }
    }

    /// Kind, place and meaning.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Call => {
                "SERVER span of a call: from its head until its answer was handed over whole, or until its flight ended. \
                 Without an operation its name is the method alone. Status `Error` on 5xx and on an answer that broke off"
            }
            Self::Wait => "INTERNAL span below the call's: one wait for a turn in the quota",
            Self::Try => {
                "CLIENT span below the call's: one try at Courier, from asking for a socket until the head of its answer. \
                 Status `Error` on 4xx, 5xx and when no answer came"
            }
            Self::Cache => {
                "Event in the call's span: the moment when the cache decided. An event and no span, since a look-up takes no \
                 time of its own, and what it waits for has spans here or in the call that asked Courier"
            }
            Self::Sent => "Event in a try's span: the moment when it was handed to a socket",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// The key.
    pub key: &'static str,
    /// Where it can stand.
    pub on: &'static [SpanPart],
    /// What it says.
    pub help: &'static str,
}

impl Attribute {
    /// The attribute with its value.
    pub(super) fn is(self, value: impl Into<Value>) -> KeyValue {
        KeyValue::new(self.key, value)
    }
}

macro_rules! attributes {
    ($($(#[doc = $help:literal])* $name:ident = $key:expr, $($part:ident)+;)*) => {
        $($(#[doc = $help])*
        pub(super) const $name: Attribute =
            Attribute { key: $key, on: &[$(SpanPart::$part),+], help: concat!($($help),*).trim_ascii() };)*

        /// The table.
        pub const TABLE: &[Attribute] = &[$($name),*];
    };
}

attributes! {
    /// The method; `_OTHER` for one that HTTP does not know.
    METHOD = "http.request.method", Call Try;
    /// The catalogue's template, never the path. Absent when no operation was found.
    ROUTE = "http.route", Call;
    /// The same at Courier.
    TEMPLATE = "url.template", Try;
    /// `http` or `https`.
    SCHEME = "url.scheme", Call;
    /// The version of HTTP: `1.1` or `2`.
    PROTOCOL = "network.protocol.version", Call;
    /// The status of the answer.
    STATUS = "http.response.status_code", Call Try;
    /// Why the span is an error: a code of the gateway's, the status, `cut` for an answer that broke off, `abandoned` for a try that was given up.
    ERROR = "error.type", Call Try;
    /// Courier's host.
    HOST = "server.address", Try;
    /// Its port.
    PORT = "server.port", Try;
    /// How many tries of the call came before; absent on the first one.
    RESENT = "http.request.resend_count", Try;
    /// The gateway's name for the call, as in `Tollgate-Call-Id` and the access line.
    CALL_ID = "tollgate.call_id", Call;
    /// The tenant of the key.
    TENANT = "tollgate.tenant", Call;
    /// The app of the key.
    APP = "tollgate.app", Call;
    /// The connection.
    CONNECTION = "tollgate.connection", Call;
    /// The operation.
    OPERATION = "tollgate.operation", Call;
    /// Why the call ended as it did, as `code` of the access line.
    CODE = "tollgate.code", Call;
    /// What is known of a call that the gateway answered itself: `not-sent` or `unknown`.
    OUTCOME = "tollgate.outcome", Call;
    /// Tries that reached a socket.
    ATTEMPTS = "tollgate.attempts", Call;
    /// Where the idempotency key is from: `given`, `made` or `recognised`.
    KEY_USE = "tollgate.key_use", Call;
    /// True when the answer was given before, under the same key.
    REPLAYED = "tollgate.replayed", Call;
    /// The lane of the queue.
    LANE = "tollgate.lane", Call Wait;
    /// What the cache did: `hit`, `stale`, `shared`, `revalidated`, `stored`, `miss` or `bypass`.
    CACHE = "tollgate.cache", Call Cache;
    /// The age of the copy, in seconds.
    AGE = "tollgate.cache.age", Cache;
    /// Seconds in the queue, over all tries. This and the four below are what `Server-Timing` said, and add up to the time until the answer's head.
    QUEUE_TIME = "tollgate.time.queue", Call;
    /// Seconds that Courier took, over all tries: from the send of each until the head of its answer, or until it failed.
    VENDOR_TIME = "tollgate.time.vendor", Call;
    /// Seconds until the head that are in none of the others; getting a socket is among them.
    GATEWAY_TIME = "tollgate.time.gateway", Call;
    /// Seconds in which the request's body was read. Absent where there was none.
    UPLOAD_TIME = "tollgate.time.upload", Call;
    /// Seconds between tries. Absent where there were none.
    BACKOFF_TIME = "tollgate.time.backoff", Call;
    /// The rule by which the wait ended without a turn.
    REFUSED = "tollgate.refused", Wait;
}

/// The attribute of a part of the time, by its word in `Server-Timing`.
pub(super) fn time(word: &str) -> Attribute {
    match word {
        "queue" => QUEUE_TIME,
        "vendor" => VENDOR_TIME,
        "upload" => UPLOAD_TIME,
        "backoff" => BACKOFF_TIME,
        _ => GATEWAY_TIME,
    }
}

/// `docs/traces.md`.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(
        "# Traces\n\n\
         Made from the table in `src/telemetry/traces/table.rs`; a test holds the two together\n\
         (`UPDATE=1 cargo test --test gateway traces` writes it). How to turn traces on stands under `[traces]` in\n\
         [the reference](../config/reference.md).\n\n\
         Spans are made when a call is over and sent as OTLP over HTTP in protobuf. All errors and all slow calls are\n\
         kept, the others by ratio. A call whose spans find no room in the queue loses all of them, never some;\n\
         `tollgate_spans_dropped_total` counts them, and those that the collector did not take.\n\n\
         ## Spans and events\n\n| name | what it is |\n| --- | --- |\n",
    );
    for part in SpanPart::ALL {
        let _ = writeln!(text, "| `{}` | {}. |", part.name(), part.help());
    }
    text.push_str(
        "\n## Attributes\n\n\
         No attribute holds a path, a query, a body, a secret or a word that a client chose. `url.path`, `url.full` and\n\
         `client.address`, which the semantic conventions ask for, are left out: ids in paths are often e-mail addresses.\n\n\
         | attribute | on | what it says |\n| --- | --- | --- |\n",
    );
    for row in TABLE {
        let on: Vec<_> = row.on.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", row.key, on.join(", "), row.help);
    }
    text
}
