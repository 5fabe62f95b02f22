//! The live page over sockets: who may load it, and with which fields.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tollgate::app::Gateway;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::rig::{PORTS, raw};
use crate::support::{Lines, Setup};

async fn started() -> (Gateway, SocketAddr, Setup) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    let key = NewKey::generate(&KeyId::try_from("ops1".to_owned()).unwrap());
    let head = format!(
        "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         keys = [{{ id = \"ops1\", sha256 = \"{}\" }}]\n",
        key.sha256
    );
    let setup = Setup::new(&head);
    let gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
    let admin = gateway.admin.expect("there is a key");
    (gateway, admin, setup)
}

async fn asked(admin: SocketAddr, line: &str, host: &str) -> String {
    let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    raw(admin, head.as_bytes(), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_key_but_the_right_host() {
    let (_gateway, admin, _setup) = started().await;
    let answer = asked(admin, "GET /", "localhost").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    for field in ["default-src 'none'; script-src 'self'", "no-cache", "nosniff", "etag: \""] {
        assert!(answer.contains(field), "{field}: {answer}");
    }
    for path in ["GET /", "GET /assets/app.js"] {
        let elsewhere = asked(admin, path, "rebound.example").await;
        assert!(elsewhere.starts_with("HTTP/1.1 403 "), "{elsewhere}");
    }
    let answer = asked(admin, "HEAD /assets/app.js", "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "no content: {answer}");
    let answer = asked(admin, "GET /api/version", "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "what the page shows needs a key: {answer}");
}
