//! What clients are told, over sockets, of how long a connection may rest.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Certificate, Client, Rig};

/// `Keep-Alive` of the answer to one more health check on `stream`.
async fn told(stream: &mut TcpStream, path: &str) -> Option<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("ok\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "{answer}");
        answer += std::str::from_utf8(&piece[..read]).unwrap();
    }
    let line = answer.lines().find_map(|line| line.strip_prefix("keep-alive: "));
    line.map(str::to_owned)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn a_client_is_told_the_time_that_its_own_connection_has_over_a_reload_too() {
    const PATH: &str = "/.tollgate/health";
    let mut rig = Rig::start("keep_alive = \"65s\"\n").await;
    let mut early = connect(rig.gateway.data).await;
    assert_eq!(told(&mut early, PATH).await.as_deref(), Some("timeout=64"));
    let first = rig.setup.text.clone();
    for (setting, later) in [("30s", Some("timeout=29")), ("1999ms", None)] {
        rig.setup.text = first.replace("\"65s\"", &format!("\"{setting}\""));
        rig.gateway.reload(&rig.setup.config()).unwrap();
        assert_eq!(told(&mut connect(rig.gateway.data).await, PATH).await.as_deref(), later);
        assert_eq!(told(&mut early, PATH).await.as_deref(), Some("timeout=64"));
    }
    let ops = told(&mut connect(rig.gateway.ops).await, "/livez").await;
    assert_eq!(ops.as_deref(), Some("timeout=7"));
}

#[tokio::test]
async fn the_time_is_told_over_http1_alone_whatever_the_answer_is() {
    let tls = Certificate::new();
    for secure in [None, Some(&tls)] {
        let rig = Rig::start(&secure.map(Certificate::setting).unwrap_or_default()).await;
        for h2 in [false, true] {
            for (key, status) in [(rig.setup.acme.as_str(), 200), ("tg_a_b", 401)] {
                let mut client = Client::connect(rig.gateway.data, h2, secure).await;
                let answer = client.send("GET", "/brands", key, Vec::new()).await;
                assert_eq!(answer.status().as_u16(), status);
                let field = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
                let told = (field("connection"), field("keep-alive"));
                let wanted =
                    if h2 { (None, None) } else { (Some("keep-alive"), Some("timeout=74")) };
                assert_eq!(told, wanted, "h2 {h2}, TLS {}", secure.is_some());
            }
        }
    }
}
