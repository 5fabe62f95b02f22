//! One application of the demo: the scenario, over and over, at a gentle pace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::scenario::{STEPS, Step};
use super::summary::Calls;
use crate::clock::Instant;

/// Two applications with one list each stay below Courier's 20 list writes a minute.
const PACE: Duration = Duration::from_millis(200);

type Variables = BTreeMap<&'static str, String>;

/// Calls until `stop`, and at least until each step was done once.
pub(super) async fn run(
    app: &'static str,
    gateway: SocketAddr,
    key: String,
    stop: CancellationToken,
) -> Calls {
    let client = Client::new(gateway, key);
    let mut calls = Calls::default();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 1_u32.. {
        let mut variables =
            Variables::from([("app", app.to_owned()), ("round", round.to_string())]);
        for step in STEPS {
            if round > 1 && stop.is_cancelled() {
                return calls;
            }
            pace.tick().await;
            let start = Instant::now();
            let result = call(&client, step, &mut variables).await;
            calls.add(step.operation, start.elapsed(), result);
        }
    }
    calls
}

/// Makes the call of `step` and checks its answer.
async fn call(client: &Client, step: &Step, variables: &mut Variables) -> Result<(), String> {
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
    if let Some((pointer, variable)) = step.takes {
        let text = json.pointer(pointer).and_then(Value::as_str);
        variables.insert(
            variable,
            text.ok_or_else(|| format!("nothing at {pointer}: {}", said()))?.to_owned(),
        );
    }
    if let Some((pointer, wanted)) = step.holds {
        let wanted = fill(wanted, variables);
        let there =
            json.pointer(pointer).ok_or_else(|| format!("nothing at {pointer}: {}", said()))?;
        let text = there.as_str().map_or_else(|| there.to_string(), str::to_owned);
        if wanted != "*" && wanted != text {
            return Err(format!("{text} at {pointer} instead of {wanted}"));
        }
    }
    Ok(())
}

fn fill(template: &str, variables: &Variables) -> String {
    variables.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}
