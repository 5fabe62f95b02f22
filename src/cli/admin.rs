//! What the operator's commands share: where the admin port is, and how it is asked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::text::clean;
use super::{USAGE, failed, pretty, runtime};
use crate::error::chain;
use crate::terminal::{complain, say};
use crate::{address, tls};

/// The variable with the key. On the command line, the key would show in the list of processes.
const KEY: &str = "TOLLGATE_ADMIN_KEY";
/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer that are read. The admin port never sends as many.
const LONGEST: usize = 8 << 20;

/// What means nothing in a query, so that names stand there as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the admin port is, and how its answer is printed.
#[derive(clap::Args)]
pub(super) struct AdminArgs {
    /// The gateway's admin port: host and port, or a URL with http:// or https://. The key is read
    /// from TOLLGATE_ADMIN_KEY.
    #[arg(long, value_name = "ADDR", env = "TOLLGATE_ADMIN", default_value = "127.0.0.1:9091", value_parser = AdminUrl::parse)]
    pub(super) admin: AdminUrl,
    /// With https://: certificates (PEM) of the authority that the port's certificate is from, if
    /// it is none of the web's.
    #[arg(long, value_name = "FILE", env = "TOLLGATE_ADMIN_CA")]
    ca: Option<PathBuf>,
    /// Print the gateway's answer as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// `http://127.0.0.1:9091`: without a path.
#[derive(Clone)]
pub(super) struct AdminUrl(String);

/// Asks one admin port.
#[derive(Clone)]
pub(super) struct AdminClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: AdminUrl,
    key: HeaderValue,
}

/// A question or an order.
pub(super) struct Question {
    method: Method,
    path: String,
    document: Option<Value>,
}

// === impl AdminUrl ===

impl AdminUrl {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return address::parse(text).map(|address| Self(format!("http://{address}")));
        }
        let url = text.trim_end_matches('/');
        let plain = |uri: &Uri| {
            let host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
            host && uri.scheme().is_some()
                && uri.query().is_none()
                && matches!(uri.path(), "" | "/")
        };
        match url.parse::<Uri>() {
            Ok(uri) if plain(&uri) => Ok(Self(url.to_owned())),
            _ => Err(format!(
                "'{text}' is no address: write scheme, host and port and nothing else, such as \"https://ops.example.com:9091\""
            )),
        }
    }

    /// The address as it is shown.
    pub(super) fn shown(&self) -> &str {
        self.0.trim_start_matches("http://")
    }

    fn is_secure(&self) -> bool {
        self.0.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTPS))
    }
}

// === impl Question ===

impl Question {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), document: None }
    }

    pub(super) fn post(path: impl Into<String>, document: Value) -> Self {
        Self { method: Method::POST, path: path.into(), document: Some(document) }
    }

    pub(super) fn delete(path: impl Into<String>, document: Option<Value>) -> Self {
        Self { method: Method::DELETE, path: path.into(), document }
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (&str, &str, Option<&Value>) {
        (self.method.as_str(), &self.path, self.document.as_ref())
    }

    /// The same with `name=value` for each value that is there.
    pub(super) fn with<const N: usize>(mut self, query: [(&str, Option<String>); N]) -> Self {
        for (name, value) in query {
            let Some(value) = value else { continue };
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            let value = utf8_percent_encode(&value, ENCODED);
            self.path.push_str(&format!("{name}={value}"));
        }
        self
    }
}

// === impl AdminClient ===

impl AdminClient {
    /// The client of the port that `args` name.
    ///
    /// # Errors
    /// There is no key, or no certificate; it was said.
    pub(super) fn new(args: &AdminArgs) -> Result<Self, ExitCode> {
        let usage = |message: &str| {
            complain(message);
            ExitCode::from(USAGE)
        };
        let key = std::env::var(KEY).map_err(|_| {
            usage(&format!("{KEY} is not set: `tollgate keys new --admin` makes a key"))
        })?;
        let mut key = HeaderValue::try_from(key.trim())
            .map_err(|_| usage(&format!("{KEY} can't be sent in a header")))?;
        key.set_sensitive(true);
        if args.ca.is_some() && !args.admin.is_secure() {
            return Err(usage("--ca needs an address with https://"));
        }
        let tls = tls::client(args.ca.as_deref()).map_err(|reason| usage(&reason))?;
        let http = Client::builder(TokioExecutor::new()).build(tls::connector(tls));
        Ok(Self { http, url: args.admin.clone(), key })
    }

    /// The document that answers `question`.
    ///
    /// # Errors
    /// Why there is none, and what can be done about it.
    pub(super) async fn ask(&self, question: &Question) -> Result<Bytes, String> {
        let asking = timeout(PATIENCE, self.exchange(question)).await;
        let answered = asking.unwrap_or_else(|_| Err("no answer within 30 s".to_owned()));
        let at = self.url.shown();
        let (status, body) = answered.map_err(|reason| {
            format!(
                "{at} (TOLLGATE_ADMIN) does not answer: {reason}; is a gateway there, and is its port served? It needs a key under [admin]"
            )
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().map_or_else(|| "it is no admin port".into(), clean);
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                format!("; {KEY} must be a whole key, and its entry must be under [admin]")
            }
            StatusCode::FORBIDDEN if problem["type"] == "urn:tollgate:origin-refused" => {
                "; ask by the address of the port, or write the name under hosts of [admin]".into()
            }
            _ => String::new(),
        };
        Err(format!("{at} answers {}: {detail}{hint}", status.as_u16()))
    }

    async fn exchange(&self, question: &Question) -> Result<(StatusCode, Bytes), String> {
        let document = question.document.as_ref().map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(&question.method)
            .uri(format!("{}{}", self.url.0, question.path))
            .header("x-api-key", &self.key);
        if question.document.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(document)).map_err(|error| error.to_string())?;
        let response: Response<Incoming> =
            self.http.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    }
}

/// Asks `question` and prints the answer, for people as `show` says it.
pub(super) fn tell<T: DeserializeOwned>(
    args: &AdminArgs,
    question: &Question,
    show: impl FnOnce(T) -> String,
) -> ExitCode {
    let body = match asked(args, question) {
        Ok(body) => body,
        Err(code) => return code,
    };
    let shown = match args.json {
        true => serde_json::from_slice::<Value>(&body).map(|value| pretty(&value)),
        false => serde_json::from_slice::<T>(&body).map(show),
    };
    match shown {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// The answer to `question`.
///
/// # Errors
/// There is none; it was said why.
pub(super) fn asked(args: &AdminArgs, question: &Question) -> Result<Bytes, ExitCode> {
    let client = AdminClient::new(args)?;
    let runtime = runtime().map_err(|error| failed(&error))?;
    runtime.block_on(client.ask(question)).map_err(|reason| {
        complain(&reason);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_named_by_address_or_by_url() {
        let shown = |text: &str| AdminUrl::parse(text).map(|url| url.0);
        assert_eq!(shown("127.0.0.1:9091").unwrap(), "http://127.0.0.1:9091");
        assert_eq!(shown("[::1]:9091").unwrap(), "http://[::1]:9091");
        assert_eq!(shown("https://ops.example.com:9091/").unwrap(), "https://ops.example.com:9091");
        assert_eq!(shown("http://127.0.0.1:1").unwrap(), "http://127.0.0.1:1");
        for wrong in ["ftp://a:1", "a", "http://", "https://a/b", "https://u:p@a", "http://a?b"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_of_a_query_is_one_value_whatever_it_holds() {
        let question = Question::get("/api/calls").with([
            ("a", Some("x&y=z #é".into())),
            ("b", None),
            ("c", Some("1".into())),
        ]);
        assert_eq!(question.path, "/api/calls?a=x%26y%3Dz%20%23%C3%A9&c=1");
    }
}
