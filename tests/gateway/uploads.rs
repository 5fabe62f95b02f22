//! Request bodies that arrive slowly, and who pays for them.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{Client, Rig, raw};

/// A send of `length` octets.
fn send(length: usize) -> Vec<u8> {
    let text = |body: &str| {
        format!(
            "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"t\",\"body\":\"{body}\"}}}}}}"
        )
    };
    text(&"x".repeat(length - text("").len())).into_bytes()
}

fn head(key: &str, length: usize) -> String {
    format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Announces `length` octets and sends `part` of them.
async fn unfinished(rig: &Rig, length: usize, part: usize) -> TcpStream {
    let mut socket = TcpStream::connect(rig.gateway.data).await.unwrap();
    socket.write_all(head(&rig.setup.acme, length).as_bytes()).await.unwrap();
    socket.write_all(&vec![b'x'; part]).await.unwrap();
    socket
}

/// Waits until the page of metrics says that `octets` are held.
async fn held(rig: &Rig, octets: usize) {
    let page = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let wanted = format!("\ntollgate_upload_bytes {octets}\n");
    let waiting = async { while !raw(rig.gateway.ops, page, "").await.contains(&wanted) {} };
    let there = timeout(Duration::from_secs(20), waiting).await;
    there.unwrap_or_else(|_| panic!("never {octets} octets"));
}

/// The status of a whole send of the tenant that does no harm.
async fn other_tenants(rig: &Rig, length: usize) -> u16 {
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    client.send("POST", "/send", &rig.setup.umbrella, send(length)).await.status().as_u16()
}

#[tokio::test]
async fn an_upload_holds_what_has_arrived_of_it() {
    let rig = Rig::start("").await;
    let mut sockets = Vec::new();
    for _ in 0..43 {
        sockets.push(unfinished(&rig, 6 << 20, 1).await);
    }
    held(&rig, 43).await;
    assert_eq!(other_tenants(&rig, 1 << 20).await, 202);
    drop(sockets);
    held(&rig, 0).await;
}

#[tokio::test]
async fn an_upload_over_http2_holds_what_has_arrived_of_it() {
    let rig = Rig::start("").await;
    let socket = TcpStream::connect(rig.gateway.data).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut streams = Vec::new();
    for _ in 0..43 {
        client = client.ready().await.unwrap();
        let request = Request::post("http://gateway.example/send")
            .header("x-api-key", &rig.setup.acme)
            .header("content-length", 6 << 20)
            .body(())
            .unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"x"), false).unwrap();
        streams.push((answer, body));
    }
    held(&rig, 43).await;
    assert_eq!(other_tenants(&rig, 1 << 20).await, 202);
    drop(streams);
    held(&rig, 0).await;
}

#[tokio::test]
async fn one_tenants_uploads_never_refuse_anothers_body() {
    let rig = Rig::start("body_size = \"1MiB\"\nuploads_total = \"4MiB\"\n").await;
    let nearly = (1 << 20) - 1;
    let first = [unfinished(&rig, 1 << 20, nearly).await, unfinished(&rig, 1 << 20, nearly).await];
    held(&rig, 2 * nearly).await;
    // Its own part and half of what is common: more of it is refused.
    let refused =
        raw(rig.gateway.data, head(&rig.setup.acme, 1 << 20).as_bytes(), "\r\n\r\n").await;
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1"),
        "{refused}"
    );
    for _ in 0..2 {
        assert_eq!(other_tenants(&rig, 1 << 20).await, 202);
    }
    drop(first);
    held(&rig, 0).await;
    let mut again = unfinished(&rig, 1 << 20, 1 << 20).await;
    let mut answer = [0; 12];
    again.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400", "it was read: all x is no JSON");
}
