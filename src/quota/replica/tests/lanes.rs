//! Fairness and lanes over gateways: each app comes through some of them only.
//!
//! What is kept for interactive calls at one gateway is not used by bulk at another: about a tenth
//! of the slots. Where bulk saturates the gateway that the interactive calls come through, and others
//! too, these wait for longer than is shown here.

use std::time::Duration;

use super::super::super::Lane;
use super::fleet::{CALLS, Caller, Fleet, Habit};
use super::mutation::Mutation;

const MINUTE: Duration = Duration::from_secs(60);

fn after(callers: Vec<Caller>, seed: u64, mutation: Mutation) -> Fleet {
    let mut fleet = Fleet::new(seed, 3, callers, mutation);
    fleet.run(2 * MINUTE);
    fleet.begin_to_count();
    fleet.run(6 * MINUTE);
    fleet.assert_safe();
    fleet
}

/// Of the calls that six windows allow.
fn used(fleet: &Fleet) -> f64 {
    let sent: u32 = fleet.callers.iter().map(|caller| caller.sent).sum();
    f64::from(sent) / f64::from(CALLS) / (6.0 * 60.0 / 60.425)
}

fn saturating(gate: usize, name: &'static str, lane: Lane) -> Caller {
    Caller::new(gate, name, lane, Habit::Saturating(20))
}

fn interactive(gate: usize, rate: f64) -> Caller {
    Caller::new(gate, "people", Lane::Interactive, Habit::Random(rate))
}

/// Jain's index of what each app had for its weight (Jain, Chiu, Hawe, 1984).
fn jain(parts: &[f64]) -> f64 {
    let (sum, squares) = parts.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
    sum * sum / squares / f64::from(u32::try_from(parts.len()).unwrap())
}

#[test]
fn apps_that_each_come_through_one_gateway_have_parts_by_their_weights() {
    for weights in [[1, 1, 1], [3, 1, 1]] {
        let app =
            |gate: usize, name| saturating(gate, name, Lane::Interactive).weighing(weights[gate]);
        let fleet = after(vec![app(0, "a"), app(1, "b"), app(2, "c")], 1, Mutation::Faithful);
        let part = |caller: &Caller| f64::from(caller.sent) / f64::from(weights[caller.gate]);
        let parts: Vec<f64> = fleet.callers.iter().map(part).collect();
        println!("{weights:?}: {parts:?}, Jain {:.4}, used {:.3}", jain(&parts), used(&fleet));
        assert!(jain(&parts) >= 0.99, "{parts:?}");
        assert!(used(&fleet) >= 0.97, "{}", used(&fleet));
    }
}

fn beside_bulk(rates: &[(usize, f64)], seed: u64, mutation: Mutation) -> Fleet {
    let bulk = [saturating(1, "mass", Lane::Bulk), saturating(2, "mass", Lane::Bulk)];
    let people = rates.iter().map(|(gate, rate)| interactive(*gate, *rate));
    after(people.chain(bulk).collect(), seed, mutation)
}

/// The longest 99th percentile of the interactive callers' waits.
fn p99(fleet: &Fleet) -> Duration {
    let people = fleet.callers.iter().filter(|caller| !caller.waits.is_empty());
    let people = people.filter(|caller| caller.percentile(0) < MINUTE);
    people.take(fleet.callers.len() - 2).map(|caller| caller.percentile(99)).max().unwrap()
}

#[test]
fn interactive_calls_hardly_wait_beside_bulk_that_saturates_other_gateways() {
    let mut worst: Vec<Duration> = Vec::new();
    for rates in [&[(0, 16.0)][..], &[(0, 40.0)]] {
        for seed in 1..4 {
            let fleet = beside_bulk(rates, seed, Mutation::Faithful);
            let median = fleet.callers[0].percentile(50);
            println!("{rates:?}: p50 {median:?}, p99 {:?}, used {:.3}", p99(&fleet), used(&fleet));
            assert!(used(&fleet) >= 0.85, "{}", used(&fleet));
            worst.push(p99(&fleet));
        }
    }
    worst.sort_unstable();
    assert!(worst[worst.len() / 2] <= Duration::from_secs(1), "{worst:?}");
}

#[test]
fn without_the_lanes_in_the_ledger_interactive_calls_wait() {
    let fleet = beside_bulk(&[(0, 16.0)], 1, Mutation::LanesAsOne);
    println!("p99 {:?}", p99(&fleet));
    assert!(p99(&fleet) > Duration::from_secs(1));
}
