//! From a request to a call, and the way back.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::call::Call;
use crate::catalog::Catalog;
use crate::clock::Instant;
use crate::identity::authenticate::Authenticated;
use crate::identity::{App, AppConnection, Scopes};
use crate::ingress::route::Route;

const SECOND: Duration = Duration::from_secs(1);

/// The layer on what keeps the call and answers in this way.
struct World {
    layer: Staged<Route, Leaf<Call>>,
    call: Arc<Mutex<Option<Call>>>,
}

fn world(answer: impl Fn() -> Reply + Send + Sync + 'static) -> World {
    let call: Arc<Mutex<Option<Call>>> = Arc::default();
    let keeps = call.clone();
    let leaf = Leaf::new(move |call, _| {
        *keeps.lock().unwrap() = Some(call);
        now(Ok(answer()))
    });
    World { layer: Route::layer(Catalog::courier(), 50 * SECOND).layer(leaf), call }
}

/// A request of an app with these scopes on two connections.
fn by(scopes: &[&str], request: Request) -> Authenticated {
    let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    let connection = |(ix, name): (usize, &str)| AppConnection {
        id: name.parse().unwrap(),
        ix: ix.into(),
        app: ix.into(),
    };
    let app = App {
        id: "billing".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        scopes: Scopes::parse(&scopes, &Catalog::courier()).unwrap(),
        connections: ["acme-prod", "acme-test"].into_iter().enumerate().map(connection).collect(),
        makes_keys: true,
        asks_cache: true,
        trust: crate::record::Trust::default(),
    };
    let key = "k1".to_owned().try_into().unwrap();
    Authenticated { opened: opened(request), app: Arc::new(app), key, key_travels: false }
}

fn get(target: &str, fields: &[(&'static str, &'static str)]) -> Authenticated {
    by(&["*"], request(Method::GET, target, fields))
}

/// The call that is made of it.
async fn routed(asked: Authenticated) -> Call {
    let mut world = world(|| reply(200, "it"));
    world.layer.call(asked).await.unwrap();
    world.call.lock().unwrap().take().unwrap()
}

async fn refused(asked: Authenticated) -> Error {
    let mut world = world(|| reply(200, "it"));
    let error = world.layer.call(asked).await.unwrap_err();
    assert!(world.call.lock().unwrap().is_none());
    error
}

#[tokio::test(start_paused = true)]
async fn a_path_becomes_its_operation_on_the_apps_first_connection() {
    let asked = get("/brands?limit=2", &[]);
    let record = asked.opened.record.clone();
    let call = routed(asked).await;
    assert_eq!(&*call.operation.id, "brands.list");
    assert_eq!(
        (call.caller.connection.as_str(), call.target.as_str()),
        ("acme-prod", "/brands?limit=2")
    );
    assert!(call.body.0.is_none());
    let known = record.read(|marks| marks.operation.as_ref().map(|row| row.id.clone()));
    assert_eq!(known.as_deref(), Some("brands.list"));
}

#[tokio::test(start_paused = true)]
async fn a_path_can_name_one_of_the_apps_connections() {
    let call = routed(get("/c/acme-test/brands?limit=2", &[])).await;
    assert_eq!((call.caller.connection.as_str(), call.caller.ix), ("acme-test", 1.into()));
    assert_eq!(call.target.as_str(), "/brands?limit=2");
    let other = refused(get("/c/umbrella-prod/brands", &[])).await;
    assert_eq!(other.code, Code::ScopeMissing);
}

#[tokio::test(start_paused = true)]
async fn what_the_scopes_do_not_cover_is_refused_and_the_record_says_what_it_was() {
    let asked = by(&["brands.read"], request(Method::POST, "/brands", &[]));
    let record = asked.opened.record.clone();
    assert_eq!(refused(asked).await.code, Code::ScopeMissing);
    let known = record.read(|marks| marks.operation.as_ref().map(|row| row.id.clone()));
    assert_eq!(known.as_deref(), Some("brands.create"));
    let named = by(&["*"], request(Method::POST, "/inbound/segment", &[]));
    assert_eq!(refused(named).await.code, Code::ScopeMissing, "all is not what must be named");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_no_row_has_is_unknown_unless_the_app_may_call_such() {
    for path in ["/", "/nothing", "/brands/", "//brands"] {
        assert_eq!(refused(get(path, &[])).await.code, Code::UnknownOperation, "{path}");
    }
    let unlisted = |method, path| by(&["*", "unlisted"], request(method, path, &[]));
    assert_eq!(&*routed(unlisted(Method::GET, "/nothing")).await.operation.id, "unlisted");
    let empty = refused(unlisted(Method::GET, "/nothing//x")).await;
    assert_eq!(empty.code, Code::UnknownOperation);
    let trace = refused(unlisted(Method::TRACE, "/nothing")).await;
    assert_eq!(trace.code, Code::MethodNotAllowed);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let error = refused(by(&["*"], request(Method::DELETE, "/brands", &[]))).await;
    assert_eq!(error.code, Code::MethodNotAllowed);
    let fields: HeaderMap = error.headers.into_iter().collect();
    let allow = fields["allow"].to_str().unwrap();
    assert!(
        allow.contains("GET") && allow.contains("POST") && !allow.contains("DELETE"),
        "{allow}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_time_out_shortens_the_deadline_by_the_way_back() {
    for (said, seconds, own) in [
        ("10", 9.0, true),
        ("1", 0.5, true),
        ("600", 50.0, false),
        ("x", 50.0, false),
        ("0", 50.0, false),
    ] {
        let start = Instant::now();
        let call = routed(get("/brands", &[("x-stainless-timeout", said)])).await;
        let left = call.deadline - start;
        assert_eq!((left, call.own_deadline), (Duration::from_secs_f64(seconds), own), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preferred_wait_is_for_the_gateway_and_does_not_travel_on() {
    let start = Instant::now();
    let call = routed(get("/brands", &[("prefer", "respond-async, wait=20")])).await;
    assert_eq!(call.wait_until, Some(start + 20 * SECOND));
    assert!(!call.headers.contains_key("prefer"));
    assert_eq!(routed(get("/brands", &[])).await.wait_until, None);
}

#[tokio::test(start_paused = true)]
async fn what_speaks_of_the_clients_hop_does_not_travel_on() {
    let hop = [("x-forwarded-for", "10.0.0.1"), ("content-length", "0"), ("traceparent", "x")];
    let call = routed(get("/brands", &[hop[0], hop[1], hop[2], ("x-mine", "1")])).await;
    assert_eq!(call.headers.keys().collect::<Vec<_>>(), ["x-mine"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_refers_to_where_its_caller_can_follow_it() {
    let lead = || with(reply(201, ""), &[("location", "/brands/b1")]);
    for (target, location) in
        [("/brands", "/brands/b1"), ("/c/acme-test/brands", "/c/acme-test/brands/b1")]
    {
        let answer = world(lead).layer.call(get(target, &[])).await.unwrap();
        assert_eq!(answer.headers()["location"], location);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_takes_neither_a_send_nor_a_key_to_another_host() {
    let elsewhere = || with(reply(307, ""), &[("location", "https://other.example/")]);
    let read = world(elsewhere).layer.call(get("/brands", &[])).await.unwrap();
    assert_eq!(read.headers()["location"], "https://other.example/");
    let mut travels = get("/brands", &[]);
    travels.key_travels = true;
    let send = by(&["*"], request(Method::POST, "/send", &[]));
    for asked in [travels, send] {
        let error = world(elsewhere).layer.call(asked).await.unwrap_err();
        assert_eq!((error.code, error.outcome), (Code::VendorMalformed, Outcome::Unknown));
    }
}
