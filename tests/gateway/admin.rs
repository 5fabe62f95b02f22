//! The admin port over sockets: who may ask, and what is answered; and the program that asks.

use std::net::SocketAddr;
use std::process::Command;

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tollgate::app::Gateway;
use tollgate::config::Config;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::rig::{Client, PORTS, raw};
use crate::support::{Lines, Setup};

/// A gateway with an admin port, and its key.
pub(crate) struct Asked {
    pub(crate) gateway: Gateway,
    pub(crate) admin: SocketAddr,
    pub(crate) key: String,
    pub(crate) setup: Setup,
    head: String,
    /// What stands in `[admin]` beside the keys.
    rest: String,
}

pub(crate) fn admin_key(id: &str, rest: &str) -> (String, String) {
    let new = NewKey::generate(&KeyId::try_from(id.to_owned()).unwrap());
    (format!("{{ id = \"{id}\", sha256 = \"{}\"{rest} }}", new.sha256), new.text)
}

impl Asked {
    pub(crate) async fn start() -> Self {
        Self::with_rest("", "").await
    }

    /// The same with a key that may do as `rights` say, and with `rest` in its table.
    pub(crate) async fn with_rest(rights: &str, rest: &str) -> Self {
        let courier = simulator::Server::new(simulator::Options::default());
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = port.local_addr().unwrap();
        tokio::spawn(courier.serve(port, std::future::pending()));
        let (entry, key) = admin_key("ops1", rights);
        let head = format!("{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n");
        let setup = Setup::new(&format!("{head}{}", Self::table(&entry, rest)));
        let gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
        let admin = gateway.admin.expect("there is a key");
        Self { gateway, admin, key, setup, head, rest: rest.to_owned() }
    }

    fn table(entries: &str, rest: &str) -> String {
        format!("[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{entries}]\n{rest}\n")
    }

    /// The same configuration with other admin keys.
    pub(crate) fn with(&self, entries: &str) -> Config {
        self.with_table(&Self::table(entries, &self.rest))
    }

    /// The same configuration with another table `[admin]`.
    fn with_table(&self, table: &str) -> Config {
        let head = format!("{}{table}", self.head);
        let tenants = &self.setup.text[self.setup.text.find("[quota]").unwrap()..];
        Config::parse(&format!("{head}\n{tenants}"))
            .unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// The same configuration and key, but with `rest` in its table.
    pub(crate) fn with_other_rest(&self, rest: &str) -> Config {
        let keys = self.setup.text.split("keys = [").nth(1).unwrap();
        self.with_table(&Self::table(keys.split("]\n").next().unwrap(), rest))
    }

    /// Sends a document; gives the whole answer.
    pub(crate) async fn post(&self, path: &str, fields: &str, document: &str) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n\r\n{document}",
            document.len()
        );
        raw(self.admin, head.as_bytes(), "").await
    }

    pub(crate) async fn get(&self, path: &str, fields: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n\r\n");
        raw(self.admin, head.as_bytes(), "").await
    }

    pub(crate) async fn asked(&self, path: &str) -> (String, Value) {
        let answer = self.get(path, &format!("Host: localhost\r\nx-api-key: {}", self.key)).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), serde_json::from_str(body).unwrap())
    }

    /// Makes a call; gives its id.
    pub(crate) async fn call(&self, target: &str) -> String {
        let socket = tokio::net::TcpStream::connect(self.gateway.data).await.unwrap();
        let mut client = Client::h1(socket).await;
        let answer = client.send("GET", target, &self.setup.acme, Vec::new()).await;
        let id = answer.headers()["tollgate-call-id"].to_str().unwrap().to_owned();
        answer.into_body().collect().await.unwrap();
        // Its record ends when the answer is dropped, a moment after its last octet.
        while self.gateway.state().calls().find(id.parse().unwrap()).is_none() {
            tokio::task::yield_now().await;
        }
        id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_key_every_path_says_the_same() {
    let asked = Asked::start().await;
    let app = format!("Host: localhost\r\nx-api-key: {}", asked.setup.acme);
    let wrong = format!("Host: localhost\r\nx-api-key: {}x", asked.key);
    let twice = format!("Host: localhost\r\nx-api-key: {0}\r\nx-api-key: {0}", asked.key);
    let mut answers = Vec::new();
    for path in ["/api/version", "/api/calls/1", "/nowhere"] {
        for fields in ["Host: localhost", &wrong, &twice] {
            let answer = asked.get(path, fields).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(head.contains("www-authenticate: Bearer realm=\"tollgate admin\""), "{head}");
            answers.push(body.to_owned());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let answer = asked.get("/api/version", &app).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("that is a key of an app; send an admin key"), "{answer}");
    for field in ["x-api-key: ", "Authorization: Bearer ", "authorization: "] {
        let fields = format!("Host: 127.0.0.1:9\r\n{field}{}", asked.key);
        let answer = asked.get("/api/version", &fields).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_is_refused_with_the_right_key() {
    let asked = Asked::start().await;
    let key = format!("x-api-key: {}", asked.key);
    for fields in [
        "Host: rebound.example".to_owned(),
        "Host: localhost\r\nOrigin: http://evil.example".to_owned(),
        "Host: localhost\r\nOrigin: null".to_owned(),
    ] {
        let answer = asked.get("/api/calls", &format!("{fields}\r\n{key}")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("urn:tollgate:origin-refused"), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    let own = format!("Host: localhost\r\nOrigin: http://localhost\r\n{key}");
    assert!(asked.get("/api/calls", &own).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_the_last_calls_and_the_connections_are_told() {
    let asked = Asked::start().await;
    let first = asked.call("/messages").await;
    let last = asked.call("/lists").await;
    let (head, call) = asked.asked(&format!("/api/calls/{first}")).await;
    assert!(
        head.contains("content-type: application/json") && head.contains("cache-control: no-store")
    );
    assert_eq!(
        (&call["call_id"], &call["operation"]),
        (&first.clone().into(), &"messages.list".into())
    );
    let (_, calls) = asked.asked("/api/calls?app=acme&tenant=acme&limit=1").await;
    assert_eq!((&calls["calls"][0]["call_id"], &calls["calls"][1]), (&last.into(), &Value::Null));
    let (_, none) = asked.asked("/api/calls?app=umbrella").await;
    assert_eq!(none["calls"], serde_json::json!([]));
    let (_, all) = asked.asked("/api/calls?sort=slowest").await;
    let times: Vec<f64> = all["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["total_ms"].as_f64().unwrap())
        .collect();
    assert!(times.len() == 2 && times[0] >= times[1], "{times:?}");
    let (_, connections) = asked.asked("/api/connections").await;
    let acme = &connections[0];
    assert_eq!((&acme["connection"], &acme["mode"]), (&"acme-prod".into(), &"enforce".into()));
    assert_eq!(
        (&acme["pools"][0]["pool"], &acme["pools"][0]["calls"]),
        (&"connection".into(), &100_000.into())
    );
    assert_eq!(
        (&acme["pools"][0]["resting"], &acme["pools"][1]["pool"]),
        (&2.into(), &"lists.put".into())
    );
    assert_eq!((&acme["apps"][0]["app"], &acme["apps"][0]["held"]), (&"acme".into(), &2.into()));
    let socket = tokio::net::TcpStream::connect(asked.admin).await.unwrap();
    let mut h2 = Client::h2(socket).await;
    let head = h2.send("HEAD", "/api/version", &asked.key, Vec::new()).await;
    assert_eq!(head.status().as_u16(), 403, "its host is another one");
    let body = head.into_body().collect().await.unwrap();
    assert!(body.to_bytes().is_empty());
    let (_, version) = asked.asked("/api/version").await;
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

/// What the gateway answers itself, on the ports for its clients, for probes and for operators.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_head_has_the_length_of_a_get_and_no_body_on_every_port() {
    let asked = Asked::start().await;
    let (data, ops) = (asked.gateway.data, asked.gateway.ops);
    for (port, path) in [
        (data, "/.tollgate/health"),
        (data, "/.tollgate/me"),
        (data, "/nowhere"),
        (ops, "/livez"),
        (ops, "/nowhere"),
        (asked.admin, "/api/version"),
    ] {
        for h2 in [false, true] {
            let mut client = Client::connect(port, h2, None).await;
            let get = client.send("GET", path, &asked.setup.acme, Vec::new()).await;
            let (get, held) = get.into_parts();
            let held = held.collect().await.unwrap().to_bytes().len();
            let head = client.send("HEAD", path, &asked.setup.acme, Vec::new()).await;
            let (head, nothing) = head.into_parts();
            assert_eq!(get.headers["content-length"], held.to_string(), "{path} {h2}");
            assert_eq!(head.headers["content-length"], held.to_string(), "{path} {h2}");
            assert_eq!(head.status, get.status, "{path} {h2}");
            let nothing = nothing.collect().await.map(|body| body.to_bytes().len());
            assert_eq!(nothing.ok(), Some(0), "{path} {h2}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_told_what_would_be_right() {
    let asked = Asked::start().await;
    let nobodys = format!("/api/calls/{}", "0".repeat(32));
    for (path, status, word) in [
        (nobodys.as_str(), 404, "calls that waited, failed or were slow"),
        ("/api/calls/me@example.com", 400, "32 hex digits"),
        ("/api/calls?limit=0", 400, "1 to 200"),
        ("/api/calls?limit=100000", 400, "1 to 200"),
        ("/api/calls?since=1", 400, "sort=slowest"),
        ("/api/calls?app=%22", 400, "names of the configuration"),
        ("/nowhere", 404, "/api/connections"),
        ("/api/overrides?all=yes", 400, "all must be 1"),
        ("/api/audit?limit=0", 400, "1 to 1000"),
        ("/api/audit?since=1", 400, "takes each of these once: limit"),
    ] {
        let (head, problem) = asked.asked(path).await;
        assert_eq!(problem["status"], status, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{path}: {problem}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
    }
    let post = format!(
        "POST /api/calls HTTP/1.1\r\nHost: localhost\r\nx-api-key: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        asked.key
    );
    let answer = raw(asked.admin, post.as_bytes(), "").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_keys_but_not_the_address() {
    let mut asked = Asked::start().await;
    let fields = |key: &str| format!("Host: localhost\r\nx-api-key: {key}");
    let (entry, new) = admin_key("ops2", ", rights = \"change\"");
    let config = asked.with(&entry);
    asked.gateway.reload(&config).unwrap();
    let old = fields(&asked.key);
    assert!(asked.get("/api/version", &old).await.starts_with("HTTP/1.1 401 "));
    assert!(asked.get("/api/version", &fields(&new)).await.starts_with("HTTP/1.1 200 "));
    let config = asked.with("");
    asked.gateway.reload(&config).unwrap();
    assert!(asked.get("/api/version", &fields(&new)).await.starts_with("HTTP/1.1 401 "));
    let moved = format!("{}[admin]\nlisten = \"127.0.0.1:1\"\n", asked.head);
    let refused = asked.gateway.reload(&Setup::new(&moved).config()).unwrap_err();
    assert!(refused.contains("admin.listen"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_served_from_the_first_key_on_which_a_reload_may_bring() {
    let setup = Setup::new(PORTS);
    let mut gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
    assert_eq!(gateway.admin, None);
    let (entry, key) = admin_key("ops1", "");
    let table = |keys: &str, tls: &str| {
        format!("{PORTS}[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{keys}]\n{tls}")
    };
    gateway.reload(&Setup::new(&table(&entry, "")).config()).unwrap();
    let admin = gateway.admin.expect("there is a key");
    let ask = format!(
        "GET /api/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx-api-key: {key}\r\n\r\n"
    );
    assert!(raw(admin, ask.as_bytes(), "").await.starts_with("HTTP/1.1 200 "));
    gateway.reload(&Setup::new(&table("", "")).config()).unwrap();
    assert_eq!(gateway.admin, Some(admin), "it stays");
    assert!(raw(admin, ask.as_bytes(), "").await.starts_with("HTTP/1.1 401 "));
    // A port that is served does not begin or cease to speak TLS.
    let tls = Setup::new(&table(&entry, &crate::rig::Certificate::new().setting()));
    let refused = gateway.reload(&tls.config()).unwrap_err();
    assert!(refused.contains("whether there is admin.tls"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_whose_port_is_taken_is_a_refused_reload() {
    let mut gateway =
        Gateway::start(Setup::new(PORTS).config(), Lines::default().log()).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (entry, _) = admin_key("ops1", "");
    let address = taken.local_addr().unwrap();
    let table = format!("{PORTS}[admin]\nlisten = \"{address}\"\nkeys = [{entry}]\n");
    let refused = gateway.reload(&Setup::new(&table).config()).unwrap_err();
    assert!(refused.contains("cannot listen") && refused.contains("admin.listen"), "{refused}");
    assert_eq!(gateway.admin, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_explains_a_call_and_lists_the_slowest() {
    let asked = Asked::start().await;
    let id = asked.call("/messages").await;
    let (admin, key) = (asked.admin.to_string(), asked.key.clone());
    let explain = |arguments: Vec<String>, key: Option<String>| {
        let admin = admin.clone();
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
            command.arg("explain").args(arguments).env("TOLLGATE_ADMIN", admin);
            command.env_remove("TOLLGATE_ADMIN_KEY");
            if let Some(key) = key {
                command.env("TOLLGATE_ADMIN_KEY", key);
            }
            let output = command.output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.code().unwrap(), String::from_utf8(text).unwrap())
        })
    };
    let (code, text) = explain(vec![id.clone()], Some(key.clone())).await.unwrap();
    assert_eq!(code, 0, "{text}");
    for words in ["It was not slow", &id, "acme / acme", "messages.list", "sent, try 1", "vendor"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text) = explain(vec![id.clone(), "--json".into()], Some(key.clone())).await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["call_id"]), (0, &id.clone().into()));
    let (code, text) = explain(Vec::new(), Some(key.clone())).await.unwrap();
    assert!(code == 0 && text.contains(&id) && text.contains("kept are the last"), "{text}");
    let (code, text) = explain(vec!["0".repeat(32)], Some(key.clone())).await.unwrap();
    assert!(code == 1 && text.contains("no call of that id is kept: kept are"), "{code} {text}");
    let (code, text) = explain(vec![id.clone()], Some(asked.setup.acme.clone())).await.unwrap();
    assert!(
        code == 1 && text.contains("answers 401: that is a key of an app; send an admin key"),
        "{code} {text}"
    );
    assert!(!text.contains(&asked.setup.acme), "{text}");
    let (code, text) = explain(vec![id], None).await.unwrap();
    assert!(code == 2 && text.contains("TOLLGATE_ADMIN_KEY is not set"), "{code} {text}");
    let (code, text) = explain(vec!["an-address".into()], Some(key)).await.unwrap();
    assert!(code == 2 && text.contains("32 hex digits"), "{code} {text}");
}
