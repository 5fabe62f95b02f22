//! Changes by the admin port, over sockets: who may make them, what is answered, how they are listed
//! and ended.

use serde_json::{Value, json};
use tollgate::app::Gateway;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::rig::{PORTS, raw};
use crate::support::{Lines, Setup};

/// A gateway, and keys for its admin port.
struct Port {
    gateway: Gateway,
    reader: String,
    changer: String,
    setup: Setup,
}

impl Port {
    async fn start() -> Self {
        let key = |id: &str, rights: &str| {
            let new = NewKey::generate(&KeyId::try_from(id.to_owned()).unwrap());
            let sha256 = &new.sha256;
            let entry =
                format!("{{ id = \"{id}\", sha256 = \"{sha256}\", rights = \"{rights}\" }}");
            (entry, new.text)
        };
        let ((one, reader), (two, changer)) = (key("looks", "read"), key("ops", "change"));
        let head = format!("{PORTS}[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{one}, {two}]\n");
        let setup = Setup::new(&head);
        let gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
        Self { gateway, reader, changer, setup }
    }

    /// The status and the document that are answered.
    async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let fields = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{fields}\r\nX-Api-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = raw(self.gateway.admin.unwrap(), request.as_bytes(), "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    async fn make(&self, key: &str, act: Value) -> (u16, Value) {
        let body = json!({"act": act, "for_ms": 600_000, "because": "Courier asked for it"});
        self.ask("POST", "/api/overrides", key, &body.to_string()).await
    }
}

#[tokio::test]
async fn a_change_needs_the_right_to_change_and_is_listed_with_who_and_why_until_it_is_ended() {
    let port = Port::start().await;
    let act = json!({"kind": "limit", "connection": "acme-prod", "calls": 50});
    let (status, refused) = port.make(&port.reader, act.clone()).await;
    assert_eq!((status, &refused["code"]), (403, &json!("scope-missing")));
    let (status, _) = port.make(&port.setup.acme, act.clone()).await;
    assert_eq!(status, 401, "the key of an app");
    let (status, made) = port.make(&port.changer, act.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["act"], &made["by"]), (&act, &json!("ops")));
    assert_eq!((&made["everywhere"], &made["remembered"]), (&json!(true), &json!(false)));

    let (status, listed) = port.ask("GET", "/api/overrides", &port.reader, "").await;
    assert_eq!(status, 200);
    let one = &listed["overrides"][0];
    assert_eq!((&one["id"], &one["because"]), (&made["id"], &json!("Courier asked for it")));
    assert!((500_000..=600_000).contains(&one["left_ms"].as_u64().unwrap()), "{one}");
    let connections = port.ask("GET", "/api/connections", &port.reader, "").await.1;
    assert_eq!(connections[0]["pools"][0]["calls"], 50);

    let path = format!("/api/overrides/{}", made["id"].as_str().unwrap());
    assert_eq!(port.ask("DELETE", &path, &port.reader, "").await.0, 403);
    let (status, ended) = port.ask("DELETE", &path, &port.changer, "").await;
    assert_eq!((status, &ended["ended"]), (200, &json!("ended by ops")));
    assert_eq!(port.ask("DELETE", &path, &port.changer, "").await.0, 409);
    assert_eq!(port.ask("DELETE", "/api/overrides/none", &port.changer, "").await.0, 404);
    let (_, listed) = port.ask("GET", "/api/overrides", &port.reader, "").await;
    assert_eq!(listed["overrides"], json!([]));
    let (_, all) = port.ask("GET", "/api/overrides?all=1", &port.reader, "").await;
    assert_eq!(all["overrides"][0]["id"], made["id"]);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_refused_with_what_would_be_right() {
    let port = Port::start().await;
    let wanted = |act: Value, for_ms: u64, because: &str| {
        json!({"act": act, "for_ms": for_ms, "because": because}).to_string()
    };
    let bypass = |connection: &str| json!({"kind": "bypass", "connection": connection});
    for (body, detail) in [
        (String::new(), "the document is not understood"),
        ("{}".to_owned(), "missing field `act`"),
        (wanted(json!({"kind": "x"}), 5000, "y"), "unknown variant `x`"),
        (wanted(bypass("acme-prod"), 10, "y"), "for_ms: write a length"),
        (wanted(bypass("acme-prod"), 5000, " "), "because: write a reason"),
        (wanted(bypass("acme-prod"), 5000, "a\nb"), "because: write a reason"),
        (wanted(bypass("x"), 5000, "y"), "there is no connection 'x'"),
        (wanted(json!({"kind": "purge", "connection": "acme-prod"}), 5000, "y"), "POST /api/purge"),
    ] {
        let (status, refused) = port.ask("POST", "/api/overrides", &port.changer, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(refused["detail"].as_str().unwrap().contains(detail), "{refused}");
    }
    let big = format!("{{\"because\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(port.ask("POST", "/api/purge", &port.changer, &big).await.0, 413);
    let purge = json!({"connection": "acme-prod", "tag": "brands", "because": "changed outside"});
    let (status, done) = port.ask("POST", "/api/purge", &port.changer, &purge.to_string()).await;
    assert_eq!((status, &done["purged"]), (200, &json!("acme-prod: copies of brands forgotten")));
}

#[tokio::test]
async fn a_secret_in_a_reason_is_veiled_everywhere() {
    let port = Port::start().await;
    let secret = port.changer.splitn(3, '_').nth(2).unwrap();
    let act = json!({"kind": "pause-app", "app": "acme"});
    let because = format!("it was posted: {}", port.changer);
    let body = json!({"act": act, "for_ms": 60_000, "because": because}).to_string();
    let (status, made) = port.ask("POST", "/api/overrides", &port.changer, &body).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({"because": because}).to_string();
    let (status, _) = port.ask("POST", "/api/keys/acme/revoke", &port.changer, &body).await;
    assert_eq!(status, 200);
    for path in ["/api/overrides", "/api/keys", "/api/audit"] {
        let (_, told) = port.ask("GET", path, &port.reader, "").await;
        let told = told.to_string();
        assert!(told.contains("it was posted") && !told.contains(secret), "{path}: {told}");
    }
    assert!(!made.to_string().contains(secret));
}
