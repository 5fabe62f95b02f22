//! Connections that rest between two requests, and what must not be lost or taken for a request
//! when they do.

use super::super::super::activity::KEPT;
use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection to `drain`, that has been answered once and rests.
async fn resting(drain: &CancellationToken) -> (DuplexStream, Instant) {
    let mut io = connect(Protocol::Told, drain.clone());
    io.write_all(GET).await.unwrap();
    answers(&mut io, 1).await;
    let since = Instant::now();
    sleep(2 * KEPT).await;
    (io, since)
}

/// Reads `count` answers of two octets each.
async fn answers(io: &mut DuplexStream, count: usize) -> String {
    let mut answers = String::new();
    while answers.matches("\r\n\r\nxx").count() < count {
        let mut piece = [0; 4096];
        let read = io.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "closed behind {answers}");
        answers += &String::from_utf8_lossy(&piece[..read]);
    }
    answers
}

/// Nothing comes and nothing ends, for so long that the connection rests if it can.
async fn silent(io: &mut DuplexStream) {
    let read = tokio::time::timeout(2 * KEPT, io.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_sent_at_once_are_answered_in_order_before_and_after_a_rest() {
    let drain = CancellationToken::new();
    for mut io in [connect(Protocol::Told, drain.clone()), resting(&drain).await.0] {
        io.write_all(&[GET, GET, GET].concat()).await.unwrap();
        assert_eq!(answers(&mut io, 3).await.matches("200 OK").count(), 3);
        silent(&mut io).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_octet_of_a_head_is_lost_wherever_it_pauses() {
    for cut in 0..GET.len() {
        let mut io = connect(Protocol::Told, CancellationToken::new());
        // It comes together with the request before, or after a rest.
        io.write_all(&[GET, &GET[..cut]].concat()).await.unwrap();
        answers(&mut io, 1).await;
        for next in [&GET[..cut], &GET[..0]] {
            silent(&mut io).await;
            io.write_all(&[&GET[cut..], next].concat()).await.unwrap();
            let answer = answers(&mut io, 1).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{cut}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_refused_upload_is_never_a_request() {
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".repeat(8);
    let length = format!("Content-Length: {}", smuggled.len() + 1);
    let chunk = format!("{:x}\r\nx", smuggled.len() + 1);
    let end = &b"\r\n0\r\n\r\n"[..];
    for (field, begins, ends) in
        [(&*length, "x", &b""[..]), ("Transfer-Encoding: chunked", &*chunk, end)]
    {
        for asks in [1, 2] {
            // The first request of a connection, and one after a rest.
            let mut io = connect(Protocol::Told, CancellationToken::new());
            if asks == 2 {
                io = resting(&CancellationToken::new()).await.0;
            }
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{begins}");
            io.write_all(head.as_bytes()).await.unwrap();
            answers(&mut io, 1).await;
            silent(&mut io).await;
            for piece in smuggled.chunks(37) {
                io.write_all(piece).await.unwrap();
                silent(&mut io).await;
            }
            // Only after the end of the body is there another request.
            io.write_all(ends).await.unwrap();
            silent(&mut io).await;
            io.write_all(GET).await.unwrap();
            answers(&mut io, 1).await;
            silent(&mut io).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_to_its_end_ends_the_connection() {
    let mut io = resting(&CancellationToken::new()).await.0;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\nx";
    io.write_all(head).await.unwrap();
    answers(&mut io, 1).await;
    // The rest of it was awaited for ten seconds.
    sleep(Duration::from_secs(11)).await;
    let _ = io.write_all(GET).await;
    assert_eq!(ask(&mut io, b"").await, "");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_asked_for_after_a_rest_is_read() {
    let mut io = resting(&CancellationToken::new()).await.0;
    let head = b"POST /read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 43\r\n\r\n";
    io.write_all(head).await.unwrap();
    let mut asked = [0; 25];
    io.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    silent(&mut io).await;
    io.write_all(&[b'x'; 20]).await.unwrap();
    silent(&mut io).await;
    io.write_all(&[b'x'; 23]).await.unwrap();
    answers(&mut io, 1).await;
    silent(&mut io).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_not_asked_for_is_never_a_request() {
    let mut io = resting(&CancellationToken::new()).await.0;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 29\r\n\r\n";
    io.write_all(head).await.unwrap();
    let answer = ask(&mut io, GET).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_its_client_does_not_want_kept_does_not_rest() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /endless HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let mut io = resting(&CancellationToken::new()).await.0;
        let asked = Instant::now();
        let answer = ask(&mut io, request.as_bytes()).await;
        assert!(answer.ends_with("xx"), "{request}: {answer}");
        assert_eq!(asked.elapsed(), Duration::ZERO, "{request}");
    }
    let mut io = resting(&CancellationToken::new()).await.0;
    io.write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await.unwrap();
    answers(&mut io, 1).await;
    silent(&mut io).await;
    io.write_all(GET).await.unwrap();
    answers(&mut io, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_whole_is_not_lost() {
    for (first, last) in [(&b"GET"[..], &b""[..]), (b"POST", b"x")] {
        let mut io = resting(&CancellationToken::new()).await.0;
        let length =
            format!(" /large HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", last.len());
        io.write_all(&[first, length.as_bytes()].concat()).await.unwrap();
        // The pipe holds 64 KiB of the answer, and hyper the rest.
        sleep(2 * KEPT).await;
        // Now the request is whole, too.
        io.write_all(last).await.unwrap();
        let (mut got, mut piece) = (0, vec![0; 50_000]);
        while got < 1 << 20 {
            sleep(2 * KEPT).await;
            let read = io.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "the end after {got} octets");
            got += piece[..read].iter().filter(|octet| **octet == b'x').count();
        }
        silent(&mut io).await;
        io.write_all(GET).await.unwrap();
        answers(&mut io, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_shuts_its_side_ends_a_rest_and_no_answer() {
    let slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, lasts, ends) in [(&b""[..], 0, ""), (GET, 0, "xx"), (slow, 7, "xx")] {
        let mut io = resting(&CancellationToken::new()).await.0;
        let left = Instant::now();
        io.write_all(request).await.unwrap();
        io.shutdown().await.unwrap();
        assert!(ask(&mut io, b"").await.ends_with(ends));
        assert_eq!(left.elapsed().as_secs(), lasts, "{ends}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_lasts_as_long_as_a_connection_may_be_idle_and_a_begun_head_adds_nothing() {
    for begun in [&b""[..], b"GET / HT"] {
        let (mut io, since) = resting(&CancellationToken::new()).await;
        sleep(Duration::from_secs(50)).await;
        io.write_all(begun).await.unwrap();
        assert_eq!(ask(&mut io, b"").await, "");
        let lasted = since.elapsed().as_secs_f64();
        assert!((59.9..60.1).contains(&lasted), "{begun:?}: {lasted}");
    }
    let (mut io, _) = resting(&CancellationToken::new()).await;
    sleep(Duration::from_secs(59)).await;
    io.write_all(GET).await.unwrap();
    answers(&mut io, 1).await;
    let again = Instant::now();
    assert_eq!(ask(&mut io, b"").await, "");
    assert!(again.elapsed() >= Duration::from_secs(60), "counted anew");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_rest_at_once() {
    let drain = CancellationToken::new();
    let (mut io, _) = resting(&drain).await;
    let mut fresh = connect(Protocol::Told, drain.clone());
    silent(&mut fresh).await;
    let told = Instant::now();
    drain.cancel();
    assert_eq!(ask(&mut io, b"").await, "");
    assert_eq!(ask(&mut fresh, b"").await, "");
    assert_eq!(told.elapsed(), Duration::ZERO);
}
