//! Limits that refuse and counters that don't.

use serde_json::json;
use simulator::{
    Algorithm, LimitRule, Micros, Options, RefusalBody, Reply, Request, RetryAfter, Simulator,
};

const NOW: Micros = Micros::ZERO;

fn sim() -> Simulator {
    Simulator::new(Options::seeded(3))
}

fn put_list(sim: &mut Simulator, now: Micros) -> Reply {
    sim.handle(now, Request::new("PUT", "/lists/a").token("t").json(&json!({ "name": "A" })))
}

#[test]
fn the_twenty_first_put_of_a_list_is_429_and_says_when_as_switched() {
    for (form, field, value) in [
        (RetryAfter::None, "retry-after", None),
        (RetryAfter::Seconds, "retry-after", Some("50")),
        (RetryAfter::Millis, "retry-after-ms", Some("50000")),
        (RetryAfter::Date, "retry-after", Some("Fri, 02 Jan 2026 03:05:05 GMT")),
    ] {
        let mut sim = sim();
        sim.options().switches.retry_after = form;
        assert!((0..20).all(|_| put_list(&mut sim, NOW).status == 204));
        let refused = put_list(&mut sim, Micros::from_secs(10));
        assert_eq!((refused.status, refused.field(field)), (429, value));
        assert_eq!(put_list(&mut sim, Micros::from_secs(60)).status, 204);
    }
}

#[test]
fn the_body_and_the_headers_of_a_429_are_switches() {
    let mut sim = Simulator::new(Options {
        limits: vec![LimitRule::global(1, 60_000)],
        ..Options::default()
    });
    put_list(&mut sim, NOW);
    let plain = put_list(&mut sim, NOW);
    assert_eq!(
        plain.value(),
        json!({ "message": "Rate limit exceeded", "type": "rate_limit_error" })
    );
    assert!(plain.headers.iter().all(|(name, _)| !name.contains("limit")));
    let switches = &mut sim.options().switches;
    (switches.rate_limit_body, switches.rate_limit_headers) = (RefusalBody::Html, true);
    let page = put_list(&mut sim, Micros::from_secs(10));
    assert_eq!((page.status, page.field("content-type")), (429, Some("text/html")));
    for (name, value) in [("limit", "1"), ("remaining", "0"), ("reset", "50")] {
        assert_eq!(page.field(&format!("x-ratelimit-{name}")), Some(value));
    }
    sim.options().switches.rate_limit_body = RefusalBody::Empty;
    assert_eq!(put_list(&mut sim, Micros::from_secs(10)).body.len(), 0);
}

#[test]
fn a_call_that_never_became_whole_is_counted_but_one_without_an_accepted_token_is_not() {
    let mut sim = sim();
    let send = Request::new("POST", "/send");
    sim.note_broken(NOW, send.clone().token("t"));
    sim.note_broken(NOW, send);
    sim.note_broken(NOW, Request::default());
    assert_eq!(sim.largest(NOW, "t", Some("messages.send")).arrival.total, 1);
    assert_eq!(sim.largest(NOW, "t", None).answer.sliding, 1.0);
    assert_eq!(sim.journal().total(), 3);
}

#[test]
fn a_global_limit_can_be_put_in_force_and_counts_in_fixed_windows_if_asked() {
    let mut sim = sim();
    sim.set_limits(vec![LimitRule { algorithm: Algorithm::Fixed, ..LimitRule::global(2, 60_000) }]);
    let read = |sim: &mut Simulator, s: u64| {
        sim.handle(Micros::from_secs(s), Request::new("GET", "/brands").token("t")).status
    };
    assert_eq!([58, 59, 59, 60, 60, 60].map(|s| read(&mut sim, s)), [200, 200, 429, 200, 200, 429]);
}

#[test]
fn the_largest_count_can_be_asked_for_at_any_time_per_token_and_operation() {
    let mut sim = sim();
    for n in 0..5 {
        sim.handle(
            Micros::from_millis(n),
            Request::new("GET", "/brands").token("t").header("x-simulator-latency-ms", "100"),
        );
    }
    sim.handle(Micros::from_millis(9), Request::new("GET", "/lists").token("t"));
    let all = sim.largest(Micros::from_millis(10), "t", None);
    assert_eq!((all.arrival.sliding, all.answer.sliding), (6.0, 1.0));
    assert_eq!(sim.largest(Micros::from_millis(200), "t", Some("brands.list")).worst(), 5.0);
    assert_eq!(sim.largest(Micros::from_millis(200), "other", None).worst(), 0.0);
}

#[test]
fn a_drifting_vendor_counts_with_its_own_clock() {
    let mut options = Options { limits: vec![LimitRule::global(1, 60_000)], ..Options::default() };
    options.clock.drift_ppm = -100_000;
    let mut sim = Simulator::new(options);
    let read = |sim: &mut Simulator, s: u64| {
        sim.handle(Micros::from_secs(s), Request::new("GET", "/brands").token("t")).status
    };
    assert_eq!([0, 60, 66, 67].map(|s| read(&mut sim, s)), [200, 429, 429, 200]);
}
