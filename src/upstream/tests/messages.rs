//! What goes out, and what is believed of what comes back.

use super::*;
use crate::call::{Buffered, Room, Uploads};

/// The fields of a request, in the order of their names.
fn fields(request: &str) -> Vec<&str> {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let mut fields: Vec<_> = head.lines().skip(1).collect();
    fields.sort_unstable();
    fields
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_out_octet_by_octet_with_the_token_and_without_more() {
    let world = saying(OK);
    let mut call = buffered(Method::POST, "/send?a=%41&b=%2f");
    let uploads = Uploads::new(Room { total: 100, body: 100, connections: 1 });
    let held = uploads.of(&"acme-prod".parse().unwrap()).begin();
    call.body = Buffered::new(Bytes::from_static(b"{\"a\": 1}"), held);
    call.headers.insert("x-mine", HeaderValue::from_static("1"));
    call.headers.insert(header::VIA, HeaderValue::from_static("1.1 before"));
    world.ask(call).await.unwrap();
    let heard = &world.heard()[0].1;
    assert!(heard.starts_with("POST /send?a=%41&b=%2f HTTP/1.1\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n{\"a\": 1}"), "{heard}");
    let wanted = [
        "authorization: Bearer pk_prod_first",
        "content-length: 8",
        "host: vendor.example:8080",
        "via: 1.1 before",
        "via: 1.1 tollgate-here",
        "x-mine: 1",
    ];
    assert_eq!(fields(heard), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_path_goes_behind_the_base_path_of_its_connection() {
    let (world, mut call) = (saying(OK), buffered(Method::GET, "/brands?a=b"));
    call.caller.ix = 1.into();
    world.ask(call).await.unwrap();
    let heard = &world.heard()[0].1;
    assert!(heard.starts_with("GET /base/brands?a=b HTTP/1.1\r\n"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn no_body_has_a_length_where_one_is_meant_to_be_and_nowhere_else() {
    let lengths = |method: Method| async move {
        let (world, mut call) = (saying("HTTP/1.1 204 No\r\n\r\n"), get());
        call.method = method;
        world.ask(call).await.unwrap();
        world.heard()[0].1.contains("content-length: 0")
    };
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        assert!(lengths(method).await);
    }
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert!(!lengths(method).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_without_the_fields_of_the_vendors_hop() {
    let world = saying(
        "HTTP/1.1 201 Created\r\ncontent-length: 2\r\nconnection: keep-alive, X-Hop\r\n\
         x-hop: 1\r\nkeep-alive: timeout=5\r\nset-cookie: a=b\r\nserver: x\r\netag: \"v\"\r\n\
         location: http://vendor.example:8080/brands/1\r\n\r\nit",
    );
    let reply = world.ask(get()).await.unwrap();
    assert_eq!((reply.status(), reply.facts().had_cookie), (StatusCode::CREATED, true));
    let mut names: Vec<_> = reply.headers().keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["etag", "location"]);
    assert_eq!(reply.headers()["location"], "/brands/1", "the vendor's address is its own");
    assert_eq!(text(reply).await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn trailers_end_here() {
    let world = saying(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         2\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 1\r\n\r\n",
    );
    let reply = world.ask(get()).await.unwrap();
    assert!(reply.headers().is_empty());
    let collected = reply.into_body().collect().await.unwrap();
    assert!(collected.trailers().is_none());
    assert_eq!(collected.to_bytes(), "abc");
    world.whole().await;
    assert_eq!(world.opened(), 1, "the answer was over");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_head_has_the_length_and_no_body() {
    let world = saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    for _ in 0..2 {
        let reply = world.ask(buffered(Method::HEAD, "/brands")).await.unwrap();
        assert_eq!(reply.headers()["content-length"], "9");
        assert_eq!(text(reply).await.unwrap(), "");
    }
    assert_eq!(world.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_in_two_ways_or_in_none_is_no_answer() {
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nit",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nit",
        "HTTP/1.1 101 Other\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 103 Soon\r\ncontent-length: 2\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nit",
    ] {
        let (world, (call, proof)) = (saying(answer), proven());
        let error = world.ask(call).await.unwrap_err();
        let wanted = (Code::VendorMalformed, Outcome::Unknown, Evidence::Alive);
        assert_eq!(said(&error), wanted, "{answer}");
        assert!(proof.was_sent());
        world.ask(get()).await.unwrap_err();
        assert_eq!(world.on(), [0, 1], "nothing more is read from that line: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interim_answer_is_none_and_says_nothing() {
    let world = saying(
        "HTTP/1.1 103 Soon\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nit",
    );
    let reply = world.ask(get()).await.unwrap();
    assert!(reply.status().is_success() && reply.headers().is_empty());
    assert_eq!(text(reply).await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_after_the_request_leaves_its_outcome_open() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let (call, proof) = proven();
        let world = world(move |mut theirs| async move {
            theirs.hear().await;
            theirs.say(answer).await;
        });
        let error = world.ask(call).await.unwrap_err();
        assert_eq!((error.code, error.outcome), (Code::VendorUnreachable, Outcome::Unknown));
        assert!(proof.was_sent());
        assert_eq!(world.opened(), 1, "not sent again here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_an_error_and_never_taken_for_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nx",
    ] {
        let world = world(move |mut theirs| async move {
            theirs.hear().await;
            theirs.say(answer).await;
        });
        let mut body = world.ask(get()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(body.frame().await.unwrap().is_err(), "{answer}");
    }
}
