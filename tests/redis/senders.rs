//! Gateways that share a Redis, in this process, before one simulated Courier.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use simulator::{Fault, When};
use tokio_util::task::AbortOnDropHandle;
use tollgate::call::{self, StreamBody};
use tollgate::config::Config;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;

use crate::servers::{Folder, Server};
use crate::support::Pipes;

/// Nothing here takes this long.
const GUARD: Duration = Duration::from_secs(30);
/// A command of the store may take longer.
const SOON: Duration = Duration::from_secs(8);

/// Two gateways of one configuration, as replicas are.
pub struct Gateways {
    all: [(State, Arc<Pipeline>); 2],
    pub courier: simulator::Server,
    key: String,
    _folder: Folder,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Gateways {
    /// Gateways that have found `redis`, and wait for it.
    pub async fn sharing(redis: &Server) -> Self {
        Self::limited(redis, "calls = 100000").await
    }

    /// The same with its own lines below `[quota]`.
    pub async fn limited(redis: &Server, quota: &str) -> Self {
        let gateways = Self::new(redis, quota).await;
        gateways.all.iter().for_each(|(state, _)| state.keys().waits_for_the_store(GUARD));
        gateways
    }

    /// Gateways that wait for Redis as long as in production.
    pub async fn hurried(redis: &Server) -> Self {
        Self::new(redis, "calls = 100000").await
    }

    async fn new(redis: &Server, quota: &str) -> Self {
        let folder = Folder::new();
        let token = folder.write("token", "tok-1");
        let key = NewKey::generate(&KeyId::try_from("k1".to_owned()).unwrap());
        let text = format!(
            "[state]\nassume = \"fresh\"\n[shared]\nredis = \"redis://127.0.0.1:{}\"\ntimeout = \"10s\"\nlease = \"40s\"\n[quota]\n{quota}\n\
             [[tenant]]\nid = \"acme\"\n[[tenant.connection]]\nid = \"acme-prod\"\n\
             token = {{ file = '{}' }}\n[[tenant.app]]\nid = \"billing\"\nscopes = [\"*\"]\n\
             keys = [{{ id = \"k1\", sha256 = \"{}\" }}]\n",
            redis.port,
            token.display(),
            key.sha256
        );
        let config = Config::parse(&text).unwrap_or_else(|found| panic!("{:?}", found.problems));
        let options = simulator::Options { limits: Vec::new(), ..Default::default() };
        let courier = simulator::Server::new(options);
        let gateway = || {
            let telemetry = Telemetry::new(AccessLog::new(drop));
            let pipes = Arc::new(Pipes { courier: courier.clone(), opened: Mutex::default() });
            let state = State::with_dial(&config, telemetry, pipes).unwrap();
            let pipeline = Arc::new(Pipeline::build(&config, &state));
            (state, pipeline)
        };
        let all = [gateway(), gateway()];
        for (state, _) in &all {
            let found = state.store().unwrap().becomes(|status| status.connected);
            tokio::time::timeout(GUARD, found).await.expect("Redis is there");
        }
        Self { all, courier, key: key.text, _folder: folder }
    }

    /// A send of `text` with these fields.
    pub fn send(&self, text: &str, fields: &[(&'static str, &str)]) -> Request<StreamBody> {
        let body = format!(
            "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"t\",\"body\":\"{text}\"}}}}}}"
        );
        let mut call = Request::post("/send")
            .header("host", "gateway")
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .body(call::full(body))
            .unwrap();
        for (name, value) in fields {
            call.headers_mut().append(*name, value.parse().unwrap());
        }
        call
    }

    /// A read, by which a gateway has slots of the shared quota.
    pub fn read(&self) -> Request<StreamBody> {
        let call = Request::get("/messages").header("host", "gateway");
        call.header("x-api-key", &self.key).body(call::empty()).unwrap()
    }

    /// Gateway `at` answers, and the answer is read whole.
    pub async fn ask(&self, at: usize, call: Request<StreamBody>) -> Answer {
        let answer = async {
            let (head, body) = self.all[at].1.answer(call).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: head.status, headers: head.headers, body }
        };
        tokio::time::timeout(GUARD, answer).await.expect("it is answered")
    }

    /// The same, in less time than a command of the store may take.
    pub async fn ask_soon(&self, at: usize, call: Request<StreamBody>) -> Answer {
        let answer = tokio::time::timeout(SOON, self.ask(at, call)).await;
        answer.expect("no call waits for Redis")
    }

    /// The same as [`ask`](Self::ask), but nothing of the answer arrives.
    pub async fn lose(&self, at: usize, call: Request<StreamBody>) {
        drop(self.all[at].1.answer(call).await);
    }

    /// Begins a call, which goes on until the task ends.
    pub fn begin(&self, at: usize, call: Request<StreamBody>) -> AbortOnDropHandle<()> {
        let pipeline = self.all[at].1.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { drop(pipeline.answer(call).await) }))
    }

    /// What Courier does to the next calls, for `times` of them.
    pub fn next(&self, times: u64, effect: simulator::Effect) {
        let when = When { times: Some(times), ..When::default() };
        self.courier.with(|simulator| {
            simulator.faults().clear();
            simulator.faults().add(Fault { id: None, when, effect });
        });
    }

    /// Sends that Courier acted on.
    pub fn committed(&self) -> usize {
        self.courier.with(|courier| {
            courier.journal().entries().filter(|entry| entry.committed.is_some()).count()
        })
    }

    /// The keys that arrived, oldest first.
    pub fn keys(&self) -> Vec<String> {
        self.courier.with(|courier| {
            let all = courier.journal().entries();
            all.map(|entry| entry.request.field("idempotency-key").unwrap_or("").to_owned())
                .collect()
        })
    }
}
