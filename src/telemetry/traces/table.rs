//! Every span, event and attribute, with what it says: one table for the code, the tests and
//! `docs/traces.md`.
//!
//! No attribute ever holds a path, a query, a body, a secret or a word that a client chose: ids in
//! paths are often e-mail addresses. `url.path`, `url.full` and `client.address`, which the
//! semantic conventions ask for, are left out for that reason. Keys that do not begin with
//! `tollgate.` are theirs, of the version that `SCHEMA_URL` names.

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
    /// The span of one attempt at Courier.
    Attempt,
    /// An event in the span of a call: what the cache did.
    Cache,
    /// An event in the span of an attempt: it was handed to a socket.
    Sent,
}

impl SpanPart {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Call, Self::Wait, Self::Attempt, Self::Cache, Self::Sent];

    /// The name, or how it is made.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call | Self::Attempt => "{method} {template}",
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
                "SERVER span of a call: from its head until its answer was handed over whole. If it went on without its caller, \
                 until it ended. Without an operation its name is the method alone. Status `Error` on 5xx and on an answer that broke off"
            }
            Self::Wait => "INTERNAL span below the call's: one wait for a turn in the quota",
            Self::Attempt => {
                "CLIENT span below the call's: one attempt at Courier, from asking for a socket until the head of its answer. \
                 Status `Error` on 4xx, 5xx and when no answer came"
            }
            Self::Cache => {
                "Event in the call's span: the moment when the cache decided. It is no span, because a look-up takes no \
                 time of its own. What it waits for has spans here or in the call that asked Courier"
            }
            Self::Sent => {
                "Event in an attempt's span: the moment when the attempt was handed to a socket"
            }
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
    /// The method, or `_OTHER` for an unknown method.
    METHOD = "http.request.method", Call Attempt;
    /// The path template of the catalogue, never the path. Absent if no operation was found.
    ROUTE = "http.route", Call;
    /// The path template at Courier.
    TEMPLATE = "url.template", Attempt;
    /// `http` or `https`.
    SCHEME = "url.scheme", Call;
    /// The version of HTTP: `1.1` or `2`.
    PROTOCOL = "network.protocol.version", Call;
    /// The status of the answer.
    STATUS = "http.response.status_code", Call Attempt;
    /// Why the span is an error: a code of the gateway, the status, `cut` (the answer broke off) or
    /// `abandoned` (the attempt was given up).
    ERROR = "error.type", Call Attempt;
    /// Courier's host.
    HOST = "server.address", Attempt;
    /// Its port.
    PORT = "server.port", Attempt;
    /// How many attempts of the call came before. Absent on the first attempt.
    RESENT = "http.request.resend_count", Attempt;
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
    /// How the call ended, as in `code` of the access line.
    CODE = "tollgate.code", Call;
    /// What is known of a call that the gateway answered itself: `not-sent` or `unknown`.
    OUTCOME = "tollgate.outcome", Call;
    /// Attempts that reached a socket.
    ATTEMPTS = "tollgate.attempts", Call;
    /// Where the idempotency key comes from: `given`, `made` or `recognised`.
    KEY_USE = "tollgate.key_use", Call;
    /// True when the answer was given before, under the same key.
    REPLAYED = "tollgate.replayed", Call;
    /// The lane of the queue.
    LANE = "tollgate.lane", Call Wait;
    /// What the cache did: `hit`, `stale`, `shared`, `revalidated`, `stored`, `miss` or `bypass`.
    CACHE = "tollgate.cache", Call Cache;
    /// The age of the copy, in seconds.
    AGE = "tollgate.cache.age", Cache;
    /// Seconds in the queue, over all attempts. This and the four below agree with `Server-Timing`.
    /// They add up to the time until the answer's head.
    QUEUE_TIME = "tollgate.time.queue", Call;
    /// Seconds that Courier took, over all attempts: from the send of each until the head of its
    /// answer, or until it failed.
    VENDOR_TIME = "tollgate.time.vendor", Call;
    /// Seconds until the head that belong to none of the others, such as getting a socket.
    GATEWAY_TIME = "tollgate.time.gateway", Call;
    /// Seconds in which the request's body was read. Absent if there was no body.
    UPLOAD_TIME = "tollgate.time.upload", Call;
    /// Seconds between attempts. Absent if there were none.
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
         (`UPDATE=1 cargo test --test gateway traces` writes it). `[traces]` in\n\
         [the reference](../config/reference.md) says how to turn traces on.\n\n\
         Spans are made when a call is over. They are sent as OTLP over HTTP in protobuf. All errors and all slow calls\n\
         are kept, the others by `ratio`. If a call's spans find no room in the queue, all of them are dropped, never\n\
         some. `tollgate_spans_dropped_total` counts them, and the spans that the collector did not take.\n\n\
         ## Spans and events\n\n| name | what it is |\n| --- | --- |\n",
    );
    for part in SpanPart::ALL {
        let _ = writeln!(text, "| `{}` | {}. |", part.name(), part.help());
    }
    text.push_str(
        "\n## Attributes\n\n\
         No attribute holds a path, a query, a body, a secret or a word that a client chose. The semantic\n\
         conventions ask for `url.path`, `url.full` and `client.address`. They are left out, because ids in paths are\n\
         often e-mail addresses.\n\n\
         | attribute | on | what it says |\n| --- | --- | --- |\n",
    );
    for row in TABLE {
        let on: Vec<_> = row.on.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", row.key, on.join(", "), row.help);
    }
    text
}
