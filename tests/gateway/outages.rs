//! A vendor that is dead: refusals without a queue, few further calls, and back in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use simulator::{Effect, Fault, Latency, When, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::BoxFuture;
use tollgate::error::Cause;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;
use tollgate::upstream::{Dial, Line};

use crate::support::{Setup, request};

/// Lines to the simulator that can be taken down.
struct Lines {
    courier: simulator::Server,
    up: AtomicBool,
    tries: AtomicUsize,
}

impl Dial for Lines {
    fn dial(&self, _: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        if !self.up.load(Ordering::SeqCst) {
            return Box::pin(async { Err("connection refused".into()) });
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let courier = self.courier.clone();
        tokio::spawn(async move { courier.serve_io(theirs).await });
        Box::pin(async move { Ok(Line { io: Box::new(TokioIo::new(ours)), h2: false }) })
    }
}

struct Outage {
    lines: Arc<Lines>,
    state: State,
    pipeline: Pipeline,
    setup: Setup,
}

impl Outage {
    fn new() -> Self {
        let setup = Setup::new("");
        let courier = simulator::Server::new(simulator::Options::default());
        let lines =
            Arc::new(Lines { courier, up: AtomicBool::new(false), tries: AtomicUsize::new(0) });
        let config = setup.config();
        let telemetry = Telemetry::new(AccessLog::none());
        let state = State::with_dial(&config, telemetry, lines.clone()).unwrap();
        let pipeline = Pipeline::build(&config, &state);
        Self { lines, state, pipeline, setup }
    }

    async fn get(&self, key: &str) -> tollgate::pipeline::Response {
        self.pipeline.answer(request("GET", "/brands", key, "")).await
    }

    fn tries(&self) -> usize {
        self.lines.tries.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_fifth_failure_calls_are_refused_at_once_over_all_connections() {
    let outage = Outage::new();
    let first = outage.get(&outage.setup.acme).await;
    assert_eq!((first.status().as_u16(), outage.tries()), (502, 4), "3 further attempts");
    assert_eq!(first.headers()["tollgate-outcome"], "not-sent");
    assert_eq!(outage.get(&outage.setup.acme).await.status().as_u16(), 502);
    assert_eq!((outage.tries(), outage.state.hosts_down()), (5, 1));
    let start = Instant::now();
    for key in [&outage.setup.acme, &outage.setup.umbrella] {
        let refused = outage.get(key).await;
        assert_eq!(refused.status().as_u16(), 503);
        assert_eq!(refused.headers()["retry-after"], "2");
        assert_eq!(refused.headers()["tollgate-outcome"], "not-sent");
        let proxy = refused.headers()["proxy-status"].to_str().unwrap();
        assert!(proxy.ends_with("details=\"vendor-down\""), "{proxy}");
    }
    assert_eq!((outage.tries(), start.elapsed()), (5, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_dead_vendor_is_asked_by_one_probe_at_a_time_and_found_back_within_10_s() {
    let outage = Outage::new();
    for _ in 0..2 {
        outage.get(&outage.setup.acme).await;
    }
    let down = Instant::now();
    let before = outage.tries();
    for _ in 0..600 {
        advance(Duration::from_millis(100)).await;
        outage.get(&outage.setup.acme).await;
    }
    let probes = outage.tries() - before;
    let seconds = usize::try_from(down.elapsed().as_secs()).unwrap();
    // A probe every 2 s, and the further attempts that the budget gives.
    assert!(probes <= seconds / 2 + 3 * (seconds / 10 + 1), "{probes} in {seconds} s");
    outage.lines.up.store(true, Ordering::SeqCst);
    let back = Instant::now();
    while outage.get(&outage.setup.acme).await.status().as_u16() != 200 {
        advance(Duration::from_millis(100)).await;
    }
    assert!(back.elapsed() <= Duration::from_secs(10), "{:?}", back.elapsed());
    assert_eq!(outage.state.hosts_down(), 0);
    for _ in 0..10 {
        assert_eq!(outage.get(&outage.setup.umbrella).await.status().as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn extra_calls_to_a_dead_vendor_stay_within_the_budget() {
    let outage = Outage::new();
    let start = Instant::now();
    let mut tries = Vec::new();
    for _ in 0..100 {
        let before = outage.tries();
        outage.get(&outage.setup.acme).await;
        tries.push((start.elapsed(), outage.tries() - before));
        advance(Duration::from_millis(500)).await;
    }
    for (at, _) in &tries {
        let window = |then: &&(Duration, usize)| {
            then.0 <= *at && at.saturating_sub(then.0) < Duration::from_secs(9)
        };
        let extra: usize =
            tries.iter().filter(window).map(|(_, tries)| tries.saturating_sub(1)).sum();
        assert!(extra <= 4, "{extra} extra calls before {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_takes_calls_and_never_answers_is_dead_too() {
    let setup = Setup::new("[vendor]\nfirst_byte = \"1s\"\n");
    let stack = crate::support::Stack::new(&setup);
    let hole = Effect { wire: Some(Wire::BlackHole), ..Effect::default() };
    stack.courier.with(|simulator| {
        simulator.faults().add(Fault { id: None, when: When::default(), effect: hole });
    });
    let bulk = || request("POST", "/bulk", &setup.acme, "{\"message\":{\"event\":\"e\"}}");
    for _ in 0..5 {
        assert_eq!(stack.call(bulk()).await.code(), "vendor-timeout");
    }
    assert_eq!(stack.call(bulk()).await.code(), "vendor-down");
    assert_eq!(stack.arrived().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_may_have_been_made_is_not_denied_when_the_vendor_dies() {
    let outage = Outage::new();
    outage.lines.up.store(true, Ordering::SeqCst);
    let lost = Effect {
        latency: Some(Latency::Fixed { ms: 1_000.0 }),
        wire: Some(Wire::Cut { after: 0 }),
        ..Effect::default()
    };
    outage.lines.courier.with(|simulator| {
        simulator.faults().add(Fault { id: None, when: When::default(), effect: lost });
    });
    let body =
        "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";
    let send = request("POST", "/send", &outage.setup.acme, body);
    let dies = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        outage.lines.up.store(false, Ordering::SeqCst);
    };
    let (reply, ()) = tokio::join!(outage.pipeline.answer(send), dies);
    assert!(outage.tries() > 1, "it was tried again");
    assert_eq!(reply.headers()["tollgate-outcome"], "unknown");
    let arrived = outage.lines.courier.with(|simulator| simulator.journal().entries().count());
    assert_eq!(arrived, 1);
}
