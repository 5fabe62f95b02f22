//! HTTP/1.1 byte by byte, over in-process streams and in paused time.

use std::time::Duration;

use crate::raw::{MESSAGE, brands, connect, exchange, send, server};
use simulator::{Ending, Micros, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn the_journal_holds_the_head_as_it_was_sent() {
    let server = server();
    let request = "GET /lists/a%2Fb%20?x=%7e HTTP/1.1\r\nHoSt:  c\r\nX-B: 2\r\nx-a:1 \r\nAuthorization: Bearer t\r\nConnection: close\r\n\r\n";
    exchange(&server, request).await;
    server.with(|sim| {
        let entry = sim.journal().entries().next().unwrap();
        assert_eq!(entry.request.raw_head, request.as_bytes());
        let names: Vec<&str> = entry.request.headers.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["HoSt", "X-B", "x-a", "Authorization", "Connection"]);
        assert_eq!((entry.token.as_deref(), entry.request.socket), (Some("t"), 1));
        assert_eq!(entry.ended.map(|e| e.1), Some(Ending::Written));
    });
}

#[tokio::test(start_paused = true)]
async fn bodies_come_by_length_and_in_chunks_and_after_100_continue() {
    let server = server();
    let length = send(&format!("content-length: {}", MESSAGE.len()), MESSAGE);
    assert!(exchange(&server, &length).await.starts_with("HTTP/1.1 202 Accepted\r\n"));
    let (a, b) = MESSAGE.split_at(20);
    let chunks =
        format!("{:x};ext=1\r\n{a}\r\n{:X}\r\n{b}\r\n0\r\nx-trailer: 1\r\n\r\n", a.len(), b.len());
    assert!(
        exchange(&server, &send("transfer-encoding: chunked", &chunks))
            .await
            .starts_with("HTTP/1.1 202 Accepted\r\n")
    );
    let expect =
        send(&format!("expect: 100-continue\r\ncontent-length: {}", MESSAGE.len()), MESSAGE);
    assert!(
        exchange(&server, &expect)
            .await
            .starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n")
    );
    server.with(|sim| {
        assert!(
            sim.journal()
                .entries()
                .all(|e| e.request.body == MESSAGE.as_bytes() && e.committed.is_some())
        );
        assert_eq!(sim.journal().duplicates(), [vec![1, 2, 3]]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_socket_serves_one_request_after_another_and_head_has_no_body() {
    let server = server();
    let head = "HEAD /brands HTTP/1.1\r\nauthorization: Bearer t\r\n\r\n";
    let answers = exchange(&server, &format!("{head}\r\n{head}{}", brands("x: y"))).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(answers.matches("{\"paging\"").count(), 1);
    server.with(|sim| assert!(sim.journal().entries().all(|e| e.request.socket == 1)));
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_rules_are_400_and_journalled_but_never_take_effect() {
    let server = server();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    let both = send("content-length: 3\r\ntransfer-encoding: chunked", "0\r\n\r\n");
    let chunk = send("transfer-encoding: chunked", "zz\r\n");
    for broken in
        ["GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", &long, &both, &chunk]
    {
        assert!(
            exchange(&server, broken).await.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{}",
            &broken[..40]
        );
    }
    let mut client = connect(&server);
    client.write_all(send("content-length: 100", "{\"mess").as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    server.with(|sim| {
        assert_eq!(sim.journal().total(), 6);
        assert!(sim.journal().entries().all(|e| e.status == 0 && e.committed.is_none()));
    });
}

#[tokio::test(start_paused = true)]
async fn an_idle_socket_is_closed_after_its_time() {
    let server = Server::new(Options { idle_close_ms: Some(5000), ..Options::default() });
    let mut client = connect(&server);
    client.write_all(b"GET /__admin/health HTTP/1.1\r\n\r\n").await.unwrap();
    let start = Instant::now();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_is_noted_when_it_leaves() {
    let server = server();
    let mut client = connect(&server);
    client.write_all(brands("x-simulator-latency-ms: 60000").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let ended = server.with(|sim| sim.journal().entries().next().unwrap().ended);
    assert_eq!(ended, Some((Micros::from_secs(7), Ending::ClientGone)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_read_to_its_end_so_that_the_413_is_heard() {
    let server = server();
    let body = "#".repeat(7 * 1024 * 1024);
    let put = format!(
        "PUT /translations/d/it HTTP/1.1\r\nauthorization: Bearer t\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answers = exchange(&server, put + &brands("x: y")).await;
    assert!(answers.starts_with("HTTP/1.1 413 ") && answers.contains("HTTP/1.1 200 OK"));
    server.with(|sim| {
        let entry = sim.journal().entries().next().unwrap();
        assert_eq!(entry.request.body_len, body.len() as u64);
        assert!(entry.request.body.len() <= 16 * 1024);
    });
}
