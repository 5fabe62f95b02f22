//! The layer on a clock that stands still.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::time::advance;
use tower::{Layer, Service};

use super::*;
use crate::call::testing::{self, Leaf, now, reply};
use crate::call::{BoxFuture, Request};
use crate::clock;
use crate::error::{Cause, Outcome};
use crate::identity::{Key, NewKey, Scopes};
use crate::record::{Denied, Record, Trust};

/// The layer above a service that keeps each request that comes through.
struct World {
    layer: Staged<Authenticate, Leaf<Authenticated>>,
    came: Arc<Mutex<Vec<Authenticated>>>,
    record: Arc<Record>,
}

/// A world with the app `billing` and these keys: id, text, and how long each is valid.
fn world(keys: &[(&str, &NewKey, Option<Duration>)]) -> World {
    let app = Arc::new(App {
        id: "billing".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        scopes: Scopes::default(),
        connections: Vec::new(),
        makes_keys: true,
        asks_cache: true,
        trust: Trust::default(),
    });
    let mut all = Keys::default();
    for (name, new, good_for) in keys {
        let expires = good_for.map(|time| clock::wall() + time);
        all.add(Key { id: id(name), sha256: new.sha256.clone(), expires }, app.clone());
    }
    let came: Arc<Mutex<Vec<_>>> = Arc::default();
    let keeps = came.clone();
    let below = Leaf::new(move |authenticated, _| -> BoxFuture {
        keeps.lock().unwrap().push(authenticated);
        now(Ok(reply(200, "it")))
    });
    let layer = Authenticate::layer(Arc::new(all), Arc::default(), RevokedKeys::default());
    let layer = layer.layer(below);
    World { layer, came, record: testing::opened(Request::new(call::empty())).record }
}

/// A world with one key, `k1`, and the key's text.
fn with_a_key() -> (World, String) {
    let new = key("k1");
    (world(&[("k1", &new, None)]), new.text)
}

fn id(name: &str) -> KeyId {
    name.to_owned().try_into().unwrap()
}

fn key(name: &str) -> NewKey {
    NewKey::generate(&id(name))
}

impl World {
    /// Sends a request with `fields`, and keeps its record.
    async fn ask(&mut self, fields: &[(&'static str, &str)]) -> call::Result {
        self.ask_with(fields, call::empty()).await
    }

    async fn ask_with(
        &mut self,
        fields: &[(&'static str, &str)],
        body: call::StreamBody,
    ) -> call::Result {
        let mut request = Request::new(body);
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let opened = testing::opened(request);
        self.record = opened.record.clone();
        self.layer.call(opened).await
    }

    async fn refused(&mut self, fields: &[(&'static str, &str)]) -> Error {
        let before = self.came.lock().unwrap().len();
        let error = self.ask(fields).await.unwrap_err();
        assert_eq!(self.came.lock().unwrap().len(), before, "nothing below was asked");
        error
    }

    /// The last request that came through.
    fn came(&self) -> Authenticated {
        self.came.lock().unwrap().pop().unwrap()
    }

    /// Why the key was not taken, and its id.
    fn denied(&self) -> (Option<Denied>, Option<String>) {
        let named = |key: &KeyId| key.as_str().to_owned();
        self.record.read(|marks| (marks.caller.denied, marks.caller.key.as_ref().map(named)))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test(start_paused = true)]
async fn a_key_is_taken_from_each_place_and_only_x_api_key_travels() {
    let (mut world, text) = with_a_key();
    let (bearer, basic) = (format!("Bearer {text}"), basic("me@acme.example", &text));
    for (fields, travels) in [
        (&[("x-api-key", text.as_str())][..], true),
        (&[("x-api-key", &bearer)], true),
        (&[("x-api-key", &text), ("authorization", "Bearer pk_prod_A")], true),
        (&[("authorization", &text)], false),
        (&[("authorization", &bearer)], false),
        (&[("authorization", &basic)], false),
    ] {
        assert!(world.ask(fields).await.is_ok());
        let came = world.came();
        assert_eq!((came.app.id.to_string(), came.key.as_str()), ("billing".to_owned(), "k1"));
        assert_eq!(came.key_travels, travels);
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_a_401_and_the_record_has_the_reason() {
    let (mut world, text) = with_a_key();
    let (other, renamed) = (key("k1").text, text.replace("tg_k1_", "tg_k2_"));
    for (fields, why, named) in [
        (&[][..], Denied::None, None),
        (&[("x-api-key", "")], Denied::None, None),
        (&[("x-api-key", &text), ("x-api-key", &text)], Denied::None, None),
        (&[("authorization", &text), ("authorization", &text)], Denied::None, None),
        (&[("authorization", &basic("me", &text)[..29])], Denied::None, None),
        (&[("cookie", &text)], Denied::None, None),
        (&[("authorization", "Bearer pk_prod_A")], Denied::Foreign, None),
        (&[("authorization", &format!("Digest {text}"))], Denied::Foreign, None),
        (&[("x-api-key", &renamed)], Denied::Unknown, Some("k2")),
        (&[("x-api-key", &other)], Denied::Wrong, Some("k1")),
        (&[("x-api-key", &text[..text.len() - 1])], Denied::Wrong, Some("k1")),
        // A wrong key in the first field is not mended by a right one in the second.
        (&[("x-api-key", &other), ("authorization", &text)], Denied::Wrong, Some("k1")),
    ] {
        let error = world.refused(fields).await;
        assert_eq!((error.code, error.outcome), (Code::Unauthenticated, Outcome::NotSent));
        assert_eq!(error.code.status(), StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static("Bearer realm=\"tollgate\"");
        assert_eq!(error.headers, [(header::WWW_AUTHENTICATE, challenge)]);
        assert_eq!(world.denied(), (Some(why), named.map(str::to_owned)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_belongs_to_nobody() {
    let (mut world, _) = with_a_key();
    world.refused(&[("x-api-key", &key("k1").text)]).await;
    world.record.read(|marks| {
        assert!(marks.caller.tenant.is_none() && marks.caller.app.is_none());
        assert!(marks.trace.trust.is_none());
    });
}

#[tokio::test(start_paused = true)]
async fn the_record_knows_the_caller_before_anything_below_is_asked() {
    let new = key("k1");
    let mut world = world(&[("k1", &new, None)]);
    world.ask(&[("x-api-key", &new.text)]).await.unwrap();
    let came = world.came();
    came.opened.record.read(|marks| {
        assert_eq!(marks.caller.tenant, Some("acme".parse().unwrap()));
        assert_eq!(marks.caller.app, Some("billing".parse().unwrap()));
        assert_eq!(marks.caller.key, Some(id("k1")));
        assert_eq!(marks.trace.trust, Some(Trust::default()));
        assert!(marks.caller.denied.is_none());
    });
    assert!(Arc::ptr_eq(&came.opened.record, &world.record));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_until_its_end_and_its_owner_hears_of_it() {
    let new = key("k1");
    let mut world = world(&[("k1", &new, Some(Duration::from_secs(60)))]);
    advance(Duration::from_secs(59)).await;
    assert!(world.ask(&[("x-api-key", &new.text)]).await.is_ok());
    advance(Duration::from_secs(2)).await;
    let told = world.refused(&[("x-api-key", &new.text)]).await;
    assert_eq!(world.denied(), (Some(Denied::Expired), Some("k1".to_owned())));
    assert!(told.detail.starts_with("the key expired on "), "{}", told.detail);
    let told = world.refused(&[("x-api-key", &key("k1").text)]).await;
    assert!(told.detail.starts_with("send a gateway key as "), "{}", told.detail);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_changes_its_key_may_use_both_until_the_old_one_ends() {
    let (old, new) = (key("k1"), key("k2"));
    let keys = [("k1", &old, Some(Duration::from_secs(60))), ("k2", &new, None)];
    let mut world = world(&keys);
    for (text, name) in [(&old.text, "k1"), (&new.text, "k2")] {
        assert!(world.ask(&[("x-api-key", text)]).await.is_ok());
        assert_eq!(world.came().key, id(name));
    }
    advance(Duration::from_secs(61)).await;
    world.refused(&[("x-api-key", &old.text)]).await;
    assert!(world.ask(&[("x-api-key", &new.text)]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_under_its_id_is_wrong() {
    let (old, new) = (key("k1"), key("k1"));
    let mut world = world(&[("k1", &new, None)]);
    world.refused(&[("x-api-key", &old.text)]).await;
    assert_eq!(world.denied(), (Some(Denied::Wrong), Some("k1".to_owned())));
    assert!(world.ask(&[("x-api-key", &new.text)]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_guesses_hears_the_same_however_close_it_came() {
    let (mut world, text) = with_a_key();
    let (none, other) = (world.refused(&[]).await, key("k1").text);
    for guess in ["nonsense", "tg_", "tg_k1", "tg_k9_x", &other, &text[..text.len() - 1]] {
        assert_eq!(world.refused(&[("x-api-key", guess)]).await.detail, none.detail, "{guess}");
    }
    let courier = world.refused(&[("authorization", "Bearer dk_test_A")]).await;
    assert_eq!(courier.detail, format!("that is a Courier token; {}", none.detail));
}

#[tokio::test(start_paused = true)]
async fn no_credential_goes_on() {
    let (mut world, text) = with_a_key();
    let basic = basic("me", &text);
    let fields = [
        ("x-api-key", text.as_str()),
        ("authorization", &text),
        ("authorization", &basic),
        ("proxy-authorization", &basic),
        ("cookie", &text),
    ];
    world.ask(&fields).await.unwrap();
    assert_eq!(*world.came().opened.request.headers(), HeaderMap::new());
}

#[tokio::test(start_paused = true)]
async fn fields_of_the_clients_hop_end_here_and_all_others_go_on() {
    let (mut world, text) = with_a_key();
    let fields = [
        ("authorization", text.as_str()),
        ("connection", "keep-alive, X-Mine, authorization"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("x-mine", "1"),
        ("accept", "a"),
        ("accept", "b"),
    ];
    world.ask(&fields).await.unwrap();
    let came = world.came();
    let left: Vec<_> = came.opened.request.headers().iter().collect();
    let [a, b] = ["a", "b"].map(HeaderValue::from_static);
    assert_eq!(left, [(&header::ACCEPT, &a), (&header::ACCEPT, &b)]);
}

#[tokio::test(start_paused = true)]
async fn no_octet_of_a_body_is_read_before_its_caller_is_known() {
    let (mut world, text) = with_a_key();
    let unread = || {
        let never = std::iter::from_fn(|| -> Option<Result<Frame<Bytes>, Cause>> {
            panic!("the body is read")
        });
        crate::call::stream(StreamBody::new(futures_util::stream::iter(never)))
    };
    assert!(world.ask_with(&[], unread()).await.is_err());
    assert!(world.ask_with(&[("x-api-key", &text)], unread()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_repeats_nothing_of_what_was_presented() {
    let (mut world, text) = with_a_key();
    let secret = text.strip_prefix("tg_k1_").unwrap();
    let renamed = text.replace("tg_k1_", "tg_k2_");
    for presented in [secret, &renamed, &text[..text.len() - 1], &format!("tg_{secret}")] {
        let error = world.refused(&[("x-api-key", presented)]).await;
        let told = format!("{error:?} {error}");
        let noted = world.record.read(|marks| format!("{marks:?}"));
        assert!(!told.contains(&secret[..8]) && !noted.contains(&secret[..8]));
    }
}
