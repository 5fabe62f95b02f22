//! Every refusal and failure of the gateway: one closed list.
//!
//! [`Code::as_str`] is problem type, metric label and log field at once. Texts are fixed and
//! public; the cause of a failure goes to the log only, and only once.

mod document;
mod reference;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
pub use reference::reference;

/// Any error below; never shown to a caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

macro_rules! codes {
    ($($name:ident = $code:literal, $status:ident, $proxy:literal, $title:literal, $todo:literal;)*) => {
        /// What went wrong, from the caller's point of view.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $name),* }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in problem types, metric labels and log lines.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $code),* } }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status),* } }

            /// The error token of `Proxy-Status` (RFC 9209 section 2.3).
            #[must_use]
            pub const fn proxy_error(self) -> &'static str { match self { $(Self::$name => $proxy),* } }

            /// `Proxy-Status` with that token.
            #[must_use]
            pub const fn proxy_status(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("tollgate; error=", $proxy, "; details=\"", $code, "\"")),*
                }
            }

            /// How each of its problem documents begins, up to the status.
            const fn document_start(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(
                        "{\"type\":\"urn:tollgate:", $code, "\",\"code\":\"", $code,
                        "\",\"title\":\"", $title, "\",\"status\":",
                    )),*
                }
            }

            /// One line for people (RFC 9457 `title`).
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title),* } }

            /// What a caller can do about it.
            #[must_use]
            pub const fn what_to_do(self) -> &'static str { match self { $(Self::$name => $todo),* } }
        }
    };
}

codes! {
    MalformedRequest = "malformed-request", BAD_REQUEST, "http_request_error", "The request is malformed",
        "Send one Host, one length and an unambiguous path. `detail` says what is wrong.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "http_request_denied", "A valid gateway key is required",
        "Send the gateway's key as `x-api-key` or `Authorization: Bearer`; a Courier token is no key. `detail` says if it was a Courier token, an expired or a revoked key.";
    ScopeMissing = "scope-missing", FORBIDDEN, "http_request_denied", "The app may not do this",
        "Ask the operator for the scope or connection that `detail` names.";
    OriginRefused = "origin-refused", FORBIDDEN, "http_request_denied", "This origin or host is not allowed",
        "Ask from an origin and under a host that the operator allows.";
    AppPaused = "app-paused", FORBIDDEN, "http_request_denied", "The app is paused",
        "An operator has paused the app: ask why. Sending again does not help.";
    UnknownOperation = "unknown-operation", NOT_FOUND, "http_request_denied", "No such operation",
        "Check the path and the base URL.";
    UnknownCall = "unknown-call", NOT_FOUND, "http_request_denied", "The call is not known",
        "The call belongs to another app, or it is too old to be kept.";
    UnknownOverride = "unknown-override", NOT_FOUND, "http_request_denied", "The override is not known",
        "List the overrides: it may be long over.";
    OverrideOver = "override-over", CONFLICT, "http_request_denied", "The override is over already",
        "There is nothing to end.";
    ReloadRefused = "reload-refused", CONFLICT, "http_request_denied", "The configuration is not taken over",
        "Correct the file: `detail` says what is wrong. `tollgate check` says it with places.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "http_request_denied", "The path does not take this method",
        "Use one of the methods in `Allow`.";
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "http_request_error", "The request body did not arrive in time",
        "Send the body without pauses.";
    KeyInUse = "key-in-use", CONFLICT, "http_request_denied", "The key belongs to another app",
        "Use an `Idempotency-Key` that no other app of the connection uses.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "http_request_error", "The request body is too large",
        "Send a smaller body; `detail` says how much is allowed.";
    TargetTooLong = "head-too-large", URI_TOO_LONG, "http_request_error", "The request target is too long",
        "Shorten path and query.";
    HeadTooLarge = "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "http_request_error", "The request head is too large",
        "Send fewer or shorter header fields.";
    KeyReused = "key-reused", UNPROCESSABLE_ENTITY, "http_request_denied", "The key stands for another request",
        "An `Idempotency-Key` stands for one path, query and body: use a new one.";
    QuotaExhausted = "quota-exhausted", TOO_MANY_REQUESTS, "http_request_denied", "The connection's quota is used up",
        "Come back after `Retry-After`, or ask for a longer wait with `Prefer: wait=20`.";
    QueueFull = "queue-full", TOO_MANY_REQUESTS, "http_request_denied", "Too many calls wait",
        "Come back after `Retry-After`; make fewer calls at a time.";
    DeadlineTooNear = "deadline-too-near", TOO_MANY_REQUESTS, "http_request_denied", "The quota has no room in time",
        "Come back after `Retry-After`, or allow more time.";
    VendorThrottled = "vendor-throttled", TOO_MANY_REQUESTS, "http_request_denied", "Courier asked for a pause",
        "Come back after `Retry-After`.";
    AppLimited = "app-limited", TOO_MANY_REQUESTS, "http_request_denied", "The app's own limit is reached",
        "Come back after `Retry-After`; the operator gave the app a limit of its own.";
    LoginsLimited = "logins-limited", TOO_MANY_REQUESTS, "http_request_denied", "Too many wrong logins",
        "Come back after `Retry-After`: an operator's key was wrong too often.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "proxy_internal_error", "The gateway failed",
        "Tell the operator the `call_id`. Send again only what may be done twice.";
    VendorUnreachable = "vendor-unreachable", BAD_GATEWAY, "destination_unavailable", "The connection to Courier failed",
        "Send again if `outcome` is `not-sent`. If it is `unknown`, send again only what may be done twice.";
    VendorMalformed = "vendor-malformed", BAD_GATEWAY, "http_protocol_error", "Courier's answer was unusable",
        "Courier may have acted: send again only what may be done twice.";
    VendorCredentialRejected = "vendor-credential-rejected", BAD_GATEWAY, "http_request_denied", "Courier refused the gateway's token",
        "The operator has to replace the token of the connection.";
    VendorDown = "vendor-down", SERVICE_UNAVAILABLE, "destination_unavailable", "Courier is down",
        "Come back after `Retry-After`.";
    Paused = "paused", SERVICE_UNAVAILABLE, "http_request_denied", "An operator has paused this",
        "Come back after `Retry-After`: `detail` says what is paused.";
    LedgerAway = "ledger-away", SERVICE_UNAVAILABLE, "connection_limit_reached", "The shared quota can't be used",
        "Come back after `Retry-After`: the replicas' Redis does not answer.";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "connection_limit_reached", "The gateway is at its limit",
        "Come back after `Retry-After`.";
    Stopping = "stopping", SERVICE_UNAVAILABLE, "http_request_denied", "The gateway is stopping",
        "Send again if `outcome` is `not-sent`: the next gateway answers. If it is `unknown`, send again only what may be done twice.";
    VendorTimeout = "vendor-timeout", GATEWAY_TIMEOUT, "http_response_timeout", "Courier did not answer in time",
        "Send again if `outcome` is `not-sent`. If it is `unknown`, send again only what may be done twice.";
    NotCached = "not-cached", GATEWAY_TIMEOUT, "http_request_denied", "No copy answers the request",
        "Ask without `Cache-Control: only-if-cached`.";
    Loop = "loop", LOOP_DETECTED, "proxy_loop_detected", "The request came back to the gateway",
        "The operator has to correct `vendor.base_url`: it leads back to the gateway.";
}

impl Code {
    /// Whether the same request fails again whenever it is sent, though its status says that a
    /// client may try again.
    #[must_use]
    pub const fn is_for_good(self) -> bool {
        matches!(self, Self::KeyInUse | Self::NotCached | Self::Loop)
    }
}

/// What the gateway knows of a call that it answered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing reached the vendor: sending it again cannot do it twice.
    NotSent,
    /// It may have reached the vendor, which may have acted on it.
    Unknown,
}

impl Outcome {
    /// The word in `Tollgate-Outcome`, problem documents and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
        }
    }
}

/// What an attempt that failed says about the vendor's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: it was refused by the gateway, given up, or its connection broke.
    Nothing,
    /// It spoke to us.
    Alive,
    /// No connection to it could be opened.
    Unreachable,
    /// It took the call and did not answer in time.
    Silent,
}

/// A call that the gateway answers itself.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// What is known of the outcome.
    pub outcome: Outcome,
    /// What is wrong and what would be right; public.
    pub detail: Cow<'static, str>,
    /// When to come back, from now on, where that is known.
    pub retry_after: Option<Duration>,
    /// Fields that the answer must carry, such as `Allow`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What it says about the vendor's host.
    pub evidence: Evidence,
    /// For the log.
    pub cause: Option<Cause>,
}

impl Error {
    /// A refusal: nothing was sent.
    #[must_use]
    pub fn refused(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            outcome: Outcome::NotSent,
            detail: detail.into(),
            retry_after: None,
            headers: Vec::new(),
            evidence: Evidence::Nothing,
            cause: None,
        }
    }

    /// A malformed request.
    #[must_use]
    pub fn malformed(detail: &'static str) -> Self {
        Self::refused(Code::MalformedRequest, detail)
    }

    /// The same error with what is known of the outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same error with a time to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The same error with what it says about the vendor's host.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// The same error with a field for its answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same error with its cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

/// Milliseconds, rounded up: who comes back then is not too early.
#[must_use]
pub fn millis(after: Duration) -> u64 {
    u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Error {}

/// The whole chain of `error` in one line, for the log.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_that_fits_a_urn_and_a_label() {
        for code in Code::ALL {
            let word = code.as_str();
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word}");
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
