//! The token goes out, and never comes back.

use std::io::Write as _;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use super::*;

#[tokio::test(start_paused = true)]
async fn each_connection_has_its_own_token_which_nothing_prints() {
    let world = world(|_| reply(200, "it"));
    world.on(0).await;
    world.on(1).await;
    assert_eq!(world.sent(), ["Bearer pk_prod_first", "Bearer pk_prod_other"]);
    assert!(world.sent.lock().unwrap().iter().all(HeaderValue::is_sensitive));
}

#[tokio::test(start_paused = true)]
async fn a_token_in_an_answers_fields_is_blanked() {
    let world = world(|token| {
        let mut answer = reply(200, "it");
        let echo = HeaderValue::from_str(&format!("got {token}!")).unwrap();
        answer.headers_mut().insert("x-echo", echo.clone());
        answer.headers_mut().insert(AUTHORIZATION, echo);
        answer
    });
    let (answer, news) = world.ask().await;
    for name in ["x-echo", "authorization"] {
        assert_eq!(answer.headers()[name], "got *************!");
    }
    assert_eq!((news, answer.facts().rejected), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_token_in_an_error_is_blanked_also_where_two_pieces_meet() {
    for status in [400, 401, 403, 500] {
        let world = world(move |_| {
            let (head, _) = reply(status, "").into_parts();
            Reply::from_parts(head, testing::pieces([Some("bad key pk_prod"), Some("_first.")]))
        });
        let (answer, _) = world.ask().await;
        assert_eq!(text(answer).await.unwrap(), "bad key *************.", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_connections_call_does_not_change_what_is_blanked() {
    let world = world(|_| reply(400, "pk_prod_first pk_prod_other"));
    let (answer, _) = world.on(1).await;
    assert_eq!(text(answer).await.unwrap(), "pk_prod_first *************");
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_coding_is_read_and_blanked() {
    let world = world(|token| {
        let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        write!(coded, "bad key {token}.").unwrap();
        let mut answer = Reply::new(call::full(coded.finish().unwrap()));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("35"));
        answer
    });
    let (answer, _) = world.ask().await;
    assert!(answer.headers().is_empty(), "they spoke of the coded octets");
    assert_eq!(text(answer).await.unwrap(), "bad key *************.");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_cannot_be_read_is_dropped() {
    let world = world(|_| {
        let mut answer = reply(400, "who knows what");
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("secret"));
        answer
    });
    let (answer, _) = world.ask().await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(text(answer).await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_token_is_told_from_one_of_the_call() {
    let refusals = [
        (401, "", true),
        (403, REFUSED, true),
        (403, r#"{"message":"Invalid Authentication Credentials given"}"#, true),
        (403, r#"{"type":"authorization_error","message":"not in your plan"}"#, false),
        (403, "no JSON", false),
        (400, REFUSED, false),
        (200, REFUSED, false),
    ];
    for (status, body, refused) in refusals {
        let world = world(move |_| reply(status, body));
        let (answer, news) = world.ask().await;
        let rejected = refused.then_some(Rejected { changed: false });
        assert_eq!(answer.facts().rejected, rejected, "{status} {body}");
        assert_eq!(news, refused.then_some(TokenNews::Refused));
        assert_eq!(text(answer).await.unwrap(), body, "nothing of it is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_token_in_a_coding_is_known_as_one() {
    let world = world(|_| {
        let mut coded = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        coded.write_all(REFUSED.as_bytes()).unwrap();
        let mut answer = Reply::new(call::full(coded.finish().unwrap()));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("deflate"));
        answer
    });
    assert_eq!(world.ask().await.0.facts().rejected, Some(Rejected { changed: false }));
}
