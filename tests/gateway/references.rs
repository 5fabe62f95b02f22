//! Where answers lead: back through the gateway, and never to another host with the gateway's key.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use simulator::{Answer as Faulty, Effect, Fault, When};
use tollgate::call::{BoxFuture, StreamBody};
use tollgate::error::Cause;
use tollgate::pipeline::Pipeline;
use tollgate::pipeline::Response;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;
use tollgate::upstream::{Dial, Line};

use crate::headers;
use crate::support::{Answer, Setup, Stack, request};

fn next(stack: &Stack, effect: Effect) {
    let when = When { times: Some(1), ..When::default() };
    stack.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
}

fn redirects(stack: &Stack, status: u16, location: &str) {
    let answer = Faulty::Redirect { status, location: location.into() };
    next(stack, Effect { answer: Some(answer), ..Effect::default() });
}

/// A request whose key stands in `Authorization`.
fn bearer(method: &str, target: &str, key: &str) -> http::Request<StreamBody> {
    let mut call = request(method, target, key, "");
    let key = call.headers_mut().remove("x-api-key").unwrap();
    let value = format!("Bearer {}", key.to_str().unwrap());
    call.headers_mut().insert("authorization", value.parse().unwrap());
    call
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.header("location"))
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_the_vendor_leads_back_through_the_gateway_and_its_connection() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for location in [
        "https://api.courier.com/profiles/final?a=b",
        "https://API.courier.com:443/profiles/final?a=b",
        "https://api.courier.com./profiles/final?a=b",
        "http://api.courier.com:80/profiles/final?a=b",
        "//api.courier.com/profiles/final?a=b",
        "/profiles/final?a=b",
        "final?a=b",
    ] {
        for (status, method, target, there) in [
            (307, "GET", "/profiles/first", "/profiles/final?a=b"),
            (301, "GET", "/c/acme-prod/profiles/first", "/c/acme-prod/profiles/final?a=b"),
            (308, "DELETE", "/c/acme-prod/profiles/first", "/c/acme-prod/profiles/final?a=b"),
        ] {
            redirects(&stack, status, location);
            let answer = stack.call(request(method, target, &setup.acme, "")).await;
            assert_eq!(told(&answer), (status, there), "{location}");
            stack.call(request(method, answer.header("location"), &setup.acme, "")).await;
            let last = stack.arrived().pop().unwrap();
            assert_eq!(last.target, "/profiles/final?a=b", "what the vendor meant");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_redirect_takes_a_write_or_a_key_in_a_field_of_its_own_to_another_host() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for location in ["https://elsewhere.example/", "//elsewhere.example/a"] {
        redirects(&stack, 307, location);
        let answer = stack.call(request("GET", "/profiles/a", &setup.acme, "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "vendor-malformed"));
        assert!(answer.header("location").is_empty(), "a client can't follow");
        assert!(answer.json()["detail"].as_str().unwrap().contains("Authorization: Bearer"));
        redirects(&stack, 307, location);
        let answer = stack.call(bearer("DELETE", "/profiles/a", &setup.acme)).await;
        assert_eq!((answer.status.as_u16(), answer.header("tollgate-outcome")), (502, "unknown"));
        // HTTP clients leave `Authorization` behind when they go to another host.
        redirects(&stack, 302, location);
        let answer = stack.call(bearer("GET", "/profiles/a", &setup.acme)).await;
        assert_eq!(answer.status.as_u16(), 302);
        assert!(answer.header("location").starts_with("https://elsewhere.example/"));
    }
}

/// A copy is shared by those who name the connection and those who don't.
#[tokio::test(start_paused = true)]
async fn references_of_a_copy_lead_each_caller_where_it_asked() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let headers = [
        ("Content-Location", "https://api.courier.com/brands/a"),
        (
            "Link",
            "<https://api.courier.com/brands?cursor=2>; rel=\"next\", <https://docs.example>; rel=help",
        ),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    next(&stack, Effect { headers, ..Effect::default() });
    for (hit, target, location, link) in [
        (false, "/c/acme-prod/brands", "/c/acme-prod/brands/a", "</c/acme-prod/brands?cursor=2>"),
        (true, "/brands", "/brands/a", "</brands?cursor=2>"),
        (true, "/c/acme-prod/brands", "/c/acme-prod/brands/a", "</c/acme-prod/brands?cursor=2>"),
    ] {
        let answer = stack.call(request("GET", target, &setup.acme, "")).await;
        assert_eq!(answer.header("cache-status").contains("hit"), hit, "{target}");
        assert_eq!(answer.header("content-location"), location);
        let rest = "; rel=\"next\", <https://docs.example>; rel=help";
        assert_eq!(answer.header("link"), format!("{link}{rest}"));
    }
}

/// On a row whose answers are kept as their fields say, redirects too.
#[tokio::test(start_paused = true)]
async fn a_redirect_from_a_copy_leads_each_caller_where_it_asked_and_none_elsewhere_with_its_key() {
    let setup = headers::setup();
    let stack = Stack::new(&setup);
    let kept = |location: &str| Effect {
        answer: Some(Faulty::Redirect { status: 301, location: location.into() }),
        headers: [("Cache-Control".to_owned(), "max-age=60".to_owned())].into(),
        ..Effect::default()
    };
    next(&stack, kept("https://API.courier.com./brands/final"));
    for (hit, target, there) in [
        (false, "/c/acme-prod/brands", "/c/acme-prod/brands/final"),
        (true, "/brands", "/brands/final"),
        (true, "/c/acme-prod/brands", "/c/acme-prod/brands/final"),
    ] {
        let answer = stack.call(request("GET", target, &setup.acme, "")).await;
        assert_eq!(answer.header("cache-status").contains("hit"), hit, "{target}");
        assert_eq!(told(&answer), (301, there));
    }
    next(&stack, kept("https://elsewhere.example/"));
    for hit in [false, true] {
        let answer = stack.call(bearer("GET", "/brands?cursor=a", &setup.acme)).await;
        assert_eq!(answer.header("cache-status").contains("hit"), hit);
        assert_eq!(told(&answer), (301, "https://elsewhere.example/"));
    }
    let answer = stack.call(request("GET", "/brands?cursor=a", &setup.acme, "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "vendor-malformed"));
    assert_eq!(stack.arrived().len(), 2, "the others are copies");
}

/// A vendor that redirects `/v1/…/a` to where it is told, and says of all else that it is there.
#[derive(Clone, Default)]
struct Below {
    location: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Below {
    fn answer(&self, target: &str) -> http::Response<Full<Bytes>> {
        self.asked.lock().unwrap().push(target.to_owned());
        let answer = http::Response::builder();
        let answer = match target.ends_with("/a") {
            true => answer.status(302).header("location", *self.location.lock().unwrap()),
            false => answer.status(200),
        };
        answer.body(Full::default()).unwrap()
    }
}

impl Dial for Below {
    fn dial(&self, _: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let vendor = self.clone();
        let service = hyper::service::service_fn(move |request: http::Request<_>| {
            let _: &hyper::body::Incoming = request.body();
            let answer = vendor.answer(&request.uri().to_string());
            async { Ok::<_, Cause>(answer) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        tokio::spawn(server.serve_connection(TokioIo::new(theirs), service));
        Box::pin(async { Ok(Line { io: Box::new(TokioIo::new(ours)), h2: false }) })
    }
}

#[tokio::test(start_paused = true)]
async fn below_a_base_with_a_path_a_redirect_comes_back_there_and_what_leaves_it_is_elsewhere() {
    let setup = Setup::new("[vendor]\nbase_url = \"https://api.courier.com/v1\"\n");
    let (config, vendor) = (setup.config(), Below::default());
    let telemetry = Telemetry::new(AccessLog::none());
    let state = State::with_dial(&config, telemetry, Arc::new(vendor.clone())).unwrap();
    let pipeline = Pipeline::build(&config, &state);
    let location = |answer: &Response| answer.headers()["location"].to_str().unwrap().to_owned();
    for said in [
        "https://api.courier.com/v1/profiles/final?b=c",
        "http://api.courier.com.:80/v1/profiles/final?b=c",
        "/v1/profiles/final?b=c",
        "../../v1/profiles/final?b=c",
        "final?b=c",
    ] {
        *vendor.location.lock().unwrap() = said;
        let call = request("GET", "/c/acme-prod/profiles/a", &setup.acme, "");
        let answer = pipeline.answer(call).await;
        assert_eq!(location(&answer), "/c/acme-prod/profiles/final?b=c", "{said}");
        pipeline.answer(request("GET", &location(&answer), &setup.acme, "")).await;
        let last = vendor.asked.lock().unwrap().pop();
        assert_eq!(last.as_deref(), Some("/v1/profiles/final?b=c"), "what the vendor meant");
    }
    for (said, there) in [
        ("/profiles/final", "https://api.courier.com/profiles/final"),
        ("../../v11/b", "https://api.courier.com/v11/b"),
        ("https://api.courier.com", "https://api.courier.com/"),
    ] {
        *vendor.location.lock().unwrap() = said;
        let answer = pipeline.answer(bearer("GET", "/profiles/a", &setup.acme)).await;
        assert_eq!((answer.status().as_u16(), &*location(&answer)), (302, there));
        let answer = pipeline.answer(request("GET", "/profiles/a", &setup.acme, "")).await;
        assert_eq!(answer.status(), 502, "its key stands in a field of its own");
    }
}
