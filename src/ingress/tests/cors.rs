//! Pages in browsers.

use super::*;
use crate::ingress::cors::Cors;

const PAGE: (&str, &str) = ("origin", "https://app.example");
const ASKS: (&str, &str) = ("access-control-request-method", "POST");

/// The layer for pages of these origins.
fn layer(origins: &[&'static str]) -> (Staged<Cors, Leaf<Opened>>, Leaf<Opened>) {
    on_it(&Cors::layer(origins.iter().map(|origin| HeaderValue::from_static(origin)).collect()))
}

fn preflight() -> Opened {
    let fields = [PAGE, ASKS, ("access-control-request-headers", "x-api-key")];
    opened(request(Method::OPTIONS, "/send", &fields))
}

fn get(fields: &[(&'static str, &'static str)]) -> Opened {
    opened(request(Method::GET, "/brands", fields))
}

#[tokio::test(start_paused = true)]
async fn a_preflight_of_a_named_origin_is_answered_here_without_a_key() {
    let (mut layer, leaf) = layer(&["https://other.example", PAGE.1]);
    let reply = layer.call(preflight()).await.unwrap();
    assert_eq!(reply.status(), 204);
    let fields = reply.headers();
    assert_eq!(fields["access-control-allow-origin"], PAGE.1);
    assert_eq!(fields["access-control-allow-methods"], "GET, HEAD, POST, PUT, PATCH, DELETE");
    assert_eq!(fields["access-control-allow-headers"], "x-api-key");
    assert_eq!(fields["access-control-max-age"], "600");
    assert_eq!(fields["vary"], "origin");
    assert_eq!(leaf.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_preflight_of_another_origin_is_refused() {
    for origins in [&[][..], &["https://other.example"]] {
        let (mut layer, leaf) = layer(origins);
        assert_eq!(layer.call(preflight()).await.unwrap_err().code, Code::OriginRefused);
        assert_eq!(leaf.asked(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_named_origin_may_read_its_answer() {
    let (mut layer, _) = layer(&[PAGE.1]);
    let reply = layer.call(get(&[PAGE])).await.unwrap();
    assert_eq!(reply.headers()["access-control-allow-origin"], PAGE.1);
    assert_eq!(reply.headers()["access-control-expose-headers"], "*");
    assert_eq!(reply.headers()["vary"], "origin");
    assert_eq!(text(reply).await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_another_origin_or_for_no_page_says_nothing_of_pages() {
    let (mut layer, _) = layer(&[PAGE.1]);
    for fields in [&[][..], &[("origin", "https://app.example.evil")]] {
        assert!(layer.call(get(fields)).await.unwrap().headers().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_origins_may_no_page_is_named() {
    let (mut layer, _) = layer(&["*"]);
    let reply = layer.call(get(&[PAGE])).await.unwrap();
    assert_eq!(reply.headers()["access-control-allow-origin"], "*");
}

#[tokio::test(start_paused = true)]
async fn cookies_are_never_allowed() {
    let (mut layer, _) = layer(&["*", PAGE.1]);
    for asked in [preflight(), get(&[PAGE])] {
        let reply = layer.call(asked).await.unwrap();
        assert!(!reply.headers().contains_key("access-control-allow-credentials"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_may_read_errors_too() {
    let refuses = Leaf::new(|_, _| now(Err(Error::refused(Code::QuotaExhausted, "no"))));
    let mut layer = Cors::layer(vec![HeaderValue::from_static(PAGE.1)]).layer(refuses);
    let error = layer.call(get(&[PAGE])).await.unwrap_err();
    let fields: HeaderMap = error.headers.into_iter().collect();
    assert_eq!(
        (&fields["access-control-allow-origin"], &fields["vary"]),
        (&HeaderValue::from_static(PAGE.1), &HeaderValue::from_static("origin"),)
    );
    assert!(layer.call(get(&[])).await.unwrap_err().headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_varies_by_is_still_said() {
    let leaf = Leaf::new(|_, _| now(Ok(with(reply(200, "it"), &[("vary", "accept")]))));
    let mut layer = Cors::layer(vec![HeaderValue::from_static("*")]).layer(leaf);
    let reply = layer.call(get(&[PAGE])).await.unwrap();
    assert_eq!(reply.headers().get_all("vary").iter().collect::<Vec<_>>(), ["accept", "origin"]);
}

#[tokio::test(start_paused = true)]
async fn options_that_are_no_preflight_pass() {
    let (mut layer, leaf) = layer(&[PAGE.1]);
    for fields in [&[PAGE][..], &[ASKS]] {
        let asked = opened(request(Method::OPTIONS, "/send", fields));
        assert_eq!(layer.call(asked).await.unwrap().status(), 200);
    }
    assert_eq!(leaf.asked(), 2);
}
