//! What operators see of a running gateway: the live views of the admin port.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate::app::Gateway;
use tollgate::config::Config;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::rig::{Client, PORTS, raw};
use crate::support::{Lines, Setup};

/// A gateway with an admin port, and what its operator has.
pub(crate) struct Watched {
    pub(crate) gateway: Gateway,
    pub(crate) admin: SocketAddr,
    pub(crate) key: String,
    pub(crate) setup: Setup,
}

/// A stream of events.
struct Events {
    socket: TcpStream,
    read: String,
}

fn admin_key(id: &str) -> (String, String) {
    let new = NewKey::generate(&KeyId::try_from(id.to_owned()).unwrap());
    (format!("{{ id = \"{id}\", sha256 = \"{}\" }}", new.sha256), new.text)
}

impl Watched {
    pub(crate) async fn start(head: &str) -> Self {
        Self::with_quota(head, "[quota]\ncalls = 100\n").await
    }

    pub(crate) async fn with_quota(head: &str, quota: &str) -> Self {
        let courier = simulator::Server::new(simulator::Options::default());
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = port.local_addr().unwrap();
        tokio::spawn(courier.serve(port, std::future::pending()));
        Self::before(vendor, head, quota).await
    }

    /// A gateway before `vendor`.
    pub(crate) async fn before(vendor: SocketAddr, head: &str, quota: &str) -> Self {
        let (entry, key) = admin_key("ops1");
        let head = format!(
            "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n{head}\n[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{entry}]\n"
        );
        let setup = Setup::with_quota(&head, quota);
        let gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
        let admin = gateway.admin.expect("there is a key");
        Self { gateway, admin, key, setup }
    }

    pub(crate) async fn get(&self, path: &str) -> (String, String) {
        let head = format!(
            "GET {path} HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nx-api-key: {}\r\n\r\n",
            self.key
        );
        let answer = raw(self.admin, head.as_bytes(), "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (head, body) = self.get(path).await;
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head} {body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).unwrap()
    }

    /// Makes a call; its record is there when this is done.
    pub(crate) async fn call(&self, target: &str) -> String {
        let socket = TcpStream::connect(self.gateway.data).await.unwrap();
        let mut client = Client::h1(socket).await;
        let answer = client.send("GET", target, &self.setup.acme, Vec::new()).await;
        let id = answer.headers()["tollgate-call-id"].to_str().unwrap().to_owned();
        answer.into_body().collect().await.unwrap();
        while self.gateway.state().calls().find(id.parse().unwrap()).is_none() {
            tokio::task::yield_now().await;
        }
        id
    }

    async fn events(&self) -> Events {
        let mut socket = TcpStream::connect(self.admin).await.unwrap();
        let head = format!(
            "GET /api/events HTTP/1.1\r\nHost: localhost\r\nx-api-key: {}\r\n\r\n",
            self.key
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Events { socket, read: String::new() }
    }

    /// The same configuration with another admin key.
    fn with_another_key(&self) -> Config {
        let at = self.setup.text.find("keys = [").unwrap();
        let end = at + self.setup.text[at..].find('\n').unwrap();
        let text = &self.setup.text;
        let text = format!("{}keys = [{}]{}", &text[..at], admin_key("ops1").0, &text[end..]);
        Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }
}

impl Events {
    /// All up to the next octets that are `until`; false at the end of the stream.
    async fn until(&mut self, until: &str) -> bool {
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.read.find(until) {
                self.read.drain(..at + until.len());
                return true;
            }
            match self.socket.read(&mut piece).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => self.read += std::str::from_utf8(&piece[..read]).unwrap(),
            }
        }
    }

    /// Number and document of the next event.
    async fn next(&mut self) -> Option<(u64, Value)> {
        if !self.until("event: overview\nid: ").await {
            return None;
        }
        let mut all = String::new();
        let mut piece = [0; 4096];
        while !self.read.contains("\n\n") {
            let read = self.socket.read(&mut piece).await.unwrap();
            assert!(read > 0, "cut: {all}");
            self.read += std::str::from_utf8(&piece[..read]).unwrap();
        }
        let (event, rest) = self.read.split_once("\n\n").unwrap();
        let (id, data) = event.split_once("\ndata: ").unwrap();
        let event = (id.parse().unwrap(), serde_json::from_str(data).unwrap());
        self.read = rest.to_owned();
        all.clear();
        Some(event)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_shows_in_its_connections_slots_words_and_among_the_slowest() {
    let watched = Watched::start("").await;
    let before = watched.json("/api/overview").await;
    let acme = &before["connections"][0];
    assert_eq!(acme["words"], "idle: 100 of 100 slots are free");
    let id = watched.call("/messages").await;
    let all = watched.json("/api/overview").await;
    assert_eq!((&all["version"], &all["ready"]), (&env!("CARGO_PKG_VERSION").into(), &Value::Null));
    assert!(all["started_at_ms"].as_u64() <= all["at_ms"].as_u64());
    let acme = &all["connections"][0];
    assert_eq!((&acme["connection"], &acme["tenant"]), (&"acme-prod".into(), &"acme".into()));
    assert_eq!(acme["words"], "nothing waits; 99 of 100 slots are free");
    let slots = serde_json::json!(
        {"limit":100,"in_use":0,"resting":1,"free":99,"window_ms":60_000,"closed_ms":0}
    );
    assert_eq!(acme["slots"], slots);
    assert_eq!(acme["wait_ms"], serde_json::json!({"interactive":0,"bulk":0}));
    assert_eq!((&acme["breaker"], &acme["token"]), (&"closed".into(), &"ok".into()));
    let app = &acme["apps"][0];
    assert_eq!(
        (&app["tenant"], &app["app"], &app["held"]),
        (&"acme".into(), &"acme".into(), &1.into())
    );
    let slowest = &all["slowest"][0];
    assert_eq!((&slowest["id"], &slowest["operation"]), (&id.into(), &"messages.list".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_begin_at_once_and_go_on_with_rising_numbers() {
    let watched = Watched::start("").await;
    let mut events = watched.events().await;
    assert!(events.until("HTTP/1.1 200 ").await);
    assert!(events.until("text/event-stream").await);
    let (first, _) = events.next().await.unwrap();
    watched.call("/messages").await;
    let (second, all) = events.next().await.unwrap();
    assert!(second > first);
    assert_eq!(all["connections"][0]["slots"]["resting"], 1, "as of that second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_key_is_not_the_one_of_now() {
    let mut watched = Watched::start("").await;
    let mut events = watched.events().await;
    assert!(events.next().await.is_some());
    let config = watched.with_another_key();
    watched.gateway.reload(&config).unwrap();
    while events.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_gateway_drains() {
    let watched = Watched::start("").await;
    let mut events = watched.events().await;
    assert!(events.next().await.is_some());
    watched.gateway.begin_drain();
    while events.next().await.is_some() {}
    assert_eq!(watched.json("/api/overview").await["ready"], "draining");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_streams_as_may_be_keep_no_operator_out() {
    let watched = Watched::start("").await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut events = watched.events().await;
        assert!(events.next().await.is_some());
        streams.push(events);
    }
    let (head, body) = watched.get("/api/events").await;
    assert!(head.starts_with("http/1.1 503 "), "{head} {body}");
    assert_eq!(watched.json("/api/overview").await["connections"][0]["connection"], "acme-prod");
    for events in &mut streams {
        assert!(events.next().await.is_some(), "nobody was cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_free_slot_says_so_before_a_call_is_refused() {
    let watched = Watched::with_quota("", "[quota]\ncalls = 1\n").await;
    watched.call("/messages").await;
    let acme = &watched.json("/api/overview").await["connections"][0];
    assert_eq!(acme["words"], "nothing waits; none of 1 slot is free");
    assert_eq!(
        acme["wait_ms"],
        serde_json::json!({"interactive":null,"bulk":null}),
        "60 s is too long"
    );
    assert_eq!(acme["exhausted_in_ms"], 0);
    assert_eq!(acme["apps"][0]["refused"], "quota-exhausted");
}
