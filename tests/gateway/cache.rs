//! Reads that cost nothing: what callers see of the cache, and what the vendor is asked.

use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use http::header::{HeaderName, HeaderValue};
use simulator::{Answer as Faulty, Effect, Fault, When, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::StreamBody;

use crate::support::{ALL, Answer, Setup, Stack, request};

pub(crate) fn get(target: &str, key: &str) -> Request<StreamBody> {
    request("GET", target, key, "")
}

pub(crate) fn with(
    mut request: Request<StreamBody>,
    name: &'static str,
    value: &str,
) -> Request<StreamBody> {
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    request
}

/// What the cache says of an answer, without the name of the gateway.
pub(crate) fn said(answer: &Answer) -> &str {
    answer.header("cache-status").strip_prefix("tollgate; ").unwrap_or_default()
}

pub(crate) fn inject(stack: &Stack, operation: &str, times: Option<u64>, effect: Effect) {
    let when = When { operation: Some(operation.into()), times, ..When::default() };
    stack.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
}

pub(crate) fn status(status: u16) -> Effect {
    let answer = Faulty::Status { status, body: None, content_type: None, retry_after: None };
    Effect { answer: Some(answer), ..Effect::default() }
}

/// How many rows a page of a list has.
fn rows(answer: &Answer) -> usize {
    let page = answer.json();
    let rows = page["items"].as_array().or(page["results"].as_array());
    rows.expect("a page of a list").len()
}

fn put_list(key: &str) -> Request<StreamBody> {
    request("PUT", "/lists/a", key, "{\"name\":\"a\"}")
}

/// Another catalogue counts other collections, and their counters may stand where those of a copy stood.
#[tokio::test(start_paused = true)]
async fn what_a_write_ended_is_not_back_after_a_reload_that_changes_what_its_row_reads() {
    let setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    assert_eq!(said(&stack.call(get("/brands", &setup.acme)).await), "fwd=uri-miss; stored");
    let brand = "{\"name\":\"new\",\"settings\":{}}";
    let made = stack.call(request("POST", "/brands", &setup.acme, brand)).await;
    assert!(made.status.is_success(), "{}", made.status);
    let file =
        std::env::temp_dir().join(format!("tollgate-{}.toml", tollgate::ids::RandomId::new()));
    let row = "id = \"brands.list\"\ngroup = \"brands\"\nmethod = \"GET\"\npath = \"/brands\"\naccess = \"read\"\ncache = { ttl = 120, on = true }\nreads = [\"others\"]\n";
    std::fs::write(&file, format!("extends = \"courier\"\n[[operation]]\n{row}")).unwrap();
    let text = format!("[vendor]\ncatalog = '{}'\n{}", file.display(), setup.text);
    stack.reload(&text).unwrap();
    std::fs::remove_file(&file).unwrap();
    let answer = stack.call(get("/brands", &setup.acme)).await;
    assert!(said(&answer).starts_with("fwd=uri-miss"), "{}", said(&answer));
}

#[tokio::test(start_paused = true)]
async fn a_copy_answers_for_its_time_and_costs_no_vendor_call() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let read = || async { stack.call(get("/brands", &setup.acme)).await };
    let first = read().await;
    assert_eq!((said(&first), first.header("age")), ("fwd=uri-miss; stored", ""));
    assert_eq!(stack.lines.last()["cache"], "stored");
    advance(Duration::from_secs(7)).await;
    let second = read().await;
    assert_eq!((&second.body, second.header("age")), (&first.body, "7"));
    assert!(second.headers["cache-status"].to_str().unwrap().starts_with("tollgate; hit; ttl=1"));
    let line = stack.lines.last();
    assert_eq!((&line["cache"], &line["attempts"]), (&"hit".into(), &0.into()));
    assert_eq!(line["vendor_ms"], serde_json::Value::Null);
    assert_eq!(stack.arrived().len(), 1);
    // 120 s, less or more by a tenth.
    advance(Duration::from_secs(126)).await;
    assert_eq!(said(&read().await), "fwd=stale; stored");
    assert_eq!(stack.arrived().len(), 2);
    let page = stack.state.metrics().page();
    for line in [
        "tollgate_cache_requests_total{operation=\"brands.list\",outcome=\"hit\"} 1",
        "tollgate_cache_requests_total{operation=\"brands.list\",outcome=\"stored\"} 2",
        "tollgate_cache_quota_saved_total{operation=\"brands.list\"} 1",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_answers_when_the_quota_is_gone() {
    let setup = Setup::with_quota("", "[quota]\ncalls = 1\nmax_wait = \"1s\"\n");
    let stack = Stack::new(&setup);
    for _ in 0..10 {
        assert_eq!(stack.call(get("/brands", &setup.acme)).await.status.as_u16(), 200);
    }
    assert_eq!(stack.call(get("/lists", &setup.acme)).await.status.as_u16(), 429);
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_clears_what_it_changes_and_nothing_is_kept_until_it_has_settled() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let lists = || async { stack.call(get("/lists", &setup.acme)).await };
    lists().await;
    stack.call(get("/brands", &setup.acme)).await;
    assert!(said(&lists().await).starts_with("hit"));
    assert_eq!(stack.call(put_list(&setup.acme)).await.status.as_u16(), 204);
    let after = lists().await;
    assert_eq!(rows(&after), 1);
    let unsettled = "fwd=uri-miss; detail=write-under-way";
    assert_eq!(said(&after), unsettled, "not kept: effects may follow");
    assert_eq!(stack.lines.last()["cache_detail"], "write-under-way");
    assert!(said(&stack.call(get("/brands", &setup.acme)).await).starts_with("hit"));
    advance(Duration::from_millis(2_900)).await;
    assert_eq!(said(&lists().await), unsettled);
    advance(Duration::from_millis(200)).await;
    assert_eq!(said(&lists().await), "fwd=uri-miss; stored");
    assert!(said(&lists().await).starts_with("hit"));
    assert!(
        stack
            .state
            .metrics()
            .page()
            .contains("tollgate_cache_clears_total{operation=\"lists.put\"} 1")
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_keeps_its_tags_out_until_the_hard_limit_and_a_refusal_does_not() {
    let setup = Setup::new("");
    for (effect, seconds) in [
        (status(400), 0),
        (status(404), 0),
        (status(409), 3),
        (status(429), 3),
        (status(408), 60),
        (status(500), 60),
        (Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() }, 60),
    ] {
        let stack = Stack::new(&setup);
        inject(&stack, "lists.put", Some(1), effect.clone());
        stack.call(put_list(&setup.acme)).await;
        let lists = || async { said(&stack.call(get("/lists", &setup.acme)).await).to_owned() };
        if seconds > 0 {
            advance(Duration::from_secs(seconds) - Duration::from_millis(10)).await;
            let unsettled = "fwd=uri-miss; detail=write-under-way";
            assert_eq!(lists().await, unsettled, "{effect:?}");
            advance(Duration::from_millis(20)).await;
        }
        assert_eq!(lists().await, "fwd=uri-miss; stored", "{effect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_a_write_is_neither_kept_nor_joined_after_it() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let slow =
        Effect { latency: Some(simulator::Latency::Fixed { ms: 1_000.0 }), ..Effect::default() };
    inject(&stack, "lists.list", Some(1), slow);
    let read = || stack.call(get("/lists", &setup.acme));
    let (old, new) = tokio::join!(read(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(stack.call(put_list(&setup.acme)).await.status.as_u16(), 204);
        read().await
    });
    assert_eq!(rows(&old), 0);
    assert_eq!(rows(&new), 1);
    advance(Duration::from_secs(4)).await;
    assert_eq!(said(&read().await), "fwd=uri-miss; stored", "the old answer was not kept");
}

#[tokio::test(start_paused = true)]
async fn errors_and_what_the_vendor_forbids_are_not_kept() {
    let setup = Setup::new("");
    // A refused token is the gateway's to tell; further attempts meet the same.
    for (number, told) in [
        (201, 201),
        (301, 301),
        (401, 502),
        (403, 502),
        (404, 404),
        (429, 429),
        (500, 500),
        (503, 503),
    ] {
        let stack = Stack::new(&setup);
        inject(&stack, "brands.list", None, status(number));
        let answer = stack.call(get("/brands", &setup.acme)).await;
        // Of a refused token the vendor's answer reaches nobody.
        let why = if told == 502 { "fwd=uri-miss" } else { "fwd=uri-miss; detail=status" };
        assert_eq!((answer.status.as_u16(), said(&answer)), (told, why));
        stack.courier.with(|simulator| simulator.faults().clear());
        advance(Duration::from_secs(61)).await;
        assert_eq!(said(&stack.call(get("/brands", &setup.acme)).await), "fwd=uri-miss; stored");
    }
    for (name, value, why) in [
        ("cache-control", "no-store", "no-store"),
        ("cache-control", "private", "private"),
        ("cache-control", "no-cache", "no-cache"),
        ("cache-control", "max-age=0", "expired"),
        ("set-cookie", "session=1", "set-cookie"),
        ("vary", "*", "vary"),
    ] {
        let stack = Stack::new(&setup);
        let headers = [(name.to_owned(), value.to_owned())];
        inject(
            &stack,
            "brands.list",
            None,
            Effect { headers: headers.into(), ..Effect::default() },
        );
        for _ in 0..2 {
            let answer = stack.call(get("/brands", &setup.acme)).await;
            assert_eq!(said(&answer), format!("fwd=uri-miss; detail={why}"));
            assert_eq!(stack.lines.last()["cache_detail"], why);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_that_miss_at_once_are_one_vendor_call_also_when_the_first_leaves() {
    let setup = Setup::new("");
    for leaves in [false, true] {
        let stack = Stack::new(&setup);
        let slow =
            Effect { latency: Some(simulator::Latency::Fixed { ms: 500.0 }), ..Effect::default() };
        inject(&stack, "brands.list", None, slow);
        let first = tokio::spawn({
            let (pipeline, call) = (stack.pipeline.clone(), get("/brands", &setup.acme));
            async move { pipeline.answer(call).await.status().as_u16() }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let others = join_all((0..999).map(|_| stack.call(get("/brands", &setup.acme))));
        let others = async {
            if leaves {
                first.abort();
            }
            others.await
        };
        let answers = others.await;
        assert!(answers.iter().all(|answer| answer.status.as_u16() == 200));
        assert!(answers.iter().all(|answer| said(answer) == "fwd=uri-miss; collapsed"));
        assert_eq!(stack.arrived().len(), 1, "the first leaves: {leaves}");
        assert!(said(&stack.call(get("/brands", &setup.acme)).await).starts_with("hit"));
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_vendor_stalls_each_waiter_ends_at_its_own_deadline() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(
        &stack,
        "brands.list",
        None,
        Effect { wire: Some(Wire::BlackHole), ..Effect::default() },
    );
    let start = Instant::now();
    let waits = (0..50).map(|n| {
        let call =
            with(get("/brands", &setup.acme), "x-stainless-timeout", &(3 + n % 10).to_string());
        let stack = &stack;
        async move {
            let answer = stack.call(call).await;
            (n % 10, answer.code(), start.elapsed())
        }
    });
    for (n, code, taken) in join_all(waits).await {
        assert_eq!((code.as_str(), taken.as_secs()), ("vendor-timeout", 2 + n), "{taken:?}");
    }
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_handed_round() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let mut bad = status(404);
    bad.latency = Some(simulator::Latency::Fixed { ms: 100.0 });
    inject(&stack, "brands.list", Some(1), bad);
    let calls = (0..5).map(|_| stack.call(get("/brands", &setup.acme)));
    let mut statuses: Vec<_> = join_all(calls).await.iter().map(|a| a.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 404]);
}

#[tokio::test(start_paused = true)]
async fn polls_of_one_moment_share_an_answer_that_is_not_kept() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let target = "/messages/1-5e2b2615-05efbb3acab9172f88dd3f6f";
    inject(&stack, "messages.get", None, {
        let answer = Faulty::Status {
            status: 200,
            body: Some("{}".into()),
            content_type: None,
            retry_after: None,
        };
        let latency = Some(simulator::Latency::Fixed { ms: 100.0 });
        Effect { answer: Some(answer), latency, ..Effect::default() }
    });
    let polls = join_all((0..20).map(|_| stack.call(get(target, &setup.acme)))).await;
    assert!(polls.iter().all(|answer| answer.status.as_u16() == 200));
    assert_eq!(stack.arrived().len(), 1);
    let twins = join_all(
        ["a", "b"].map(|agent| stack.call(with(get(target, &setup.acme), "user-agent", agent))),
    );
    twins.await;
    assert_eq!(stack.arrived().len(), 3, "not kept, and different requests share nothing");
    let other = join_all([&setup.acme, &setup.umbrella].map(|key| stack.call(get(target, key))));
    other.await;
    assert_eq!(stack.arrived().len(), 5, "connections share nothing");
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_stands_in_for_a_vendor_that_is_away_and_says_so() {
    let setup = Setup::new("[server]\ndeadline = \"20s\"\n");
    let cut = Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() };
    let hole = Effect { wire: Some(Wire::BlackHole), ..Effect::default() };
    for effect in [status(500), status(503), status(429), cut, hole] {
        let stack = Stack::new(&setup);
        stack.call(get("/brands", &setup.acme)).await;
        inject(&stack, "brands.list", None, effect.clone());
        advance(Duration::from_secs(140)).await;
        let start = Instant::now();
        let stale = stack.call(get("/brands", &setup.acme)).await;
        assert_eq!(stale.status.as_u16(), 200, "{effect:?}");
        assert!(said(&stale).starts_with("hit; ttl=-") && said(&stale).contains("stale-if-error"));
        assert!(start.elapsed() < Duration::from_secs(20), "before the caller's time is over");
        assert!(stale.header("age").parse::<u64>().unwrap() >= 140);
        let strict = with(get("/brands", &setup.acme), "cache-control", "no-cache");
        assert_ne!(stack.call(strict).await.status.as_u16(), 200, "{effect:?}");
        // Bounded, and never after a write. (A 429 closes the pool: then nothing is written.)
        let write = request("POST", "/brands", &setup.acme, "{\"name\":\"b\"}");
        let written = stack.call(write).await.status.is_success();
        let after = stack.call(get("/brands", &setup.acme)).await;
        assert!(!written || after.status.as_u16() != 200, "{effect:?}: {}", said(&after));
        assert!(written || said(&after).contains("stale-if-error"), "{effect:?}");
    }
    let stack = Stack::new(&setup);
    stack.call(get("/brands", &setup.acme)).await;
    inject(&stack, "brands.list", None, status(500));
    advance(Duration::from_secs(120 + 12 + 600)).await;
    assert_eq!(stack.call(get("/brands", &setup.acme)).await.status.as_u16(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_does_not_stand_in_once_a_write_has_ended_meanwhile() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let read = || stack.call(get("/brands", &setup.acme));
    read().await;
    advance(Duration::from_secs(140)).await;
    let mut failing = status(500);
    failing.latency = Some(simulator::Latency::Fixed { ms: 1_000.0 });
    inject(&stack, "brands.list", None, failing);
    let (answer, ()) = tokio::join!(read(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let write = request("POST", "/brands", &setup.acme, "{\"name\":\"b\"}");
        assert!(stack.call(write).await.status.is_success());
    });
    assert_eq!(answer.status.as_u16(), 500, "{}", said(&answer));
}

#[tokio::test(start_paused = true)]
async fn a_client_can_ask_for_more_unless_its_app_has_no_say() {
    let mut setup = Setup::new("");
    let has_no_say = format!("{ALL}cache_control = \"ignore\"\n");
    let at = setup.text.rfind(ALL).unwrap();
    setup.text.replace_range(at..at + ALL.len(), &has_no_say);
    let stack = Stack::new(&setup);
    let ask = |key: &str, wish: &str| stack.call(with(get("/brands", key), "cache-control", wish));
    assert_eq!(ask(&setup.acme, "only-if-cached").await.code(), "not-cached");
    assert_eq!(said(&ask(&setup.acme, "no-store").await), "fwd=request; detail=client-no-store");
    assert_eq!(said(&ask(&setup.acme, "max-age=5").await), "fwd=request; stored");
    advance(Duration::from_secs(3)).await;
    assert!(said(&ask(&setup.acme, "max-age=5").await).starts_with("hit"));
    advance(Duration::from_secs(3)).await;
    assert!(said(&ask(&setup.acme, "only-if-cached").await).starts_with("hit"));
    assert_eq!(said(&ask(&setup.acme, "max-age=5").await), "fwd=request; stored");
    assert_eq!(said(&ask(&setup.acme, "no-cache").await), "fwd=request; stored");
    ask(&setup.umbrella, "no-store").await;
    for wish in ["no-cache", "max-age=0", "no-store"] {
        assert!(said(&ask(&setup.umbrella, wish).await).starts_with("hit"), "{wish}");
    }
}
