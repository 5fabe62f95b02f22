//! Gateways that share a Redis, before one simulated Courier, in this process.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use tollgate::call;
use tollgate::config::Config;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;

use crate::servers::Folder;
use crate::support::Pipes;

/// What all gateways of a test have in common.
pub struct Fleet {
    courier: simulator::Server,
    folder: Folder,
    key: NewKey,
}

pub struct Gateway {
    state: State,
    pipeline: Pipeline,
    key: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
}

impl Fleet {
    pub fn new() -> Self {
        let mut options = simulator::Options::default();
        options.limits.clear();
        let key = NewKey::generate(&KeyId::try_from("acme".to_owned()).unwrap());
        Self { courier: simulator::Server::new(options), folder: Folder::new(), key }
    }

    /// A gateway that is connected to the Redis at `port`, with further lines of its configuration.
    pub async fn gateway(&self, port: u16, lines: &str) -> Gateway {
        let token = self.folder.write("token", "token-of-acme");
        let text = format!(
            "[shared]\nredis = \"redis://127.0.0.1:{port}\"\n{lines}\n[quota]\ncalls = 100000\nmode = \"shadow\"\n\
             [[tenant]]\nid = \"acme\"\n[[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n\
             [[tenant.app]]\nid = \"acme\"\nkeys = [{{ id = \"acme\", sha256 = \"{}\" }}]\nscopes = [\"*\"]\n",
            token.display(),
            self.key.sha256
        );
        let config = Config::parse(&text).unwrap_or_else(|found| panic!("{:?}", found.problems));
        let dial = Arc::new(Pipes { courier: self.courier.clone(), opened: Mutex::default() });
        let telemetry = Telemetry::new(AccessLog::none());
        let state = State::with_dial(&config, telemetry, dial).unwrap();
        let pipeline = Pipeline::build(&config, &state);
        let gateway = Gateway { state, pipeline, key: self.key.text.clone() };
        gateway.connected().await;
        gateway
    }
}

impl Gateway {
    /// Waits until Redis can be asked.
    pub async fn connected(&self) {
        self.state.store().unwrap().becomes(|status| status.connected).await;
    }

    /// What outlives a reload.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "").await
    }

    pub async fn send(&self, method: &str, target: &str, body: &str) -> Answer {
        let body = if body.is_empty() { call::empty() } else { call::full(body.to_owned()) };
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "gateway")
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let (head, body) = self.pipeline.answer(request).await.into_parts();
        body.collect().await.expect("the answer comes to its end");
        Answer { status: head.status.as_u16(), headers: head.headers }
    }

    /// The sum of the series of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.state.metrics().page();
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the cache says of it.
    pub fn cached(&self) -> &str {
        self.header("cache-status").trim_start_matches("tollgate; ")
    }

    pub fn is_hit(&self) -> bool {
        self.cached().starts_with("hit")
    }

    /// Which version of the lists it shows.
    pub fn version(&self) -> u64 {
        let words = self.header("x-simulator-versions").split([',', ' ']);
        let number = words.into_iter().find_map(|word| word.strip_prefix("lists="));
        number.unwrap_or_else(|| panic!("{:?}", self.headers)).parse().unwrap()
    }
}
