//! What the applications of the demo do: one goes through the scenario at a gentle pace, one sends
//! as fast as it is let.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::board::DemoApp;
use super::client::DemoClient;
use super::scenario::{DemoStep, STEPS};
use crate::clock::Instant;

/// Below the quota, and below Courier's 20 list writes a minute.
pub(super) const PACE: Duration = Duration::from_millis(300);

/// Calls that the noisy application always has under way.
pub(super) const AT_ONCE: u32 = 25;

/// An application whose call failed goes on after this.
const AGAIN: Duration = Duration::from_millis(500);

type Variables = BTreeMap<&'static str, String>;

/// Goes through the scenario until `stop`, and at least once.
pub(super) async fn modest(app: Arc<DemoApp>, client: DemoClient, stop: CancellationToken) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = STEPS.iter().find(|step| step.operation == "brands.list");
    let look = look.expect("the scenario lists brands");
    for round in 1_u32.. {
        let mut variables = variables(&app, round);
        for step in STEPS {
            if round > 1 && stop.is_cancelled() {
                return;
            }
            pace.tick().await;
            make(&app, &client, step, &mut variables).await;
            // As each page of an application does: it is what the cache is for.
            make(&app, &client, look, &mut variables).await;
        }
    }
}

/// Sends until `stop`, without a pause.
pub(super) async fn noisy(app: Arc<DemoApp>, client: DemoClient, stop: CancellationToken) {
    let send = STEPS.iter().find(|step| step.operation == "messages.send");
    let send = send.expect("the scenario sends messages");
    let client = Arc::new(client);
    let mut lines = JoinSet::new();
    for line in 0..AT_ONCE {
        let (app, client, stop) = (app.clone(), client.clone(), stop.clone());
        lines.spawn(async move {
            // Each send is another one: two that are equal would be one sent twice.
            let mut round = line;
            while !stop.is_cancelled() {
                make(&app, &client, send, &mut variables(&app, round)).await;
                round += AT_ONCE;
            }
        });
    }
    lines.join_all().await;
}

fn variables(app: &DemoApp, round: u32) -> Variables {
    Variables::from([("app", app.name.to_owned()), ("round", round.to_string())])
}

async fn make(app: &DemoApp, client: &DemoClient, step: &DemoStep, variables: &mut Variables) {
    let start = Instant::now();
    let result = call(client, step, variables).await;
    let failed = result.is_err();
    app.add(step.operation, start.elapsed(), result);
    if failed {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Makes the call of `step` and checks its answer.
async fn call(
    client: &DemoClient,
    step: &DemoStep,
    variables: &mut Variables,
) -> Result<(), String> {
    let (path, body) = (fill(step.path, variables), fill(step.body, variables));
    let (status, answer) = client.call(step.method, &path, body).await?;
    let said = || String::from_utf8_lossy(&answer).chars().take(200).collect::<String>();
    if !step.statuses.contains(&status.as_u16()) {
        return Err(format!("{status} instead of {:?}: {}", step.statuses, said()));
    }
    if step.takes.is_none() && step.holds.is_none() {
        return Ok(());
    }
    let json: Value =
        serde_json::from_slice(&answer).map_err(|error| format!("{error}: {}", said()))?;
    let at = |pointer: &str| {
        json.pointer(pointer).ok_or_else(|| format!("nothing at {pointer}: {}", said()))
    };
    if let Some((pointer, variable)) = step.takes {
        variables.insert(variable, text(at(pointer)?));
    }
    if let Some((pointer, wanted)) = step.holds {
        let (wanted, there) = (fill(wanted, variables), text(at(pointer)?));
        if wanted != "*" && wanted != there {
            return Err(format!("{there} at {pointer} instead of {wanted}"));
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fill(template: &str, variables: &Variables) -> String {
    variables.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}
