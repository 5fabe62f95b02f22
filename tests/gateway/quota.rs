//! The quota through the whole stack: what callers see of it, and what the vendor counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::Request;
use simulator::{Answer as Faulty, Effect, Fault, When};
use tokio::time::{Instant, advance, sleep};
use tollgate::call::StreamBody;

use crate::double::{Double, Front, Stage};
use crate::support::{ALL, Setup, Stack, request, token};

fn quota(text: &str) -> Setup {
    Setup::with_quota("", &format!("[quota]\n{text}\n"))
}

fn get(key: &str) -> Request<StreamBody> {
    request("GET", "/messages", key, "")
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_the_whole_quota_leaves_at_once_and_the_next_call_a_window_after_its_answer() {
    let setup = quota("calls = 5\nwindow = \"10s\"\nmax_wait = \"20s\"");
    let stack = Stack::new(&setup);
    let start = Instant::now();
    let calls = (0..7).map(|_| async {
        assert_eq!(stack.call(get(&setup.acme)).await.status.as_u16(), 200);
        start.elapsed().as_millis()
    });
    let ends = join_all(calls).await;
    // 10 s and the guard of 50 ms after the first byte of the first answers.
    assert_eq!(ends, [0, 0, 0, 0, 0, 10_050, 10_050]);
    let line = stack.lines.last();
    assert_eq!((&line["lane"], &line["queue_ms"]), (&"interactive".into(), &10_050.0.into()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_start_in_time_is_refused_at_once_with_the_time_to_come_back() {
    let setup = quota("calls = 2\nwindow = \"10s\"\nmax_wait = \"5s\"");
    let stack = Stack::new(&setup);
    for _ in 0..2 {
        stack.call(get(&setup.acme)).await;
    }
    let start = Instant::now();
    let refused = stack.call(get(&setup.acme)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "quota-exhausted".into()));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    let millis: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert!((10..=60).contains(&seconds) && seconds == millis.div_ceil(1000), "{seconds} {millis}");
    assert_eq!(refused.header("tollgate-outcome"), "not-sent");
    advance(Duration::from_millis(millis)).await;
    assert_eq!(stack.call(get(&setup.acme)).await.status.as_u16(), 200, "the time was true");
    assert_eq!(stack.arrived().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_upload_is_not_read() {
    let setup = quota("calls = 1\nwindow = \"60s\"");
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme)).await;
    let asked = Arc::new(AtomicBool::new(false));
    let noticed = asked.clone();
    let body = futures_util::stream::once(async move {
        noticed.store(true, Ordering::SeqCst);
        Ok::<_, tollgate::error::Cause>(hyper::body::Frame::data(Bytes::from_static(b"{}")))
    });
    let body = tollgate::call::stream(http_body_util::StreamBody::new(body));
    let upload = request("POST", "/send", &setup.acme, "").map(|_| body);
    assert_eq!(stack.call(upload).await.code(), "quota-exhausted");
    assert!(!asked.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_a_copy_says_what_was_left_at_most_a_tenth_of_a_second_ago() {
    let setup = quota("calls = 100\nwindow = \"60s\"");
    let stack = Stack::new(&setup);
    let left = async |after: u64| {
        advance(Duration::from_millis(after)).await;
        let answer = stack.call(request("GET", "/brands", &setup.acme, "")).await;
        answer.header("ratelimit").to_owned()
    };
    assert_eq!(left(0).await, "\"connection\";r=99;t=61");
    assert_eq!(left(60_000).await, "\"connection\";r=99;t=1");
    // The slot is free from 60.06 s on.
    assert_eq!(left(70).await, "\"connection\";r=99;t=1");
    assert_eq!(left(30).await, "\"connection\";r=100;t=0");
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_say_what_the_quota_is_and_what_is_left_of_it() {
    let setup = quota("calls = 100\nwindow = \"60s\"");
    let stack = Stack::new(&setup);
    let first = stack.call(get(&setup.acme)).await;
    assert_eq!(first.header("ratelimit-policy"), "\"connection\";q=100;w=60");
    assert!(
        first.header("ratelimit") == "\"connection\";r=99;t=61",
        "{}",
        first.header("ratelimit")
    );
    let put = stack.call(request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}")).await;
    assert_eq!(
        put.header("ratelimit-policy"),
        "\"connection\";q=100;w=60, \"lists.put\";q=20;w=60"
    );
    assert!(
        put.header("ratelimit").starts_with("\"lists.put\";r=19;t="),
        "{}",
        put.header("ratelimit")
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_say_how_long_it_wants_to_wait() {
    let setup = quota("calls = 1\nwindow = \"10s\"\nmax_wait = \"30s\"");
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme)).await;
    let mut impatient = get(&setup.acme);
    impatient.headers_mut().insert("prefer", "respond-async, wait=3".parse().unwrap());
    assert_eq!(stack.call(impatient).await.code(), "deadline-too-near");
    let mut patient = get(&setup.acme);
    patient.headers_mut().insert("prefer", "wait=20".parse().unwrap());
    assert_eq!(stack.call(patient).await.status.as_u16(), 200);
    let arrived = stack.arrived();
    assert!(arrived.iter().all(|call| call.headers.iter().all(|(name, _)| name != "prefer")));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_gives_its_place_back() {
    let setup = quota("calls = 1\nwindow = \"10s\"\nmax_wait = \"60s\"\ndepth = 2\napp_depth = 2");
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme)).await;
    let wait = |n: u32| {
        let (pipeline, call) = (stack.pipeline.clone(), get(&setup.acme));
        tokio::spawn(async move { (n, pipeline.answer(call).await.status().as_u16()) })
    };
    let (first, second) = (wait(1), wait(2));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(stack.call(get(&setup.acme)).await.code(), "queue-full");
    first.abort();
    assert!(first.await.is_err());
    let third = wait(3);
    let start = Instant::now();
    assert_eq!(second.await.unwrap(), (2, 200), "the place of the first went to the second");
    assert_eq!(start.elapsed().as_millis(), 10_050);
    assert_eq!(third.await.unwrap(), (3, 200));
    assert_eq!(stack.arrived().len(), 3);
}

fn refuse(stack: &Stack, operation: &str, retry_after: Option<&str>) {
    let answer = Faulty::RateLimited { retry_after: retry_after.map(str::to_owned) };
    let when = When { operation: Some(operation.into()), times: Some(1), ..When::default() };
    let effect = Effect { answer: Some(answer), ..Effect::default() };
    stack.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
}

#[tokio::test(start_paused = true)]
async fn a_vendors_429_closes_the_narrowest_pool_of_its_operation_until_its_time() {
    // Nobody waits for as long as a pause lasts: what the vendor said is passed on.
    let setup = quota("calls = 100\nmax_wait = \"500ms\"");
    for (told, seconds) in
        [(Some("7"), 7), (Some("-1"), 1), (Some("soon"), 1), (None, 1), (Some("1000000000"), 300)]
    {
        let stack = Stack::new(&setup);
        refuse(&stack, "lists.put", told);
        let put = || request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}");
        let refused = stack.call(put()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (429, String::new()),
            "the vendor's own"
        );
        assert_eq!(refused.header("retry-after"), seconds.to_string(), "{told:?}");
        assert_eq!(refused.header("proxy-status"), "tollgate; received-status=429");
        assert_eq!(stack.call(get(&setup.acme)).await.status.as_u16(), 200, "others go on");
        if seconds > 2 {
            let held = stack.call(put()).await;
            assert_eq!(held.code(), "vendor-throttled", "{told:?}");
        }
        advance(Duration::from_secs(seconds)).await;
        assert_eq!(stack.call(put()).await.status.as_u16(), 204, "{told:?}");
        let counted = "tollgate_vendor_throttled_total{connection=\"acme-prod\"} 1\n";
        assert!(stack.state.metrics().page().contains(counted), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn shadow_mode_holds_nothing_back_and_says_what_it_would_have_done() {
    let setup = quota("calls = 2\nwindow = \"10s\"\nmax_wait = \"1s\"\nmode = \"shadow\"");
    let stack = Stack::new(&setup);
    for _ in 0..5 {
        assert_eq!(stack.call(get(&setup.acme)).await.status.as_u16(), 200);
    }
    let page = stack.state.metrics().page();
    let refused =
        "tollgate_quota_shadow_total{connection=\"acme-prod\",outcome=\"quota-exhausted\"} 3";
    assert!(page.contains(refused), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_static_share_is_this_process_part_of_the_quota() {
    let setup = quota("calls = 10\nstatic_share = { replicas = 3, index = 0 }");
    let stack = Stack::new(&setup);
    let answer = stack.call(get(&setup.acme)).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"connection\";q=4;w=60");
}

/// A row of one's own that forgets what it costs must not run past the quota.
#[tokio::test(start_paused = true)]
async fn a_row_that_says_nothing_of_its_price_pays_a_slot_and_an_empty_price_is_free() {
    let row = |id: &str, price: &str| {
        let path = format!("id = \"{id}\"\ngroup = \"own\"\nmethod = \"GET\"\npath = \"/{id}\"\n");
        format!("[[operation]]\n{path}access = \"read\"\n{price}\n")
    };
    let rows = format!("extends = \"courier\"\n{}{}", row("paid", ""), row("free", "pools = {}"));
    let file =
        std::env::temp_dir().join(format!("tollgate-{}.toml", tollgate::ids::RandomId::new()));
    std::fs::write(&file, rows).unwrap();
    let head = format!("[vendor]\ncatalog = '{}'\n", file.display());
    let setup = Setup::with_quota(&head, "[quota]\ncalls = 5\nmax_wait = \"1s\"\n");
    let stack = Stack::new(&setup);
    std::fs::remove_file(&file).unwrap();
    let codes = async |path: &str| {
        let calls = (0..8).map(|_| stack.call(request("GET", path, &setup.acme, "")));
        let answers = join_all(calls).await;
        answers.iter().filter(|answer| answer.code() == "quota-exhausted").count()
    };
    assert_eq!((codes("/free").await, codes("/paid").await), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn an_app_can_have_a_limit_of_its_own() {
    let mut setup = quota("calls = 100");
    let limit = format!("{ALL}limit = {{ calls = 2, window = \"60s\" }}\n");
    setup.text = setup.text.replacen(ALL, &limit, 1);
    let stack = Stack::new(&setup);
    let codes = join_all((0..3).map(|_| async { stack.call(get(&setup.acme)).await.code() })).await;
    assert_eq!(codes, ["", "", "app-limited"]);
    assert_eq!(stack.call(get(&setup.umbrella)).await.code(), "");
}

#[tokio::test(start_paused = true)]
async fn bulk_calls_take_what_is_idle_and_are_paced_near_what_others_are_likely_to_want() {
    let setup = quota("calls = 60\nmax_wait_bulk = \"50s\"");
    let stack = Stack::new(&setup);
    let bulk = async || {
        let calls = (0..10).map(|_| async {
            let body = "{\"message\":{\"event\":\"e\"}}";
            stack.call(request("POST", "/bulk", &setup.acme, body)).await.status.as_u16()
        });
        let start = Instant::now();
        assert!(join_all(calls).await.iter().all(|status| *status < 300));
        start.elapsed()
    };
    assert!(bulk().await < Duration::from_secs(1), "nobody else is there");
    for _ in 0..4 {
        stack.call(get(&setup.acme)).await;
        advance(Duration::from_secs(3)).await;
    }
    assert!(bulk().await < Duration::from_secs(1), "46 are free, and few are likely to be wanted");
    let mut took = Vec::new();
    for _ in 0..3 {
        took.push(bulk().await);
    }
    assert!(took[2] > Duration::from_secs(5), "near what is kept, one by one: {took:?}");
    assert_eq!(stack.lines.last()["lane"], "bulk");
    let before = Instant::now();
    stack.call(get(&setup.acme)).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Apps that call as hard as they may, for `windows` windows; the vendor's clock drifts.
async fn saturate(seed: u64, calls: u32, windows: u32) -> (simulator::Report, usize) {
    let setup = quota(&format!("calls = {calls}\nwindow = \"60s\"\nmax_wait = \"50s\""));
    let mut options =
        simulator::Options { seed, limits: Vec::new(), ..simulator::Options::default() };
    options.clock.drift_ppm = if seed.is_multiple_of(2) { 500 } else { -500 };
    options.latency = Some(simulator::Latency::Uniform { min_ms: 5.0, max_ms: 900.0 });
    let stack = Stack::with(&setup, options);
    let end = Instant::now() + Duration::from_secs(60) * windows;
    let busy = (0..calls / 2).map(|n| {
        let (stack, key) = (&stack, &setup.acme);
        async move {
            while Instant::now() < end {
                let answer = stack.call(get(key)).await;
                if answer.status.as_u16() == 429 {
                    let pause = answer.header("retry-after-ms").parse().unwrap_or(1000);
                    sleep(Duration::from_millis(pause + u64::from(n))).await;
                }
            }
        }
    });
    join_all(busy).await;
    let now = stack.courier.now();
    let report = stack.courier.with(|simulator| simulator.largest(now, &token("acme"), None));
    (report, stack.arrived().len())
}

#[tokio::test(start_paused = true)]
async fn no_window_of_the_vendor_holds_more_than_the_quota_and_all_of_it_is_used() {
    for seed in 0..4 {
        let (report, calls) = saturate(seed, 40, 12).await;
        assert!(report.worst() <= 40.0, "seed {seed}: {report:?}");
        // N a window, guard and mean time to first byte.
        let possible = 12.0 * 60.0 / (60.0 + 0.06 + 0.45) * 40.0;
        assert!(calls as f64 >= 0.98 * possible, "seed {seed}: {calls} of {possible}");
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes: cargo test --release --test gateway -- --ignored"]
async fn a_hundred_thousand_calls_through_the_stack_never_break_the_quota() {
    let mut all = 0;
    for seed in 0..20 {
        let (report, calls) = saturate(seed, 100, 52).await;
        assert!(report.worst() <= 100.0, "seed {seed}: {report:?}");
        all += calls;
    }
    assert!(all >= 100_000, "{all}");
}

/// When the vendor counts three calls of a quota of one in 10 s. The second one, which is told late
/// by `word`, has its slot after 10.05 s; its caller looks `picked_up` after the start, and a new
/// socket takes `dial` from then on.
async fn counted(word: &str, picked_up: Duration, dial: Duration) -> Vec<Instant> {
    let vendor = "hard_limit = \"10s\"\nidle = \"1s\"\n[server]\ndeadline = \"600s\"";
    let quota = "calls = 1\nwindow = \"10s\"\nmax_wait = \"500s\"\ndepth = 9\napp_depth = 9";
    let front = Front::new(Front::setup(vendor, quota), Double::new(false));
    let key = &front.setup.acme;
    assert_eq!(front.get(key, "first").await.status().as_u16(), 200);
    let patch = request("PATCH", &format!("/profiles/{word}"), key, "{}");
    let mut second = Box::pin(front.start(patch));
    assert!(second.as_mut().now_or_never().is_none());
    let third = tokio::spawn(front.get(key, "third"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(front.waiting("acme-prod"), 2);
    sleep(picked_up - Duration::from_secs(1)).await;
    *front.double.hold.lock().unwrap() = Some(Stage::Tcp).filter(|_| !dial.is_zero());
    let second = tokio::spawn(second);
    sleep(dial).await;
    front.double.go_on();
    second.await.unwrap();
    assert_eq!(third.await.unwrap().status().as_u16(), 200);
    let counted = front.double.counted_at.lock().unwrap().clone();
    assert_eq!(counted.len(), 3);
    counted
}

fn all_a_window_apart(counted: &[Instant]) -> bool {
    counted.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(10))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_late_is_not_counted_after_its_slot_assumes() {
    let counted = counted("late", Duration::from_secs(14), Duration::from_secs(4)).await;
    assert!(all_a_window_apart(&counted), "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_slot_was_taken_too_long_ago_is_sent_on_another() {
    let counted = counted("good", Duration::from_secs(31), Duration::ZERO).await;
    assert!(all_a_window_apart(&counted), "{counted:?}");
}
