//! Clients of a fleet: each calls one gateway, and comes again when it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::form::CALLS;

/// No client waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// No client waits longer before it comes again.
const PAUSE: Duration = Duration::from_secs(1);

/// When the clients of a fleet call, in windows.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    Always,
    /// Evenly in the first window, so that slots come back evenly from then on; then always. So there
    /// are calls under way and slots of each kind whenever something fails.
    Spread,
    /// For `on`, again and again after `every`.
    Pulses {
        every: f64,
        on: f64,
    },
}

/// What became of one call.
#[derive(Clone, Debug)]
pub struct Call {
    pub app: usize,
    /// When it began, from the first of all.
    pub at: Duration,
    pub took: Duration,
    /// The status, with the code of a refusal; or `no answer`.
    pub outcome: String,
}

/// What became of all calls.
#[derive(Clone)]
pub struct Tally {
    pub start: Instant,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Tally {
    /// It begins now.
    pub fn new() -> Self {
        Self { start: Instant::now(), calls: Arc::default() }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// All but the answers of the vendor, by outcome.
    pub fn refusals(&self) -> BTreeMap<String, usize> {
        let mut refusals = BTreeMap::new();
        for call in self.calls.lock().unwrap().iter().filter(|call| call.outcome != "200") {
            *refusals.entry(call.outcome.clone()).or_default() += 1;
        }
        refusals
    }
}

/// A client with a connection of its own.
pub struct Caller {
    app: usize,
    key: String,
    address: watch::Receiver<Option<SocketAddr>>,
    http: Client<HttpConnector, Empty<Bytes>>,
}

impl Caller {
    pub fn new(app: usize, key: String, address: watch::Receiver<Option<SocketAddr>>) -> Self {
        Self { app, key, address, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Calls for as long as it is let, as the client `number` of its fleet.
    pub async fn flood(mut self, number: u32, load: Load, window: Duration, tally: Tally) {
        if matches!(load, Load::Spread) {
            if number < CALLS {
                sleep_until(tally.start + window * number / CALLS).await;
                self.call(&tally).await;
            }
            sleep_until(tally.start + window).await;
        }
        loop {
            if let Some(pause) = load.pause(tally.start.elapsed().div_duration_f64(window)) {
                sleep(window.mul_f64(pause)).await;
            }
            if let Some(pause) = self.call(&tally).await {
                sleep(pause.min(PAUSE)).await;
            }
        }
    }

    /// Calls once. Returns after which pause to come again, if it was refused.
    pub async fn call(&mut self, tally: &Tally) -> Option<Duration> {
        let found = *self.address.wait_for(Option::is_some).await.ok()?;
        let request = Request::get(format!("http://{}/messages", found?))
            .header("x-api-key", &self.key)
            .body(Empty::new())
            .unwrap();
        let begun = Instant::now();
        let (outcome, pause) = match timeout(PATIENCE, self.http.request(request)).await {
            Ok(Ok(answer)) => read(answer).await,
            Ok(Err(_)) | Err(_) => ("no answer".to_owned(), Some(PAUSE)),
        };
        let call = Call { app: self.app, at: begun - tally.start, took: begun.elapsed(), outcome };
        tally.calls.lock().unwrap().push(call);
        pause
    }
}

impl Load {
    /// How long to wait at `now`, all in windows.
    fn pause(self, now: f64) -> Option<f64> {
        let Self::Pulses { every, on } = self else { return None };
        let into = now.rem_euclid(every);
        (into >= on).then_some(every - into)
    }
}

/// The outcome of an answer, and after which pause to come again.
async fn read(answer: Response<Incoming>) -> (String, Option<Duration>) {
    let status = answer.status();
    let later = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let later = later.and_then(|value| value.parse().ok()).map_or(PAUSE, Duration::from_secs_f64);
    let Ok(body) = answer.into_body().collect().await else {
        return ("no answer".to_owned(), Some(PAUSE));
    };
    if status.is_success() {
        return (status.as_str().to_owned(), None);
    }
    let problem: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or("-");
    (format!("{} {code}", status.as_u16()), Some(later))
}

/// Whether the gateway with this port for operations says that it is ready.
pub async fn ready(ops: SocketAddr) -> bool {
    let http: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = http.get(format!("http://{ops}/readyz").parse().unwrap()).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
