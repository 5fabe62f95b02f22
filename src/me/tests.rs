//! The layer on a clock that stands still.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tower::{Layer, Service};

use super::*;
use crate::admission::testing::{desk, quota};
use crate::call::Request;
use crate::call::testing::{Leaf, now, opened, reply, text};
use crate::catalog::Catalog;
use crate::error::Outcome;
use crate::identity::{App, Key, NewKey, Scopes};
use crate::ids::KeyId;
use crate::numbers::{AppIx, ConnectionIx};
use crate::record::{Record, Trust};

/// The layer on what counts what comes through.
struct World {
    layer: Staged<Me, Leaf<Authenticated>>,
    below: Leaf<Authenticated>,
    calls: Arc<Calls>,
    /// `k1` without an end, `k2` with one.
    keys: Arc<Keys>,
}

fn world() -> World {
    let (_, desk) = desk(quota(5));
    let mut keys = Keys::default();
    let end = clock::wall() + Duration::from_secs(60);
    for (name, expires) in [("k1", None), ("k2", Some(end))] {
        let sha256 = NewKey::generate(&id(name)).sha256;
        keys.add(Key { id: id(name), sha256, expires }, app("acme", "billing"));
    }
    let (keys, calls) = (Arc::new(keys), Arc::new(Calls::default()));
    let below = Leaf::new(|_: Authenticated, _| now(Ok(reply(200, "below"))));
    let layer = Me::layer(keys.clone(), desk, calls.clone()).layer(below.clone());
    World { layer, below, calls, keys }
}

fn id(name: &str) -> KeyId {
    name.to_owned().try_into().unwrap()
}

/// An app that may read everything on the one connection.
fn app(tenant: &str, name: &str) -> Arc<App> {
    let connection = AppConnection {
        id: "acme-prod".parse().unwrap(),
        ix: ConnectionIx::default(),
        app: AppIx::default(),
    };
    Arc::new(App {
        id: name.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        scopes: Scopes::parse(&["*.read".to_owned()], &Catalog::courier()).unwrap(),
        connections: vec![connection],
        makes_keys: true,
        asks_cache: true,
        trust: Trust::default(),
    })
}

impl World {
    async fn ask(&mut self, method: Method, target: &str) -> call::Result {
        self.ask_as(app("acme", "billing"), "k1", method, target).await
    }

    async fn ask_as(
        &mut self,
        app: Arc<App>,
        key: &str,
        method: Method,
        target: &str,
    ) -> call::Result {
        let mut request = Request::new(call::empty());
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        let opened = opened(request);
        let call = Authenticated { opened, app, key: id(key), key_travels: false };
        self.layer.call(call).await
    }

    /// What the app `billing` is told with `key`.
    async fn told(&mut self, key: &str) -> Value {
        let told = self.ask_as(app("acme", "billing"), key, Method::GET, PATH).await;
        serde_json::from_str(&text(told.unwrap()).await.unwrap()).unwrap()
    }

    /// Lets a call of `app` end which nothing was sent of, and gives its id.
    fn refused(&self, tenant: &str, app: &str) -> RandomId {
        let record = Record::open(self.calls.clone());
        record.mark(|marks| {
            marks.caller.tenant = Some(tenant.parse().unwrap());
            marks.caller.app = Some(app.parse().unwrap());
            marks.code = Some(Code::QuotaExhausted);
            marks.outcome = Some(Outcome::NotSent);
            marks.status = Some(StatusCode::TOO_MANY_REQUESTS);
        });
        record.call_id
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_is_told_who_it_is_and_what_it_may() {
    let told = world().told("k1").await;
    assert_eq!((&told["tenant"], &told["app"]), (&json!("acme"), &json!("billing")));
    assert_eq!(told["key"], json!({ "id": "k1", "expires": null }));
    assert_eq!(told["scopes"], json!(["*.read"]));
    assert_eq!(told["refusals"], json!([]));
    let connections = told["connections"].as_array().unwrap();
    assert_eq!((connections.len(), &connections[0]["connection"]), (1, &json!("acme-prod")));
}

#[tokio::test(start_paused = true)]
async fn an_app_is_told_when_the_key_ends_that_it_used() {
    let mut world = world();
    let end = clock::rfc3339(world.keys.expiry(&id("k2")).unwrap());
    assert_eq!(world.told("k2").await["key"], json!({ "id": "k2", "expires": end }));
}

#[tokio::test(start_paused = true)]
async fn nothing_below_is_asked_and_no_answer_is_kept_by_anybody() {
    let mut world = world();
    let told = world.ask(Method::GET, PATH).await.unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    assert_eq!(told.headers()["cache-control"], "no-store");
    assert_eq!(told.headers()["content-type"], "application/json");
    assert_eq!(world.below.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn to_ask_costs_no_quota() {
    let mut world = world();
    let first = world.told("k1").await;
    for _ in 0..20 {
        assert_eq!(world.told("k1").await, first);
    }
}

#[tokio::test(start_paused = true)]
async fn every_other_path_goes_on() {
    let mut world = world();
    for target in ["/brands", "/.tollgate/me/", "/.tollgate/ME", "/.tollgate", "/c/a/.tollgate/me"]
    {
        let reply = world.ask(Method::GET, target).await.unwrap();
        assert_eq!(text(reply).await.unwrap(), "below", "{target}");
    }
    assert_eq!(world.below.asked(), 5);
}

#[tokio::test(start_paused = true)]
async fn nobody_changes_anything_here() {
    let mut world = world();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let error = world.ask(method, PATH).await.unwrap_err();
        assert_eq!((error.code, error.outcome), (Code::MethodNotAllowed, Outcome::NotSent));
        assert_eq!(error.headers, [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))]);
    }
    assert_eq!(world.below.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_app_hears_of_its_own_refusals_only_and_of_the_last_one_first() {
    let mut world = world();
    let first = world.refused("acme", "billing");
    tokio::time::advance(Duration::from_secs(1)).await;
    let last = world.refused("acme", "billing");
    world.refused("acme", "shop");
    world.refused("globex", "billing");
    let told = world.told("k1").await;
    let ids: Vec<_> =
        told["refusals"].as_array().unwrap().iter().map(|one| &one["call_id"]).collect();
    assert_eq!(ids, [&json!(last.to_string()), &json!(first.to_string())]);
    assert_eq!(told["refusals"][0]["code"], "quota-exhausted");
}

#[tokio::test(start_paused = true)]
async fn an_app_may_ask_about_a_call_of_its_own() {
    let mut world = world();
    let id = world.refused("acme", "billing");
    let told = world.ask(Method::GET, &format!("{PATH}?call={id}")).await.unwrap();
    let told: Value = serde_json::from_str(&text(told).await.unwrap()).unwrap();
    assert_eq!(told["call_id"], id.to_string());
    assert_eq!(told["app"], "billing");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_another_is_as_unknown_as_one_that_never_was() {
    let mut world = world();
    let of_others = [world.refused("acme", "shop"), world.refused("globex", "billing")];
    let never = world.ask(Method::GET, &format!("{PATH}?call={}", RandomId::new())).await;
    let never = never.unwrap_err();
    assert_eq!(never.code, Code::UnknownCall);
    for id in of_others {
        let error = world.ask(Method::GET, &format!("{PATH}?call={id}")).await.unwrap_err();
        assert_eq!((error.code, &error.detail), (never.code, &never.detail));
        assert!(error.headers.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_that_asks_for_nothing_known_is_malformed() {
    let mut world = world();
    let id = world.refused("acme", "billing");
    for query in ["a=b", "call", "call=", "call=x", &format!("call={id}&call={id}"), "calls=1"] {
        let error = world.ask(Method::GET, &format!("{PATH}?{query}")).await.unwrap_err();
        assert_eq!(error.code, Code::MalformedRequest, "{query}");
    }
    assert!(world.ask(Method::GET, &format!("{PATH}?")).await.is_ok(), "it asks for nothing");
}
