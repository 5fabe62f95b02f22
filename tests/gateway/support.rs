//! What the suites share: a gateway between a client and the simulator, in process or on sockets.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tollgate::call::{self, BoxFuture};
use tollgate::config::Config;
use tollgate::error::Cause;
use tollgate::identity::NewKey;
use tollgate::ids::{KeyId, RandomId};
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;
use tollgate::telemetry::traces::Traces;
use tollgate::upstream::{Dial, Line};

/// The scopes of an app that may do everything, unlisted paths apart.
pub(crate) const ALL: &str = "scopes = [\"*\", \"auth\", \"providers\", \"inbound\", \"client\"]\n";

/// A configuration with two tenants, `acme` and `umbrella`, each with an app `<tenant>`.
pub(crate) struct Setup {
    pub(crate) text: String,
    pub(crate) acme: String,
    pub(crate) umbrella: String,
}

/// The token of a tenant's connection.
pub(crate) fn token(tenant: &str) -> String {
    format!("token-of-{tenant}")
}

fn scratch(contents: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("tollgate-test-{}", RandomId::new()));
    std::fs::write(&path, contents).unwrap();
    path
}

/// A tenant with one connection, `<name>-prod`, and one app whose key is given back.
pub(crate) fn tenant(name: &str, app: &str) -> (String, String) {
    let key = NewKey::generate(&KeyId::try_from(name.to_owned()).unwrap());
    let file = scratch(&token(name));
    let text = format!(
        "[[tenant]]\nid = \"{name}\"\n[[tenant.connection]]\nid = \"{name}-prod\"\ntoken = {{ file = '{}' }}\n\
         [[tenant.app]]\nid = \"{name}\"\nkeys = [{{ id = \"{name}\", sha256 = \"{}\" }}]\n{app}",
        file.display(),
        key.sha256
    );
    (text, key.text)
}

impl Setup {
    /// `head` stands before the tenants; the quota binds nothing.
    pub(crate) fn new(head: &str) -> Self {
        Self::with_quota(head, "[quota]\ncalls = 100000\n")
    }

    /// The same with its own table `[quota]`.
    pub(crate) fn with_quota(head: &str, quota: &str) -> Self {
        let (one, acme) = tenant("acme", ALL);
        let (two, umbrella) = tenant("umbrella", ALL);
        Self { text: format!("{head}\n{quota}\n{one}{two}"), acme, umbrella }
    }

    pub(crate) fn config(&self) -> Config {
        parsed(&self.text)
    }
}

fn parsed(text: &str) -> Config {
    Config::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

/// Access lines as they are written.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Value>>>);

impl Lines {
    pub(crate) fn log(&self) -> AccessLog {
        let lines = self.0.clone();
        AccessLog::new(move |line| {
            lines.lock().unwrap().push(serde_json::from_slice(&line).unwrap());
        })
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Value {
        self.all().last().cloned().expect("a call was made")
    }
}

/// Opens pipes to a simulator in the same process, and counts them.
pub(crate) struct Pipes {
    pub(crate) courier: simulator::Server,
    pub(crate) opened: Mutex<u32>,
}

impl Dial for Pipes {
    fn dial(&self, _: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        *self.opened.lock().unwrap() += 1;
        let (ours, theirs) = tokio::io::duplex(256 << 10);
        let courier = self.courier.clone();
        tokio::spawn(async move { courier.serve_io(theirs).await });
        Box::pin(async move { Ok(Line { io: Box::new(TokioIo::new(ours)), h2: false }) })
    }
}

/// The whole stack in process, without a socket.
pub(crate) struct Stack {
    pub(crate) pipeline: Pipeline,
    pub(crate) state: State,
    pub(crate) courier: simulator::Server,
    pub(crate) pipes: Arc<Pipes>,
    pub(crate) lines: Lines,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Stack {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self::with(setup, simulator::Options::default())
    }

    pub(crate) fn with(setup: &Setup, options: simulator::Options) -> Self {
        Self::try_with(setup, options).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// The same, or why the state cannot be made.
    pub(crate) fn try_with(setup: &Setup, options: simulator::Options) -> Result<Self, String> {
        Self::before(setup, simulator::Server::new(options))
    }

    /// A gateway before a simulator that was there before it.
    pub(crate) fn before(setup: &Setup, courier: simulator::Server) -> Result<Self, String> {
        Self::telling(setup, courier, None)
    }

    /// The same with another place for its spans.
    pub(crate) fn telling(
        setup: &Setup,
        courier: simulator::Server,
        traces: Option<Traces>,
    ) -> Result<Self, String> {
        Self::of(&setup.config(), courier, traces)
    }

    /// A gateway of the configuration `text`.
    pub(crate) fn of_text(text: &str, courier: simulator::Server) -> Result<Self, String> {
        Self::of(&parsed(text), courier, None)
    }

    fn of(
        config: &Config,
        courier: simulator::Server,
        traces: Option<Traces>,
    ) -> Result<Self, String> {
        let pipes = Arc::new(Pipes { courier: courier.clone(), opened: Mutex::new(0) });
        let lines = Lines::default();
        let mut telemetry = Telemetry::new(lines.log());
        telemetry.traces = traces.unwrap_or(telemetry.traces);
        let state = State::with_dial(config, telemetry, pipes.clone())?;
        let pipeline = Pipeline::build(config, &state);
        Ok(Self { pipeline, state, courier, pipes, lines })
    }

    /// Goes on with the configuration `text`; calls under way keep what they began with.
    pub(crate) fn reload(&mut self, text: &str) -> Result<(), String> {
        self.go_on(&parsed(text))
    }

    /// The same with a configuration that was read.
    pub(crate) fn go_on(&mut self, config: &Config) -> Result<(), String> {
        self.state.reconfigure(config)?;
        self.pipeline = Pipeline::build(config, &self.state);
        Ok(())
    }

    /// Makes a call and reads its answer.
    pub(crate) async fn call(&self, request: Request<call::StreamBody>) -> Answer {
        let (head, body) = self.pipeline.answer(request).await.into_parts();
        let body = body.collect().await.expect("the answer comes to its end").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// What arrived at the simulator, oldest first.
    pub(crate) fn arrived(&self) -> Vec<simulator::Request> {
        arrived(&self.courier)
    }
}

/// What arrived at `courier`, oldest first.
pub(crate) fn arrived(courier: &simulator::Server) -> Vec<simulator::Request> {
    courier.with(|simulator| {
        simulator.journal().entries().map(|entry| entry.request.clone()).collect()
    })
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The code of a problem document; empty for any other answer.
    pub(crate) fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let kind = json["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:tollgate:").unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A request as the server hands it over, with the key in `x-api-key`.
pub(crate) fn request(
    method: &str,
    target: &str,
    key: &str,
    body: &str,
) -> Request<call::StreamBody> {
    let body = if body.is_empty() { call::empty() } else { call::full(body.to_owned()) };
    Request::builder()
        .method(method.parse::<Method>().unwrap())
        .uri(target)
        .header("host", "gateway")
        .header("x-api-key", key)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// A request with further fields.
pub(crate) fn with(
    mut request: Request<call::StreamBody>,
    fields: &[(&'static str, &str)],
) -> Request<call::StreamBody> {
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}
