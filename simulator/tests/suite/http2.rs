//! HTTP/2 with prior knowledge, over in-process streams.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use simulator::{Ending, Options, Protocol, Server};

async fn connect(server: &Server) -> SendRequest<Full<Bytes>> {
    let (client, io) = tokio::io::duplex(64 * 1024);
    let server = server.clone();
    tokio::spawn(async move { server.serve_io(io).await });
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .expect("the parts are valid");
    tokio::spawn(connection);
    send
}

fn request(method: &str, target: &str, fault: &Value, body: &str) -> Request<Full<Bytes>> {
    let uri = format!("http://courier.test{target}");
    let builder = Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", "Bearer t")
        .header("x-simulator-fault", fault.to_string());
    builder.body(Full::new(Bytes::from(body.to_owned()))).expect("the parts are valid")
}

#[tokio::test(start_paused = true)]
async fn many_streams_share_one_socket_and_are_journalled() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    let message =
        r#"{"message":{"to":{"email":"a@example.com"},"content":{"title":"a","body":"b"}}}"#;
    let sent =
        client.send_request(request("POST", "/send?a=%2F", &json!({}), message)).await.unwrap();
    assert_eq!(sent.status(), 202);
    let body = sent.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"requestId\":\"1-"));
    let listed = client.send_request(request("GET", "/messages", &json!({}), "")).await.unwrap();
    let length = listed.headers()["content-length"].clone();
    assert_eq!(length, listed.into_body().collect().await.unwrap().to_bytes().len().to_string());
    server.with(|sim| {
        let entries: Vec<_> = sim.journal().entries().collect();
        assert!(
            entries.iter().all(|e| e.request.protocol == Protocol::Http2 && e.request.socket == 1)
        );
        assert_eq!(
            (entries[0].request.target.as_str(), entries[0].request.body.as_ref()),
            ("/send?a=%2F", message.as_bytes())
        );
        assert_eq!(entries[0].request.headers[0], (":authority".into(), "courier.test".into()));
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_a_cut_on_http_1_is_a_reset_stream_and_the_socket_lives_on() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    for fault in [
        json!({ "wire": { "kind": "cut", "after": 0 } }),
        json!({ "wire": { "kind": "malformed_head", "form": "garbage" } }),
    ] {
        client.send_request(request("GET", "/brands", &fault, "")).await.unwrap_err();
    }
    let cut = client
        .send_request(request(
            "GET",
            "/brands",
            &json!({ "wire": { "kind": "reset", "after": 10 } }),
            "",
        ))
        .await
        .unwrap();
    cut.into_body().collect().await.unwrap_err();
    let hole = client.send_request(request(
        "GET",
        "/brands",
        &json!({ "wire": { "kind": "black_hole" } }),
        "",
    ));
    assert!(tokio::time::timeout(Duration::from_secs(3600), hole).await.is_err());
    assert_eq!(
        client.send_request(request("GET", "/brands", &json!({}), "")).await.unwrap().status(),
        200
    );
    let endings: Vec<_> =
        server.with(|sim| sim.journal().entries().map(|e| e.ended.map(|(_, how)| how)).collect());
    assert_eq!(endings[..4], [Some(Ending::Faulted); 4]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_says_so_and_had_no_effect() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    let refused = json!({ "wire": { "kind": "refused_stream" } });
    let put = |fault: &Value| request("PUT", "/lists/a", fault, r#"{"name":"A"}"#);
    let error = client.send_request(put(&refused)).await.unwrap_err();
    let reason = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<h2::Error>());
    assert_eq!(reason.and_then(h2::Error::reason), Some(h2::Reason::REFUSED_STREAM));
    server.with(|sim| {
        let entry = sim.journal().entries().next().unwrap();
        assert_eq!((entry.committed, entry.ended.map(|e| e.1)), (None, Some(Ending::Faulted)));
    });
    assert_eq!(client.send_request(put(&json!({}))).await.unwrap().status(), 204);
    let broken = json!({ "wire": { "kind": "cut", "after": 0 } });
    let error = client.send_request(put(&broken)).await.unwrap_err();
    let reason = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<h2::Error>());
    assert_eq!(reason.and_then(h2::Error::reason), Some(h2::Reason::INTERNAL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn after_a_goaway_the_answer_still_comes_and_nothing_more_is_taken() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    let last = client
        .send_request(request("GET", "/brands", &json!({ "wire": { "kind": "go_away" } }), ""))
        .await
        .unwrap();
    assert_eq!(last.status(), 200);
    last.into_body().collect().await.unwrap();
    client.send_request(request("GET", "/brands", &json!({}), "")).await.unwrap_err();
    server.with(|sim| assert_eq!(sim.journal().total(), 1));
}

#[tokio::test(start_paused = true)]
async fn latency_and_large_bodies_work_on_streams_too() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    let start = tokio::time::Instant::now();
    let effect = json!({ "latency": { "kind": "fixed", "ms": 700 }, "answer": { "kind": "large", "bytes": 1_000_000 } });
    let large = client.send_request(request("GET", "/brands", &effect, "")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(700));
    assert_eq!(large.into_body().collect().await.unwrap().to_bytes().len(), 1_000_000);
    let head = client.send_request(request("HEAD", "/brands", &json!({}), "")).await.unwrap();
    assert!(head.headers().contains_key("content-length"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_client_resets_while_it_waits_is_noted() {
    let server = Server::new(Options::seeded(1));
    let mut client = connect(&server).await;
    let slow = json!({ "latency": { "kind": "fixed", "ms": 60_000 } });
    let waiting = client.send_request(request("GET", "/brands", &slow, ""));
    assert!(tokio::time::timeout(Duration::from_secs(7), waiting).await.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let ended = server.with(|sim| sim.journal().entries().next().unwrap().ended);
    assert_eq!(ended.map(|e| e.1), Some(Ending::ClientGone));
}
