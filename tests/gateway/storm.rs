//! The quota through the whole stack in bad weather: bursts, Poisson arrivals, slow and lost answers,
//! limits that change, restarts that keep their state; the vendor's clock drifts and the vendor counts.

use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use simulator::{Effect, Fault, Latency, When, Wire};
use tokio::time::{Instant, advance, sleep, sleep_until};
use tollgate::config::Config;
use tollgate::ids::RandomId;
use tollgate::pipeline::Pipeline;

use crate::support::{Setup, Stack, request, token};

const WINDOW: Duration = Duration::from_secs(10);

struct Storm {
    setup: Setup,
    stack: Option<Stack>,
    dice: Rng,
    most: u32,
    sent: usize,
}

fn fault(probability: f64, wire: Option<Wire>, latency: Option<Latency>) -> Fault {
    let when = When { probability: Some(probability), ..When::default() };
    Fault { id: None, when, effect: Effect { wire, latency, ..Effect::default() } }
}

impl Storm {
    fn begin(seed: u64, most: u32) -> Self {
        let dir = std::env::temp_dir().join(format!("tollgate-storm-{}", RandomId::new()));
        let head = format!(
            "[server]\ndeadline = \"15s\"\n[vendor]\nhard_limit = \"20s\"\nfirst_byte = \"20s\"\n[state]\ndir = '{}'\n",
            dir.display()
        );
        let quota = format!("[quota]\ncalls = {most}\nwindow = \"10s\"\nmax_wait = \"9s\"\n");
        let setup = Setup::with_quota(&head, &quota);
        let mut options =
            simulator::Options { seed, limits: Vec::new(), ..simulator::Options::default() };
        options.clock.drift_ppm = if seed.is_multiple_of(2) { 500 } else { -500 };
        options.counters.window_ms = 10_000;
        options.latency = Some(Latency::Exponential { mean_ms: 200.0 });
        options.faults = vec![
            fault(0.02, Some(Wire::BlackHole), None),
            fault(0.02, Some(Wire::Cut { after: 0 }), None),
            fault(0.05, None, Some(Latency::Uniform { min_ms: 1_000.0, max_ms: 18_000.0 })),
        ];
        let stack = Some(Stack::with(&setup, options));
        Self { setup, stack, dice: Rng::with_seed(seed), most, sent: 0 }
    }

    fn stack(&self) -> &Stack {
        self.stack.as_ref().expect("between restarts there is a stack")
    }

    /// So many calls, spread over a window at random or all at once.
    async fn calls(&mut self, n: u64, spread: bool) {
        let start = Instant::now();
        let window = u64::try_from(WINDOW.as_millis()).unwrap();
        let starts: Vec<u64> =
            (0..n).map(|_| if spread { self.dice.u64(..window) } else { 0 }).collect();
        let (stack, setup) = (self.stack(), &self.setup);
        let calls = starts.into_iter().map(|at| async move {
            sleep_until(start + Duration::from_millis(at)).await;
            let key = if at.is_multiple_of(3) { &setup.umbrella } else { &setup.acme };
            stack.call(request("GET", "/messages", key, "")).await;
        });
        join_all(calls).await;
    }

    fn reload(&mut self, calls: u32) {
        let text =
            self.setup.text.replace(&format!("calls = {}", self.most), &format!("calls = {calls}"));
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let stack = self.stack.as_mut().expect("between restarts there is a stack");
        stack.state.reconfigure(&config).unwrap();
        stack.pipeline = Pipeline::build(&config, &stack.state);
    }

    async fn restart(&mut self) {
        let old = self.stack.take().expect("between restarts there is a stack");
        let courier = old.courier.clone();
        drop(old);
        // Calls that were sent go on, and the folder is theirs until then.
        self.stack = loop {
            match Stack::before(&self.setup, courier.clone()) {
                Ok(stack) => break Some(stack),
                Err(_) => advance(Duration::from_secs(1)).await,
            }
        };
    }

    async fn rage(&mut self, windows: u32) {
        let most = u64::from(self.most);
        for _ in 0..windows {
            match self.dice.u64(..6) {
                0 => self.calls(2 * most, false).await,
                1 => self.calls(most, true).await,
                2 => self.calls(3 * most, true).await,
                3 => self.restart().await,
                4 => {
                    let calls = most / 2 + self.dice.u64(..most / 2 + 1);
                    self.reload(u32::try_from(calls).unwrap());
                }
                _ => sleep(Duration::from_millis(self.dice.u64(..12_000))).await,
            }
        }
        self.sent += self.stack().arrived().len();
    }

    fn check(&self, seed: u64) {
        let courier = &self.stack().courier;
        let now = courier.now();
        for tenant in ["acme", "umbrella"] {
            let report = courier.with(|simulator| simulator.largest(now, &token(tenant), None));
            assert!(report.worst() <= f64::from(self.most), "seed {seed}, {tenant}: {report:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_weather_brings_a_call_too_many_to_the_vendor() {
    for seed in 0..4 {
        let mut storm = Storm::begin(seed, 20);
        storm.rage(60).await;
        storm.check(seed);
        assert!(storm.sent > 200, "seed {seed}: {}", storm.sent);
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes: cargo test --test gateway hundred_thousand -- --ignored"]
async fn a_hundred_thousand_calls_in_bad_weather_bring_none_too_many() {
    let (mut sent, mut seed) = (0, 100);
    while sent < 100_000 {
        let mut storm = Storm::begin(seed, 60);
        storm.rage(100).await;
        storm.check(seed);
        sent += storm.sent;
        seed += 1;
    }
}
