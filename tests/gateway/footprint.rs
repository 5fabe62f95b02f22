//! What a hit costs, counted in allocations.

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use futures_util::FutureExt;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use tollgate::cache::layer::Caching;
use tollgate::call::{self, BoxFuture, Buffered, BufferedCall, Caller, Reply};
use tollgate::clock::Instant;
use tollgate::headers::Habits;
use tollgate::numbers::{AppIx, ConnectionIx};
use tollgate::pipeline::Pipeline;
use tollgate::record::Record;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::AccessLog;
use tower::{Layer, Service};

use crate::cache::get;
use crate::support::{Pipes, Setup, Stack};

const HITS: usize = 1000;

/// What the `HITS` calls of `hit` allocate each, the middle one, and all of them.
fn count(mut hit: impl FnMut()) -> (u64, AllocationInfo) {
    let each: Vec<AllocationInfo> = (0..HITS).map(|_| measure(&mut hit)).collect();
    let mut counts: Vec<u64> = each.iter().map(|info| info.count_total).collect();
    counts.sort_unstable();
    let mut all = AllocationInfo::default();
    each.into_iter().for_each(|info| all += info);
    (counts[HITS / 2], all)
}

/// A vendor that has one answer.
fn vendor(_: BufferedCall) -> BoxFuture {
    let mut reply = Reply::new(call::full("{\"results\":[]}"));
    let headers = reply.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("date", "Tue, 24 Nov 2026 12:00:00 GMT".parse().unwrap());
    headers.insert("x-amzn-requestid", "6c1f0d0a".parse().unwrap());
    Box::pin(async move { Ok(reply) })
}

fn read(stack: &Stack, setup: &Setup) -> BufferedCall {
    let catalog = setup.config().catalog;
    let operation = catalog.operations().iter().find(|row| &*row.id == "brands.list").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("accept", "application/json".parse().unwrap());
    headers.insert("user-agent", "a client".parse().unwrap());
    BufferedCall {
        caller: Caller {
            tenant: "acme".parse().unwrap(),
            app: "acme".parse().unwrap(),
            key: "acme".to_owned().try_into().unwrap(),
            connection: "acme-prod".parse().unwrap(),
            ix: ConnectionIx::default(),
            app_ix: AppIx::default(),
            makes_keys: true,
            asks_cache: true,
        },
        operation: operation.clone(),
        method: Method::GET,
        target: "/brands?cursor=a".parse().unwrap(),
        headers,
        body: Buffered::default(),
        deadline: Instant::now() + std::time::Duration::from_secs(50),
        own_deadline: false,
        wait_until: None,
        collects: None,
        before_send: None,
        habits: Habits::default(),
        proof: Arc::default(),
        notes: Arc::default(),
        record: Record::open(stack.state.telemetry().clone()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_allocates_at_most_twice_in_the_layer_of_the_cache() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let shelf = Arc::new(stack.state.shelf(&setup.config()));
    let layer = Caching::layer(shelf, stack.state.flights().clone());
    let mut stage = layer.layer(tower::service_fn(vendor));
    let reply = stage.call(read(&stack, &setup)).await.unwrap();
    reply.into_body().collect().await.unwrap();
    let mut calls: Vec<BufferedCall> = (0..HITS).map(|_| read(&stack, &setup)).collect();
    let records: Vec<_> = calls.iter().map(|call| call.record.clone()).collect();
    let mut replies = Vec::with_capacity(HITS);
    let (middle, all) = count(|| {
        let call = calls.pop().unwrap();
        replies.push(stage.call(call).now_or_never().expect("a hit waits for nobody").unwrap());
    });
    for reply in replies {
        assert_eq!(reply.into_body().collect().await.unwrap().to_bytes().len(), 14);
    }
    let word = |record: &Arc<Record>| record.read(|marks| marks.cached.map(|c| c.as_str()));
    assert!(records.iter().all(|record| word(record) == Some("hit")));
    println!("{middle} in the middle one, {all:?}");
    assert!(middle <= 2, "{middle}");
    // The store's own upkeep, once in 64 reads.
    assert!(all.count_total <= (2 * HITS + HITS / 5) as u64, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_hit_allocates_as_often_as_is_known() {
    let setup = Setup::new("");
    let config = setup.config();
    let courier = simulator::Server::new(simulator::Options::default());
    let pipes = Arc::new(Pipes { courier, opened: std::sync::Mutex::new(0) });
    let telemetry = Telemetry::new(AccessLog::none());
    let state = State::with_dial(&config, telemetry, pipes).unwrap();
    let pipeline = Pipeline::build(&config, &state);
    let reply = pipeline.answer(get("/brands", &setup.acme)).await;
    reply.into_body().collect().await.unwrap();
    let mut requests: Vec<_> = (0..HITS).map(|_| get("/brands", &setup.acme)).collect();
    let (middle, all) = count(|| {
        let request = requests.pop().unwrap();
        let reply = pipeline.answer(request).now_or_never().expect("a hit waits for nobody");
        assert!(reply.headers()["cache-status"].to_str().unwrap().starts_with("tollgate; hit"));
        // Its line and metrics are written here.
        drop(reply);
    });
    println!("{middle} in the middle one, {all:?}");
    assert!(middle <= WHOLE_HIT, "{middle}, {all:?}");
}

/// Record, answer fields, metrics and the kept call included; the access line, the server and the
/// socket are not.
const WHOLE_HIT: u64 = 10;
