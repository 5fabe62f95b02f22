//! Where answers lead: back through the gateway, and never to another host with the gateway's key.

use simulator::{Answer as Faulty, Effect, Fault, When};
use tollgate::call::StreamBody;

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
