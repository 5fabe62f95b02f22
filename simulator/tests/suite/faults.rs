//! What goes wrong on an HTTP/1.1 wire, byte by byte and in paused time.

use std::time::Duration;

use crate::raw::{MESSAGE, brands, connect, exchange, send, server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// GET /brands with a fault, on a connection that is closed after it.
fn faulty(effect: &Value) -> String {
    brands(&format!("x-simulator-fault: {effect}"))
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_cut_at_every_offset() {
    let whole = exchange(&server(), &brands("x: y")).await;
    for after in 0..whole.len() + 3 {
        let cut =
            exchange(&server(), &faulty(&json!({ "wire": { "kind": "cut", "after": after } })))
                .await;
        assert_eq!(cut, whole[..after.min(whole.len())], "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_swallows_the_answer_but_not_the_effect() {
    let server = server();
    let mut client = connect(&server);
    let fields = format!(
        "content-length: {}\r\nx-simulator-fault: {}",
        MESSAGE.len(),
        json!({ "wire": { "kind": "black_hole" } })
    );
    client.write_all(send(&fields, MESSAGE).as_bytes()).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(3600), client.read(&mut [0; 10])).await;
    assert!(read.is_err());
    server.with(|sim| assert!(sim.journal().entries().next().unwrap().committed.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_no_answer_and_no_effect_on_http_1() {
    let server = server();
    let refused = json!({ "wire": { "kind": "refused_stream" } });
    let fields = format!("content-length: {}\r\nx-simulator-fault: {refused}", MESSAGE.len());
    assert_eq!(exchange(&server, send(&fields, MESSAGE)).await, "");
    server.with(|sim| assert!(sim.journal().entries().next().unwrap().committed.is_none()));
}

#[tokio::test(start_paused = true)]
async fn heads_and_framing_can_be_broken_in_every_way() {
    for (form, begins) in [
        ("garbage", "\u{1}\u{2}this"),
        ("version", "HTTP/9.9"),
        ("status", "HTTP/1.1 2x0"),
        ("no_colon", "HTTP/1.1 200 OK\r\nno colon"),
        ("nul", "HTTP/1.1 200 OK\r\nx-nul: a\0b"),
        ("space_in_name", "HTTP/1.1 200 OK\r\nx name"),
        ("folded", "HTTP/1.1 200 OK\r\nx-folded: a\r\n b"),
        ("huge", "HTTP/1.1 200 OK\r\nx-huge: hhh"),
    ] {
        let answer = exchange(
            &server(),
            &faulty(&json!({ "wire": { "kind": "malformed_head", "form": form } })),
        )
        .await;
        assert!(answer.starts_with(begins), "{form}");
    }
    for (form, contains) in [
        ("two_lengths", "content-length: 14\r\ncontent-length: 19\r\n"),
        ("length_and_chunks", "content-length: 14\r\ntransfer-encoding: chunked\r\n"),
        ("bad_length", "content-length: many"),
        ("bad_chunk", "\r\n\r\nxyz\r\n"),
        ("unfinished", "chunked\r\n\r\ne\r\n{\"results\":[]}\r\n"),
        ("trailing", "{\"results\":[]}HTTP/1.1 200 OK"),
    ] {
        let answer = exchange(
            &server(),
            &faulty(&json!({ "wire": { "kind": "conflicting_framing", "form": form } })),
        )
        .await;
        assert!(answer.contains(contains), "{form}: {answer}");
    }
    let upgrade =
        exchange(&server(), &faulty(&json!({ "wire": { "kind": "switching_protocols" } }))).await;
    assert!(upgrade.starts_with("HTTP/1.1 101 "));
    let raw =
        exchange(&server(), &faulty(&json!({ "wire": { "kind": "raw", "base64": "aGVsbG8=" } })))
            .await;
    assert_eq!(raw, "hello");
}

#[tokio::test(start_paused = true)]
async fn latency_slow_heads_and_slow_bodies_take_their_time_to_the_millisecond() {
    let start = Instant::now();
    exchange(&server(), &brands("x-simulator-latency-ms: 1234")).await;
    assert_eq!(start.elapsed(), Duration::from_millis(1234));
    let whole = exchange(&server(), &brands("x: y")).await;
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    for (kind, bytes) in [("slow_head", head.len() + 4), ("slow_body", body.len())] {
        let start = Instant::now();
        let slow = exchange(
            &server(),
            &faulty(&json!({ "wire": { "kind": kind, "bytes": 10, "every_ms": 100 } })),
        )
        .await;
        assert_eq!(
            (slow.len(), start.elapsed()),
            (whole.len(), Duration::from_millis(bytes.div_ceil(10) as u64 * 100)),
            "{kind}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_can_be_gzipped_chunked_empty_redirecting_talkative_and_crowded() {
    let answer = |effect: Value| async move { exchange(&server(), &faulty(&effect)).await };
    assert!(answer(json!({ "gzip": true })).await.contains("content-encoding: gzip\r\n"));
    let empty = answer(json!({ "answer": { "kind": "empty_json" }, "chunked": true })).await;
    assert!(
        empty.contains("content-type: application/json\r\n")
            && empty.ends_with("transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n")
    );
    let moved = answer(json!({ "answer": { "kind": "redirect", "status": 307, "location": "https://elsewhere.example/" } })).await;
    assert!(
        moved.starts_with("HTTP/1.1 307 ")
            && moved.contains("location: https://elsewhere.example/\r\n")
    );
    let echo =
        answer(json!({ "answer": { "kind": "status", "status": 500 }, "echo_token": true })).await;
    assert!(
        echo.contains("x-echo-token: t\r\n") && echo.contains("Internal Server Error (token t)")
    );
    assert_eq!(answer(json!({ "many_headers": 150 })).await.matches("x-filler-").count(), 150);
    let open = answer(json!({ "wire": { "kind": "close_delimited" } })).await;
    assert!(!open.contains("content-length") && !open.contains("chunked") && open.ends_with("}]}"));
    let plain = exchange(
        &server(),
        faulty(&json!({ "wire": { "kind": "go_away" } })).replace("connection: close\r\n", ""),
    )
    .await;
    assert!(plain.contains("connection: close\r\n"));
    let burst = answer(json!({ "answer": { "kind": "rate_limited", "retry_after": "7" } })).await;
    assert!(burst.starts_with("HTTP/1.1 429 ") && burst.contains("retry-after: 7\r\n"));
    for (status, kind) in [(401, "authentication_error"), (403, "authentication_error")] {
        let refused = answer(json!({ "answer": { "kind": "credential", "status": status } })).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")) && refused.contains(kind));
    }
    assert!(
        answer(json!({ "answer": { "kind": "forbidden" } })).await.contains("authorization_error")
    );
    assert!(answer(json!({ "no_such": 1 })).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_256_mib_is_streamed_and_has_its_exact_length() {
    const SIZE: u64 = 256 * 1024 * 1024;
    let server = server();
    let mut client = connect(&server);
    client
        .write_all(faulty(&json!({ "answer": { "kind": "large", "bytes": SIZE } })).as_bytes())
        .await
        .unwrap();
    let (mut total, mut buffer, mut last) = (0_u64, vec![0; 256 * 1024], 0);
    loop {
        let n = client.read(&mut buffer).await.unwrap();
        let Some(byte) = buffer[..n].last() else {
            break;
        };
        (total, last) = (total + n as u64, *byte);
    }
    assert_eq!(last, b'}');
    let head = server.with(|sim| sim.journal().entries().next().unwrap().written) - SIZE;
    assert_eq!(total, SIZE + head);
    assert!(head < 300, "{head}");
}
