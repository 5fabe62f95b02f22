//! The table `[traces]`: where spans go, and of which calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::base_url::{BaseUrl, wrong_port};
use crate::record::{Sampling, Trust};
use crate::secret::{self, TokenSource};
use crate::tls;
use crate::units::Span;
use crate::words;

/// Traces of calls.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracesTable {
    /// The collector: its base URL, such as `"http://127.0.0.1:4318"`, or the full URL that ends in
    /// `/v1/traces`. Without it there are no traces.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "endpoint")]
    pub endpoint: Option<BaseUrl>,
    /// Header fields that the collector wants, by name. Each value is a reference, like a token: `{
    /// authorization = { env = "…" } }` or `{ file = "…" }`.
    #[serde(skip_serializing)]
    pub headers: BTreeMap<String, TokenSource>,
    /// Further root certificates to trust for the collector, as a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Allows `http://` to a collector that is not on this machine.
    pub allow_plain_http: bool,
    /// The share of all calls that is traced, from 0 to 1. Calls that end in a 5xx and slow calls
    /// are always traced.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub ratio: f64,
    /// Calls that take longer are slow.
    pub slow: Span,
    /// How an app's `traceparent` is used, unless the app says otherwise. `"parent"` puts its calls
    /// into the app's trace. `"link"` gives them a trace of their own that points at it. `"ignore"`
    /// does nothing.
    pub context: Trust,
    /// In a parent's trace the parent's sampled flag decides, and not `ratio`. The app can then
    /// fill the collector.
    pub follow: bool,
    /// Time for one request to the collector.
    pub timeout: Span,
    /// Spans that may wait for the collector. More are dropped and counted.
    pub queue: usize,
    /// Spans in one request.
    pub batch: usize,
    /// The longest that a span waits for others.
    pub interval: Span,
    /// `service.name` of the spans.
    pub service_name: String,
}

impl Default for TracesTable {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            ca_file: None,
            allow_plain_http: false,
            ratio: 0.01,
            slow: Span::secs(1),
            context: Trust::Link,
            follow: true,
            timeout: Span::secs(5),
            queue: 2048,
            batch: 512,
            interval: Span::secs(5),
            service_name: "tollgate".into(),
        }
    }
}

/// How to reach the collector: the values that the table only refers to.
pub struct Collector {
    /// The fields of each request.
    pub headers: HeaderMap,
    /// TLS to it.
    pub tls: tls::Client,
}

/// A key of the table and what is wrong with it.
type Problem = (&'static str, String);

impl TracesTable {
    /// Where the collector takes spans.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        const PATH: &str = "/v1/traces";
        let endpoint = self.endpoint.as_ref()?.to_string();
        Some(if endpoint.ends_with(PATH) { endpoint } else { endpoint + PATH })
    }

    /// The traces that are recorded, however the call ends.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        Sampling::new(self.ratio, self.follow)
    }

    /// What is wrong with the table alone.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.ratio) {
            problems.push(("ratio", "traces.ratio must be from 0 to 1".into()));
        }
        for (key, span) in [("timeout", self.timeout), ("interval", self.interval)] {
            if span.get().is_zero() {
                problems.push((key, format!("traces.{key} must be more than 0")));
            }
        }
        // A call has a few spans, and the queue takes all of them or none.
        if !(64..=1 << 20).contains(&self.queue) {
            problems.push(("queue", "traces.queue must be 64 to 1048576".into()));
        }
        if self.batch == 0 || self.batch > self.queue {
            problems.push(("batch", "traces.batch must be 1 to traces.queue".into()));
        }
        if self.ca_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            problems
                .push(("ca_file", "traces.ca_file is empty: name a file, or leave it out".into()));
        }
        problems.extend(self.field_problems().into_iter().map(|message| ("headers", message)));
        if self.service_name.trim().is_empty() {
            problems.push((
                "service_name",
                "traces.service_name is empty: write a name, or leave it out".into(),
            ));
        }
        if let Some(url) = &self.endpoint
            && url.is_plain_and_remote()
            && !self.allow_plain_http
        {
            let message = format!(
                "{url} would carry spans in clear text: use https, or say traces.allow_plain_http = true"
            );
            problems.push(("endpoint", message));
        }
        problems
    }

    /// What is wrong with the names of fields, and of the sources of their values.
    fn field_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut known = BTreeSet::new();
        for (name, source) in &self.headers {
            if secret::begins_as_couriers(name.as_bytes()) || name.starts_with("tg_") {
                problems.push("traces.headers: a token seems to stand in the place of a field's name: write { authorization = { env = \"NAME\" } }, and take a new token, as this one was in a file".into());
            } else if !known.insert(name.to_ascii_lowercase()) {
                problems.push(format!("traces.headers: '{name}' is there twice, as the case of letters tells no fields apart: leave one of them"));
            }
            if source.is_nameless() {
                problems.push(format!("traces.headers: what holds the value of '{name}' has no name: name a variable or a file"));
            }
        }
        problems
    }

    /// Reads what the table refers to.
    pub(super) fn collector(&self) -> Result<Option<Collector>, Vec<Problem>> {
        if self.endpoint.is_none() {
            return Ok(None);
        }
        let mut problems = Vec::new();
        let mut headers = HeaderMap::new();
        for (name, source) in self.headers.iter().filter(|(_, source)| !source.is_nameless()) {
            match field(name).and_then(|name| Ok((name, source.header()?))) {
                Ok((name, value)) => drop(headers.insert(name, value)),
                Err(reason) => problems.push(("headers", format!("traces.headers: {reason}"))),
            }
        }
        let tls = tls::client(self.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty()))
            .map_err(|reason| ("ca_file", reason));
        match tls {
            Ok(tls) if problems.is_empty() => Ok(Some(Collector { headers, tls })),
            tls => {
                problems.extend(tls.err());
                Err(problems)
            }
        }
    }
}

/// Reads the collector's URL. If it is wrong, the message has an example of such a URL.
fn endpoint<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<BaseUrl>, D::Error> {
    const RULE: &str = "write scheme, host and port, such as \"http://127.0.0.1:4318\"";
    let parse = |text: String| {
        BaseUrl::try_from(text.clone()).map_err(|_| match (text.contains('@'), wrong_port(&text)) {
            (true, _) => format!("a URL holds no user or password here: {RULE}"),
            (_, Some(port)) => format!("the port '{port}' is no number from 1 to 65535: {RULE}"),
            (_, None) => format!("'{text}' is not the URL of a collector: {RULE}"),
        })
    };
    words::parsed(from, "a URL in quotes, such as \"http://127.0.0.1:4318\"", parse).map(Some)
}

/// The name of a field that may be added to the exporter's requests.
fn field(name: &str) -> Result<HeaderName, String> {
    let taken = [header::HOST, header::CONTENT_TYPE, header::CONTENT_LENGTH];
    let own = [header::TRANSFER_ENCODING, header::CONNECTION, header::CONTENT_ENCODING];
    match HeaderName::try_from(name) {
        Ok(name) if taken.iter().chain(&own).any(|other| name == other) => {
            Err(format!("'{name}' is the exporter's own"))
        }
        Ok(name) => Ok(name),
        Err(_) => Err(format!("'{name}' is not the name of a header field")),
    }
}
