//! Keys that are revoked on the admin port, and what is told of keys.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate::app::Gateway;
use tollgate::config::Config;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;
use tollgate::telemetry::logs::AccessLog;

use crate::restart::folder;
use crate::rig::{PORTS, raw};
use crate::support::{Setup, Stack, request};

/// Tenants, two operators and a state folder.
struct World {
    setup: Setup,
    folder: PathBuf,
    reader: NewKey,
    changer: NewKey,
}

fn new(id: &str) -> NewKey {
    NewKey::generate(&KeyId::try_from(id.to_owned()).unwrap())
}

impl World {
    fn new() -> Self {
        let (reader, changer) = (new("reader"), new("changer"));
        Self { setup: Setup::new(""), folder: folder(), reader, changer }
    }

    fn text(&self) -> String {
        format!(
            "{PORTS}[state]\ndir = '{}'\n[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{{ id = \"reader\", sha256 = \"{}\" }}, {{ id = \"changer\", sha256 = \"{}\", rights = \"change\" }}]\n{}",
            self.folder.display(),
            self.reader.sha256,
            self.changer.sha256,
            self.setup.text
        )
    }

    /// A gateway, once an earlier one has let go of the folder: its last connections may take a
    /// moment.
    async fn start(&self) -> Gateway {
        loop {
            let config = Config::parse(&self.text()).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
            match Gateway::start(config, AccessLog::none()).await {
                Ok(gateway) => return gateway,
                Err(error) => assert!(error.to_string().contains("another process"), "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The status and the document of an answer.
async fn ask(port: SocketAddr, line: &str, key: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx-api-key: {key}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(port, text.as_bytes(), "").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
}

async fn me(gateway: &Gateway, key: &str) -> (u16, Value) {
    ask(gateway.data, "GET /.tollgate/me", key, None).await
}

async fn revoke(gateway: &Gateway, id: &str, key: &NewKey) -> (u16, Value) {
    let line = format!("POST /api/keys/{id}/revoke");
    let body = json!({ "because": "it was in a chat" });
    ask(gateway.admin.unwrap(), &line, &key.text, Some(body)).await
}

async fn listed(gateway: &Gateway, key: &NewKey) -> Vec<Value> {
    let (status, keys) = ask(gateway.admin.unwrap(), "GET /api/keys", &key.text, None).await;
    assert_eq!(status, 200, "{keys}");
    keys["keys"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_at_once_and_after_a_restart() {
    let world = World::new();
    let gateway = world.start().await;
    let acme = &world.setup.acme;
    assert_eq!(me(&gateway, acme).await.0, 200);
    let (status, done) = revoke(&gateway, "acme", &world.changer).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["words"], "the key 'acme' of acme/acme is refused");
    let (status, refused) = me(&gateway, acme).await;
    let words = "the key 'acme' was revoked; ask the operator for a new one";
    assert_eq!((status, &refused["detail"]), (401, &words.into()));
    assert_eq!(me(&gateway, &world.setup.umbrella).await.0, 200, "another key is not meant");
    let port = gateway.admin.unwrap();
    let (_, audit) = ask(port, "GET /api/audit", &world.reader.text, None).await;
    let act = &audit["acts"][0];
    assert_eq!((&act["act"], &act["key"]), (&"revoke-key".into(), &"changer".into()), "{audit}");
    assert_eq!((&act["what"], &act["because"]), (&done["words"], &"it was in a chat".into()));
    let (status, again) = revoke(&gateway, "acme", &world.changer).await;
    assert_eq!((status, &again["key"]["revoked"]), (200, &done["key"]["revoked"]));
    gateway.shut_down().await;
    let gateway = world.start().await;
    assert_eq!(me(&gateway, acme).await.0, 401);
    let keys = listed(&gateway, &world.reader).await;
    assert_eq!(keys[0]["revoked"], done["key"]["revoked"]);
    assert_eq!(keys[0]["revoked"]["by"], "changer");
    assert_eq!(keys[0]["revoked"]["because"], "it was in a chat");
    gateway.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_under_the_same_id_is_taken_and_the_old_one_stays_refused() {
    let world = World::new();
    let mut gateway = world.start().await;
    assert_eq!(revoke(&gateway, "acme", &world.changer).await.0, 200);
    let (text, next) = (world.text(), new("acme"));
    let hash = text.split("id = \"acme\", sha256 = \"").nth(1).unwrap()[..64].to_owned();
    let renewed = Config::parse(&text.replace(&hash, &next.sha256.to_string())).unwrap();
    gateway.reload(&renewed).unwrap();
    assert_eq!(me(&gateway, &next.text).await.0, 200);
    assert_eq!(me(&gateway, &world.setup.acme).await.0, 401);
    gateway.reload(&Config::parse(&text).unwrap()).unwrap();
    assert_eq!(me(&gateway, &world.setup.acme).await.0, 401, "the way back is no way round");
    gateway.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_change_revokes_and_an_operator_can_be_shut_out() {
    let world = World::new();
    let gateway = world.start().await;
    let (status, refused) = revoke(&gateway, "acme", &world.reader).await;
    assert_eq!((status, &refused["type"]), (403, &"urn:tollgate:scope-missing".into()));
    assert_eq!(me(&gateway, &world.setup.acme).await.0, 200);
    let (status, refused) = revoke(&gateway, "nobody", &world.changer).await;
    assert_eq!(status, 400);
    assert_eq!(refused["detail"], "the configuration has no key 'nobody'");
    let port = gateway.admin.unwrap();
    for because in [json!({}), json!({ "because": " " }), json!({ "because": "a\nb" })] {
        let line = "POST /api/keys/acme/revoke";
        let (status, _) = ask(port, line, &world.changer.text, Some(because.clone())).await;
        assert_eq!(status, 400, "{because}");
    }
    assert_eq!(revoke(&gateway, "reader", &world.changer).await.0, 200);
    let (status, refused) = ask(port, "GET /api/keys", &world.reader.text, None).await;
    assert_eq!(status, 401);
    assert!(refused["detail"].as_str().unwrap().contains("'reader' was revoked"), "{refused}");
    gateway.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_are_listed_with_their_holders_and_their_last_use_which_a_reload_keeps() {
    let world = World::new();
    let mut gateway = world.start().await;
    me(&gateway, &world.setup.acme).await;
    let text = world.text();
    let ends =
        text.replacen("\" }]\nscopes", "\", expires = \"2040-01-01T00:00:00Z\" }]\nscopes", 1);
    assert_ne!(ends, text);
    gateway.reload(&Config::parse(&ends).unwrap()).unwrap();
    let keys = listed(&gateway, &world.reader).await;
    let names: Vec<_> = keys.iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme", "umbrella", "changer", "reader"]);
    let rights: Vec<_> = keys.iter().map(|key| key["rights"].as_str().unwrap()).collect();
    assert_eq!(rights, ["app", "app", "change", "read"]);
    let [acme, umbrella, changer, reader] = &keys[..] else { panic!("{keys:#?}") };
    assert_eq!((&acme["tenant"], &acme["app"]), (&"acme".into(), &"acme".into()));
    assert_eq!(acme["expires_at_ms"], 2_208_988_800_000_u64);
    assert!(acme["last_used_at_ms"].is_u64() && reader["last_used_at_ms"].is_u64(), "{keys:#?}");
    for never in [&umbrella["last_used_at_ms"], &changer["last_used_at_ms"], &reader["app"]] {
        assert!(never.is_null(), "{keys:#?}");
    }
    assert!(keys.iter().all(|key| key["revoked"].is_null()));
    gateway.shut_down().await;
}

/// Writes the file of a gateway that revoked `acme`, and gives it.
async fn written(world: &World) -> PathBuf {
    let gateway = world.start().await;
    assert_eq!(revoke(&gateway, "acme", &world.changer).await.0, 200);
    gateway.shut_down().await;
    world.folder.join("revoked.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_start_with_a_damaged_file_of_revoked_keys() {
    let world = World::new();
    let file = written(&world).await;
    let good = std::fs::read_to_string(&file).unwrap();
    assert!(!good.contains("tg_") && !good.contains(&world.setup.acme[8..]), "{good}");
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    let refused = loop {
        let config = Config::parse(&world.text()).unwrap();
        let refused = Gateway::start(config, AccessLog::none()).await.err().unwrap().to_string();
        if !refused.contains("another process") {
            break refused;
        }
        tokio::task::yield_now().await;
    };
    assert!(refused.contains("revoked.json") && refused.contains("put the file back"), "{refused}");
    assert!(Path::new(&file).exists());
}

#[tokio::test]
async fn a_call_with_a_revoked_key_is_counted_as_such_and_sends_nothing() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let key = stack.state.key_state(&KeyId::try_from("acme".to_owned()).unwrap()).unwrap().key;
    stack.state.revocations().add(&[tollgate::identity::Revocation {
        key: key.id,
        print: key.sha256.print(),
        at_ms: 1,
        by: "ops1".into(),
        because: "leaked".into(),
    }]);
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((answer.status.as_u16(), stack.arrived().len()), (401, 0));
    assert_eq!(stack.lines.last()["key_detail"], "revoked");
    let page = stack.state.metrics().page();
    assert!(page.contains("tollgate_keys_refused_total{reason=\"revoked\"} 1\n"), "{page}");
}
