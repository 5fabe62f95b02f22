//! What no layer below ever sees.

use super::*;
use crate::ingress::validate::Validate;

fn layer() -> (Staged<Validate, Leaf<Opened>>, Leaf<Opened>) {
    on_it(&Validate::layer("me".into(), 64, 1024, 8))
}

/// What the layer says of `request`, which did not pass.
async fn refusal(request: Request) -> Error {
    let (mut layer, leaf) = layer();
    let error = layer.call(opened(request)).await.unwrap_err();
    assert_eq!((leaf.asked(), error.outcome), (0, Outcome::NotSent), "{error}");
    error
}

async fn passes(request: Request) -> bool {
    let (mut layer, leaf) = layer();
    layer.call(opened(request)).await.is_ok() && leaf.asked() == 1
}

fn get(target: &str, fields: &[(&'static str, &'static str)]) -> Request {
    request(Method::GET, target, fields)
}

#[tokio::test(start_paused = true)]
async fn what_means_one_thing_passes() {
    assert!(passes(get("/brands?limit=2", &[])).await);
    assert!(passes(get("/brands/a%20b", &[("content-length", "0")])).await);
    assert!(passes(get("/brands", &[("transfer-encoding", "Chunked")])).await);
    assert!(passes(get("http://gateway.example/brands", &[])).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_one_clear_end_is_refused() {
    let unclear: [&[(&str, &str)]; 4] = [
        &[("content-length", "1"), ("content-length", "1")],
        &[("content-length", "1"), ("transfer-encoding", "chunked")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ];
    for fields in unclear {
        assert_eq!(refusal(get("/", fields)).await.code, Code::MalformedRequest, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_host_or_for_two_is_refused() {
    let mut none = get("/", &[]);
    none.headers_mut().clear();
    for request in [none, get("/", &[("host", "b")]), request(Method::CONNECT, "a:1", &[])] {
        assert_eq!(refusal(request).await.code, Code::MalformedRequest);
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_a_server_could_read_as_another_one_is_refused() {
    for path in ["/a/../brands", "/a/%2e%2e/brands", "/a/%252e%252e/brands", "/a%5c..", "*"] {
        assert_eq!(refusal(get(path, &[])).await.code, Code::MalformedRequest, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_went_through_this_gateway_is_a_loop_and_through_another_is_none() {
    let again = get("/", &[("via", "1.1 proxy, 1.1 tollgate-me")]);
    assert_eq!(refusal(again).await.code, Code::Loop);
    assert!(passes(get("/", &[("via", "1.1 tollgate-me2")])).await);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_unclear_request_is_the_last_on_its_connection() {
    let twice = [("content-length", "1"), ("content-length", "2")];
    assert_eq!(refusal(get("/", &twice)).await.headers, [close()]);
    let mut stream = get("/", &twice);
    *stream.version_mut() = Version::HTTP_2;
    assert_eq!(refusal(stream).await.headers, [], "a stream ends by itself");
    assert_eq!(refusal(get("/../a", &[])).await.headers, [], "its end was clear");
}

#[tokio::test(start_paused = true)]
async fn a_head_is_bounded_in_octets_and_in_fields() {
    let long: &'static str = "x".repeat(1024).leak();
    let error = refusal(get("/", &[("x-long", long)])).await;
    assert_eq!((error.code, error.headers), (Code::HeadTooLarge, vec![close()]));
    assert!(passes(get("/", &[("x-a", "1"); 7])).await);
    assert_eq!(refusal(get("/", &[("x-a", "1"); 8])).await.code, Code::HeadTooLarge);
    assert!(passes(get("/", &[("cookie", "a=1"); 20])).await, "pieces of one field");
}

#[tokio::test(start_paused = true)]
async fn a_target_is_bounded_by_itself() {
    let target = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert!(passes(get(&target(64), &[])).await);
    assert_eq!(refusal(get(&target(65), &[])).await.code, Code::TargetTooLong);
}
