//! Each fault, in a fleet of its own.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::clients::Tally;
use crate::faults::{FAULTS, Fault};
use crate::form::Form;
use crate::outcome::{HEAD, Outcome};
use crate::rig::{Fleet, GATEWAYS, Plan};

/// Clients of a fleet.
const CLIENTS: u32 = 200;

/// To start a fleet, and for deeds that take long.
const GUARD: Duration = Duration::from_secs(60);

async fn run(fault: &'static Fault, form: Form) -> Outcome {
    let answers = fault.answers.latency(&form);
    let (sharing, clocks) = (fault.sharing, fault.sets_clocks());
    let apps = &[("billing", "interactive")];
    let mut fleet = Fleet::start(&Plan { form, sharing, answers, clocks, apps }).await;
    let (tally, start) = (Tally::new(), fleet.vendor.now());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let caller = fleet.caller(number as usize % GATEWAYS, 0);
        clients.spawn(caller.flood(number, fault.load, form.window, tally.clone()));
    }
    for (at, act) in fault.acts {
        sleep_until(tally.start + form.windows(*at)).await;
        fleet.perform(*act).await;
    }
    sleep_until(tally.start + form.windows(fault.windows)).await;
    clients.shutdown().await;
    Outcome::of(fault, &form, &fleet.vendor.counted(), start, tally.refusals())
}

/// The same, and a fault that never ends fails.
async fn bounded(fault: &'static Fault, form: Form) -> Outcome {
    let most = form.windows(fault.windows) + GUARD;
    timeout(most, run(fault, form)).await.expect("no deed of it takes for ever")
}

/// Those that `TOLLGATE_FAULT` names by a part of their name; all without it.
fn chosen() -> impl Iterator<Item = &'static Fault> {
    let part = std::env::var("TOLLGATE_FAULT").unwrap_or_default();
    FAULTS.iter().filter(move |fault| fault.name.contains(&part))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "needs redis-server"]
async fn whatever_fails_no_window_holds_more_than_the_quota_and_calls_come_back() {
    let form = Form::chosen();
    // A fleet that panics must not end the others, whose figures are wanted too.
    let outcomes: Vec<_> = stream::iter(chosen())
        .map(|fault| async move { (fault.name, tokio::spawn(bounded(fault, form)).await) })
        .buffered(form.together)
        .collect()
        .await;
    println!("\n{HEAD}");
    let mut problems = Vec::new();
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(outcome) => {
                println!("{}", outcome.row());
                problems.extend(outcome.problems(&form));
            }
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    assert!(!outcomes.is_empty(), "no fault has such a name");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
