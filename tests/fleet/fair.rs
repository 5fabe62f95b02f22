//! Fair shares and quick answers, when each app comes through one gateway only.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::answers::Answers;
use crate::clients::{Load, Tally};
use crate::form::{CALLS, Form};
use crate::rig::{Fleet, GATEWAYS, Plan};
use crate::store::Sharing;

async fn fleet(form: Form, apps: &[(&str, &str)]) -> Fleet {
    let answers = Answers::Quick.latency(&form);
    Fleet::start(&Plan { form, sharing: Sharing::Redis, answers, clocks: false, apps }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "needs redis-server"]
async fn apps_that_come_through_one_gateway_each_get_equal_shares() {
    let form = Form::chosen();
    let fleet =
        fleet(form, &[("a", "interactive"), ("b", "interactive"), ("c", "interactive")]).await;
    let tally = Tally::new();
    let mut clients = JoinSet::new();
    // Unlike numbers of clients: it is not they that make the shares equal.
    for (app, number) in [120, 60, 40].into_iter().enumerate() {
        for _ in 0..number {
            let caller = fleet.caller(app, app);
            clients.spawn(caller.flood(0, Load::Always, form.window, tally.clone()));
        }
    }
    let (from, end) = (form.windows(1.0), form.windows(6.0));
    sleep_until(tally.start + end).await;
    clients.shutdown().await;
    let mut served = [0.0; GATEWAYS];
    for call in tally.calls().iter().filter(|call| call.outcome == "200") {
        if call.at + call.took >= from {
            served[call.app] += 1.0;
        }
    }
    let (sum, squares): (f64, f64) =
        (served.iter().sum(), served.iter().map(|calls| calls * calls).sum());
    let jain = sum * sum / (served.len() as f64 * squares);
    println!("served {served:?}, Jain's index {jain:.4}");
    assert!(jain >= 0.99, "{served:?}: {jain}");
    assert!(sum >= 4.5 * f64::from(CALLS), "{served:?}");
    assert!(fleet.vendor.counted().highest <= f64::from(CALLS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "needs redis-server"]
async fn an_interactive_call_hardly_waits_beside_bulk_on_the_other_gateways() {
    let form = Form::chosen();
    let fleet = fleet(form, &[("page", "interactive"), ("import", "bulk")]).await;
    let tally = Tally::new();
    let mut clients = JoinSet::new();
    for number in 0..120 {
        let caller = fleet.caller(1 + number % 2, 1);
        clients.spawn(caller.flood(0, Load::Always, form.window, tally.clone()));
    }
    // 16 calls in a window, whether or not the earlier ones are answered.
    let every = form.windows(1.0 / 16.0);
    for number in 0..16 * 5 {
        let (mut caller, tally) = (fleet.caller(0, 0), tally.clone());
        clients.spawn(async move {
            sleep_until(tally.start + form.windows(1.0) + every * number).await;
            caller.call(&tally).await;
        });
    }
    sleep_until(tally.start + form.windows(6.5)).await;
    clients.shutdown().await;
    let calls = tally.calls();
    let mut waits: Vec<Duration> = { calls.iter() }
        .filter(|call| call.app == 0 && call.outcome == "200")
        .map(|call| call.took.saturating_sub(form.answer))
        .collect();
    waits.sort();
    let refused = calls.iter().filter(|call| call.app == 0 && call.outcome != "200").count();
    let bulk = calls.iter().filter(|call| call.app == 1 && call.outcome == "200").count();
    assert!(!waits.is_empty(), "no interactive call was answered");
    let p99 = waits[(waits.len() - 1) * 99 / 100];
    println!(
        "{} interactive calls, {refused} refused, p50 {:?}, p99 {p99:?}, beside {bulk} of bulk",
        waits.len(),
        waits[waits.len() / 2]
    );
    assert!(p99 <= Duration::from_secs(3) && refused == 0, "{p99:?}, {refused} refused");
    assert!(fleet.vendor.counted().highest <= f64::from(CALLS));
}
