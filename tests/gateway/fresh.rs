//! No read is stale after a write: generated from the catalogue, and in random order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use simulator::{Credential, Options};
use tokio::time::{advance, sleep};
use tollgate::catalog::{Access, Catalog, MethodPattern, Operation};
use tollgate::config::Config;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;

use crate::support::{Setup, Stack, request};

/// Every row that can be kept is.
fn everything_on() -> String {
    let ids: Vec<_> =
        kept(&Catalog::courier()).iter().map(|row| format!("\"{}\"", row.id)).collect();
    format!("[cache]\non = [{}]\n", ids.join(", "))
}

fn kept(catalog: &Catalog) -> Vec<Operation> {
    let rows = catalog.operations().iter().filter(|row| row.cache.is_some());
    rows.map(|row| Operation::clone(row)).collect()
}

/// The template with an id for each parameter.
fn target(row: &Operation) -> String {
    let segments = row.path.split('/').map(|part| if part.starts_with('{') { "x1" } else { part });
    segments.collect::<Vec<_>>().join("/")
}

fn method(row: &Operation) -> &str {
    match &row.method {
        MethodPattern::Only(method) => method.as_str(),
        MethodPattern::Any => "POST",
    }
}

/// A gateway before the same simulator that keeps nothing: what it answers is the truth.
fn without_cache(stack: &Stack, setup: &Setup) -> Pipeline {
    let off = setup.text.replace("[cache]\non", "[cache]\noff");
    let config = Config::parse(&off).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let telemetry = Telemetry::new(AccessLog::none());
    let state = State::with_dial(&config, telemetry, stack.pipes.clone()).unwrap();
    Pipeline::build(&config, &state)
}

async fn read(pipeline: &Pipeline, target: &str, key: &str) -> (u16, String, bytes::Bytes) {
    let (head, body) = pipeline.answer(request("GET", target, key, "")).await.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    let versions = head.headers.get("x-simulator-versions");
    (head.status.as_u16(), versions.map_or("", |v| v.to_str().unwrap()).to_owned(), body)
}

#[tokio::test(start_paused = true)]
async fn after_every_write_every_read_is_what_the_vendor_holds() {
    let setup = Setup::new(&everything_on());
    let stack = Stack::new(&setup);
    let truth = without_cache(&stack, &setup);
    let catalog = Catalog::courier();
    let reads: Vec<_> = kept(&catalog).iter().map(target).collect();
    let (mut writes, mut changed) = (0, 0);
    let rows = catalog.operations().iter();
    for write in rows.filter(|row| row.access == Access::Write && !row.clears.is_empty()) {
        // Copies of before, all settled.
        advance(Duration::from_secs(61)).await;
        let mut before = Vec::new();
        for target in &reads {
            before.push(read(&stack.pipeline, target, &setup.acme).await);
        }
        let body = "{\"name\":\"n\",\"list\":{\"name\":\"n\"},\"message\":{\"to\":{\"user_id\":\"x1\"}},\"profile\":{\"a\":1},\"recipients\":[{\"recipientId\":\"x1\"}],\"filter\":{\"operator\":\"EQ\",\"path\":\"a\",\"value\":\"1\"}}";
        stack.call(request(method(write), &target(write), &setup.acme, body)).await;
        writes += 1;
        for (target, before) in reads.iter().zip(before) {
            let answer = read(&stack.pipeline, target, &setup.acme).await;
            let expected = read(&truth, target, &setup.acme).await;
            assert_eq!(answer, expected, "{target} after {}", write.id);
            changed += usize::from(before != answer);
        }
    }
    let hits = stack.lines.all().iter().filter(|line| line["cache"] == "hit").count();
    assert!(writes > 80 && hits > 100 && changed > 20, "{writes} {hits} {changed}");
}

/// Which write, and what becomes of its answer.
const FATES: [&str; 6] = [
    "{}",
    r#"{"late_effect_ms":2500}"#,
    r#"{"latency":{"kind":"fixed","ms":900}}"#,
    r#"{"wire":{"kind":"cut","after":0}}"#,
    r#"{"commit":true,"late_effect_ms":20000,"answer":{"kind":"status","status":504}}"#,
    r#"{"answer":{"kind":"status","status":409},"commit":true}"#,
];

/// How long after its end a write of this fate may have effects that a read need not show.
fn settle(fate: usize) -> Duration {
    Duration::from_secs(if fate == 3 || fate == 4 { 60 } else { 3 })
}

fn version(versions: &str) -> u64 {
    let lists = versions.split([',', ' ']).find_map(|word| word.strip_prefix("lists="));
    lists.map_or(0, |number| number.parse().unwrap())
}

/// A gateway, and the same workspace seen by another token: without latency, without cache.
struct World {
    seed: u64,
    stack: Stack,
    truth: Pipeline,
    setup: Setup,
    /// No read that begins now may show an older version.
    floor: Cell<u64>,
    /// All reads, and those that were hits.
    reads: Cell<(u32, u32)>,
}

impl World {
    fn new(seed: u64) -> Rc<Self> {
        let setup = Setup::new(&everything_on());
        let mut options = Options::seeded(seed);
        let acme = Credential { workspace: "acme".into(), ..Credential::default() };
        options.tokens.insert("token-of-acme".into(), acme.clone());
        options.tokens.insert("token-of-umbrella".into(), acme);
        let slow = simulator::Latency::Uniform { min_ms: 0.0, max_ms: 400.0 };
        let effect = simulator::Effect { latency: Some(slow), ..simulator::Effect::default() };
        let token = Some("token-of-acme".into());
        let when = simulator::When { token, ..simulator::When::default() };
        options.faults.push(simulator::Fault { id: None, when, effect });
        let stack = Stack::with(&setup, options);
        let truth = without_cache(&stack, &setup);
        let (floor, reads) = (Cell::new(0), Cell::new((0, 0)));
        Rc::new(Self { seed, stack, truth, setup, floor, reads })
    }

    async fn read(&self, list: &str) {
        let (at_least, begun) = (self.floor.get(), tokio::time::Instant::now());
        let reply = self.stack.call(request("GET", list, &self.setup.acme, "")).await;
        if reply.status != 200 {
            return;
        }
        let (seen, how) =
            (version(reply.header("x-simulator-versions")), reply.header("cache-status"));
        let (seed, taken) = (self.seed, begun.elapsed());
        assert!(seen >= at_least, "seed {seed}: {list} {seen} < {at_least}: {how}, {taken:?}");
        let (all, hits) = self.reads.get();
        self.reads.set((all + 1, hits + u32::from(how.contains("hit"))));
    }

    async fn write(self: Rc<Self>, fate: usize) {
        let mut write = request("PUT", "/lists/x1", &self.setup.acme, "{\"name\":\"n\"}");
        write.headers_mut().insert("x-simulator-fault", FATES[fate].parse().unwrap());
        self.stack.call(write).await;
        if fate == 0 || fate == 2 {
            self.raise().await;
        }
        tokio::task::spawn_local(async move {
            sleep(settle(fate)).await;
            self.raise().await;
        });
    }

    /// From now on reads must show what the vendor shows now.
    async fn raise(&self) {
        let (_, versions, _) = read(&self.truth, "/lists", &self.setup.umbrella).await;
        self.floor.set(self.floor.get().max(version(&versions)));
    }
}

/// Writers and readers that know nothing of each other, for `steps` steps.
async fn interleave(seed: u64, steps: u32) -> (u32, u32) {
    let world = World::new(seed);
    let dice = Rc::new(RefCell::new(fastrand::Rng::with_seed(seed)));
    let tasks = tokio::task::LocalSet::new();
    for worker in 0..8 {
        let (world, dice) = (world.clone(), dice.clone());
        tasks.spawn_local(async move {
            for _ in 0..steps / 8 {
                let roll = dice.borrow_mut().u64(..);
                sleep(Duration::from_millis(roll % 1_500)).await;
                if worker < 6 || roll % 4 != 0 {
                    world.read(if roll % 2 == 0 { "/lists" } else { "/lists/x1" }).await;
                    continue;
                }
                // Quiet times, in which copies are kept: an unknown outcome rests for a minute.
                sleep(Duration::from_secs(roll % 90)).await;
                world.clone().write(usize::try_from(roll / 7 % 6).unwrap()).await;
            }
        });
    }
    tasks.await;
    world.reads.get()
}

#[tokio::test(start_paused = true)]
async fn no_read_is_stale_after_a_write_and_its_settle_time_in_any_order() {
    let (mut reads, mut hits) = (0, 0);
    for seed in 1..=4 {
        let (all, hit) = interleave(seed, 1_600).await;
        (reads, hits) = (reads + all, hits + hit);
    }
    assert!(reads > 3_000 && hits > 300, "{hits} of {reads}");
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes: cargo test --release --test gateway -- --ignored"]
async fn no_read_is_stale_in_a_hundred_thousand_steps() {
    for seed in 100..120 {
        interleave(seed, 5_000).await;
    }
}
