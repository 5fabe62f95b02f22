//! What refused callers are told: why, how much is used and by whom, and when to come back.

use std::collections::BTreeSet;

use http::Request;
use simulator::{Answer as Faulty, Effect, Fault, When};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tollgate::call::StreamBody;
use tollgate::pipeline::Pipeline;

use crate::rig::Rig;
use crate::support::{ALL, Answer, Setup, Stack, request};

fn quota(text: &str) -> Setup {
    Setup::with_quota("", &format!("[quota]\n{text}\n"))
}

/// `GET /messages` with further fields.
fn get(key: &str, fields: &[(&'static str, &str)]) -> Request<StreamBody> {
    let mut call = request("GET", "/messages", key, "");
    for (name, value) in fields {
        call.headers_mut().insert(*name, value.parse().unwrap());
    }
    call
}

fn number(answer: &Answer, field: &str) -> u64 {
    answer.header(field).parse().unwrap()
}

/// The `t` of `RateLimit`.
fn reset(answer: &Answer) -> u64 {
    answer.header("ratelimit").rsplit_once(";t=").unwrap().1.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_429_names_the_quota_how_much_of_it_this_app_used_and_the_seconds() {
    let setup = quota("calls = 3\nwindow = \"60s\"\nmax_wait = \"1s\"");
    let stack = Stack::new(&setup);
    for _ in 0..3 {
        assert_eq!(stack.call(get(&setup.acme, &[])).await.status.as_u16(), 200);
    }
    let refused = stack.call(get(&setup.acme, &[])).await;
    let (json, id) = (refused.json(), refused.header("tollgate-call-id"));
    let seconds = number(&refused, "retry-after");
    let detail = format!(
        "the connection's quota is used up for longer than a call may wait: 3 of 3 calls in 60 s are used, \
         3 of them by this app; a place is likely in {seconds} s; why: GET /.tollgate/me?call={id}"
    );
    assert_eq!(
        (json["detail"].as_str(), json["message"].as_str()),
        (Some(&*detail), Some(&*detail))
    );
    assert_eq!((&json["code"], &json["call_id"]), (&"quota-exhausted".into(), &id.into()));
    assert_eq!(json["retry_after_ms"], number(&refused, "retry-after-ms"));
    let path = format!("/.tollgate/me?call={id}");
    let why = stack.call(request("GET", &path, &setup.acme, "")).await;
    assert_eq!(why.status.as_u16(), 200, "the address in the text leads somewhere");
}

#[tokio::test(start_paused = true)]
async fn a_429_of_a_named_quota_says_which() {
    let setup = quota("calls = 1000\nwindow = \"60s\"\nmax_wait = \"1s\"");
    let stack = Stack::new(&setup);
    let put = || request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}");
    for _ in 0..20 {
        assert_eq!(stack.call(put()).await.status.as_u16(), 204);
    }
    let json = stack.call(put()).await.json();
    let detail = json["detail"].as_str().unwrap();
    assert!(detail.contains("the quota 'lists.put' of this operation has no room"), "{detail}");
}

/// Waiting would not make it fit.
#[tokio::test(start_paused = true)]
async fn a_body_that_announces_too_much_hears_so_also_when_the_quota_is_used_up() {
    let limits = "[server]\nbody_size = \"1KiB\"\n";
    let setup = Setup::with_quota(limits, "[quota]\ncalls = 1\nmax_wait = \"1s\"\n");
    let stack = Stack::new(&setup);
    let put = |body: &str| stack.call(request("PUT", "/lists/a", &setup.acme, body));
    assert_eq!(put("{\"name\":\"a\"}").await.status.as_u16(), 204);
    assert_eq!(put("{\"name\":\"a\"}").await.status.as_u16(), 429);
    assert_eq!(put(&"x".repeat(1025)).await.status.as_u16(), 413);
}

/// Code and whether a time to come back is told, for a call when the quota of one is used up.
async fn refusal(app: &str, target: &str, fields: &[(&'static str, &str)]) -> (String, Answer) {
    let mut setup = quota("calls = 1\nwindow = \"40s\"");
    setup.text = setup.text.replacen(ALL, &format!("{ALL}{app}"), 1);
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme, &[])).await;
    let mut call = request("GET", target, &setup.acme, "");
    for (name, value) in fields {
        call.headers_mut().insert(*name, value.parse().unwrap());
    }
    let answer = stack.call(call).await;
    (answer.code(), answer)
}

#[tokio::test(start_paused = true)]
async fn each_refusal_blames_what_binds_and_nothing_that_is_not_there() {
    let limit = "limit = { calls = 1, window = \"120s\" }\n";
    for (app, fields, code) in [
        ("", &[][..], "quota-exhausted"),
        ("", &[("prefer", "wait=0")], "deadline-too-near"),
        ("", &[("prefer", "wait=1")], "deadline-too-near"),
        ("", &[("x-stainless-timeout", "2")], "deadline-too-near"),
        // Longer than the wait that the operator allows, so that it is the operator's that binds.
        ("", &[("x-stainless-timeout", "30")], "quota-exhausted"),
        ("", &[("x-stainless-timeout", "60")], "quota-exhausted"),
        ("lane = \"bulk\"\n", &[("x-stainless-timeout", "8")], "deadline-too-near"),
        (limit, &[], "app-limited"),
        (limit, &[("prefer", "wait=0")], "app-limited"),
    ] {
        let (seen, answer) = refusal(app, "/messages", fields).await;
        assert_eq!(seen, code, "{app} {fields:?}");
        assert_eq!(answer.json()["retry_after_ms"], number(&answer, "retry-after-ms"));
        assert!(reset(&answer) <= number(&answer, "retry-after"), "{:?}", answer.headers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_app_without_a_deadline_of_its_own_hears_that_the_quota_is_used_up() {
    let mut setup = quota("calls = 1\nwindow = \"90s\"");
    setup.text = setup.text.replacen(ALL, &format!("{ALL}lane = \"bulk\"\n"), 1);
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme, &[])).await;
    assert_eq!(stack.call(get(&setup.acme, &[])).await.code(), "quota-exhausted");
}

#[tokio::test(start_paused = true)]
async fn the_time_to_come_back_is_not_cut_but_for_the_sdk_that_heeds_no_more_than_a_minute() {
    let python: [&[(&str, &str)]; 4] = [
        &[("x-stainless-lang", "python")],
        &[("user-agent", "Courier/Python 9.13.0")],
        &[("user-agent", "AsyncCourier/Python 9.13.0")],
        &[("user-agent", "courier-python/5.0.0")],
    ];
    let others: [&[(&str, &str)]; 3] =
        [&[], &[("x-stainless-lang", "js")], &[("user-agent", "python-requests/2.32")]];
    for (clients, longest) in [(&python[..], 60_000), (&others[..], u64::MAX)] {
        for fields in clients {
            let setup = quota("calls = 5\nwindow = \"5m\"\nmax_wait = \"1s\"");
            let stack = Stack::new(&setup);
            for _ in 0..5 {
                stack.call(get(&setup.acme, &[])).await;
            }
            let mut told = BTreeSet::new();
            for _ in 0..12 {
                let refused = stack.call(get(&setup.acme, fields)).await;
                let millis = number(&refused, "retry-after-ms");
                let seconds = number(&refused, "retry-after");
                assert_eq!(seconds, millis.div_ceil(1000));
                assert_eq!(refused.json()["retry_after_ms"], millis);
                assert!(reset(&refused) <= seconds, "{fields:?}");
                if longest == 60_000 {
                    assert!((45_000..=60_000).contains(&millis), "{fields:?}: {millis}");
                } else {
                    assert!(millis >= 300_000, "{fields:?}: {millis}");
                }
                told.insert(millis);
                let path = format!("/.tollgate/me?call={}", refused.header("tollgate-call-id"));
                let why = stack.call(request("GET", &path, &setup.acme, "")).await.json();
                let events = why["timeline"].as_array().unwrap();
                let said = events.iter().find_map(|event| event["retry_after_ms"].as_f64());
                assert_eq!(said, Some(millis as f64), "{why}");
            }
            // The SDK's are apart by chance, the others' as slots come back, 60 s from each other.
            let apart = if longest == 60_000 { 10 } else { 5 };
            assert!(told.len() >= apart, "{fields:?}: {told:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendors_own_time_to_come_back_is_passed_on_whole_or_as_the_sdk_heeds_it() {
    for (fields, seconds) in [(&[][..], 90..=90), (&[("x-stainless-lang", "python")][..], 45..=60)]
    {
        let setup = quota("calls = 100\nmax_wait = \"1s\"");
        let stack = Stack::new(&setup);
        let answer = Faulty::RateLimited { retry_after: Some("90".into()) };
        let effect = Effect { answer: Some(answer), ..Effect::default() };
        let when = When { times: Some(1), ..When::default() };
        stack.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
        // The vendor's answer, then refusals until its time is over.
        for code in ["", "vendor-throttled", "vendor-throttled"] {
            let refused = stack.call(get(&setup.acme, fields)).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, code));
            let told = number(&refused, "retry-after");
            let spread =
                *seconds.end() + if code.is_empty() || !fields.is_empty() { 0 } else { 60 };
            assert!((*seconds.start()..=spread).contains(&told), "{fields:?}: {told}");
            assert!(reset(&refused) <= told, "{:?}", refused.headers);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_ask_for_a_longer_wait_than_the_usual_one() {
    let wait = |quota_text: &'static str, prefer: &'static str| async move {
        let setup = quota(&format!("calls = 1\nwindow = \"10s\"\nmax_wait = \"2s\"\n{quota_text}"));
        let stack = Stack::new(&setup);
        stack.call(get(&setup.acme, &[])).await;
        let start = Instant::now();
        let fields = [("prefer", prefer)];
        let fields = if prefer.is_empty() { &fields[..0] } else { &fields[..] };
        let answer = stack.call(get(&setup.acme, fields)).await;
        (answer.status.as_u16(), answer.code(), start.elapsed().as_secs())
    };
    let refused = |code: &str| (429, code.to_owned(), 0);
    assert_eq!(wait("", "").await, refused("quota-exhausted"));
    assert_eq!(wait("", "wait=20").await, (200, String::new(), 10));
    assert_eq!(wait("", "wait=4000").await, (200, String::new(), 10), "as long as the deadline");
    assert_eq!(wait("", "wait=8").await, refused("deadline-too-near"));
    let bound = "max_wait_bulk = \"5s\"";
    assert_eq!(wait(bound, "wait=20").await, refused("quota-exhausted"), "the operator's bound");
}

#[tokio::test(start_paused = true)]
async fn an_sdk_is_told_not_to_repeat_what_fails_for_good() {
    let (one, two) = (crate::support::tenant("acme", ALL), crate::support::tenant("other", ALL));
    // Both apps in one tenant, on one connection.
    let app = two.0.split_once("[[tenant.app]]").unwrap().1;
    let setup =
        Setup { text: format!("{}[[tenant.app]]{app}", one.0), acme: one.1, umbrella: two.1 };
    let stack = Stack::new(&setup);
    let send = |key: &str| {
        let body = "{\"message\":{\"to\":{\"email\":\"a@b.c\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";
        let mut call = request("POST", "/send", key, body);
        call.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        call
    };
    assert_eq!(stack.call(send(&setup.acme)).await.status.as_u16(), 202);
    let in_use = stack.call(send(&setup.umbrella)).await;
    assert_eq!((in_use.status.as_u16(), in_use.code()), (409, "key-in-use".into()));
    assert_eq!(in_use.header("x-should-retry"), "false");
    let mut cached = request("GET", "/brands", &setup.acme, "");
    cached.headers_mut().insert("cache-control", "only-if-cached".parse().unwrap());
    let no_copy = stack.call(cached).await;
    assert_eq!((no_copy.code(), no_copy.header("x-should-retry")), ("not-cached".into(), "false"));
}

#[tokio::test]
async fn the_bound_of_fields_holds_over_both_versions_of_http() {
    let rig = Rig::start("head_fields = 20\n").await;
    for (h2, fields, cookies, status) in [
        (false, 10, 0, 200),
        (true, 10, 0, 200),
        (true, 10, 30, 200),
        (false, 30, 0, 431),
        (true, 30, 0, 431),
    ] {
        let socket = TcpStream::connect(rig.gateway.data).await.unwrap();
        let mut client = match h2 {
            true => crate::rig::Client::h2(socket).await,
            false => crate::rig::Client::h1(socket).await,
        };
        let mut more = http::HeaderMap::new();
        for n in 0..fields {
            let name = http::HeaderName::try_from(format!("x-field-{n}")).unwrap();
            more.append(name, "1".parse().unwrap());
        }
        for n in 0..cookies {
            more.append("cookie", format!("a{n}=1").parse().unwrap());
        }
        let answer = client.send_with("GET", "/messages", &rig.setup.acme, more).await;
        assert_eq!(answer.status().as_u16(), status, "h2 {h2}, {fields} fields, {cookies} cookies");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_comes_after_one_that_is_gone_is_not_paused() {
    let (acme, one) = crate::support::tenant("acme", ALL);
    let apps = ["gone", "new"].map(|name| {
        let (text, key) = crate::support::tenant(name, ALL);
        (format!("[[tenant.app]]{}", text.split_once("[[tenant.app]]").unwrap().1), key)
    });
    let with = |app: &str| Setup {
        text: format!("[quota]\ncalls = 1\nwindow = \"10s\"\nmax_wait = \"30s\"\n{acme}{app}"),
        acme: one.clone(),
        umbrella: String::new(),
    };
    let mut stack = Stack::new(&with(&apps[0].0));
    for app in ["", &apps[1].0] {
        let config = with(app).config();
        stack.state.reconfigure(&config).unwrap();
        stack.pipeline = Pipeline::build(&config, &stack.state);
    }
    assert_eq!(stack.call(get(&one, &[])).await.status.as_u16(), 200);
    let start = Instant::now();
    let waited = stack.call(get(&apps[1].1, &[])).await;
    assert_eq!((waited.status.as_u16(), start.elapsed().as_secs()), (200, 10));
}
