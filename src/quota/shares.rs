//! Shares: how many slots of a connection each app may hold.
//!
//! Slots that are taken together come free together, for ever. Served first come first, an app with
//! a call now and then would wait half a window behind a noisy one. So each app has a weighted
//! max-min share of the slots by its demand, with a little headroom for those that want less than
//! their part: the slots that the others leave free for its next call.
//!
//! The functions here are arithmetic on a list of claims; nothing is remembered.

/// Slots of headroom for an app, at the least.
const HEADROOM_LEAST: f64 = 2.0;
/// Headroom as a part of what the app holds.
const HEADROOM_PART: f64 = 0.1;
/// All headroom together, as a part of the slots: what it keeps free is not used.
const HEADROOM_ALL: f64 = 1.0 / 25.0;

/// What one app holds and wants, in slots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    /// Its weight among the apps.
    pub weight: f64,
    /// Slots in use or resting for it.
    pub held: f64,
    /// Slots that its waiting calls would take if only this connection's slots were short.
    pub waiting: f64,
    /// Slots kept for calls that are likely to come soon.
    pub expects: f64,
    /// The result: how many slots it may hold.
    pub target: f64,
}

impl Claim {
    /// Slots that the others leave to it.
    #[must_use]
    pub fn shortfall(&self) -> f64 {
        (self.target - self.held).max(0.0)
    }
}

/// Fills in the targets of all claims on `slots` slots.
pub fn divide(slots: f64, claims: &mut [Claim]) {
    let weights: f64 = claims.iter().map(|c| c.weight).sum();
    if weights <= 0.0 {
        return;
    }
    let unit = slots / weights;
    let (mut unclaimed, mut wanted) = (0.0, 0.0);
    for claim in claims.iter_mut() {
        let part = unit * claim.weight;
        claim.target = claim.held + claim.waiting;
        if claim.target < part {
            unclaimed += part - claim.target;
            wanted += headroom(claim);
        }
    }
    // Headroom can't be more than fair parts leave over, nor eat into the use of the whole. Rounded
    // down: a fraction of a slot would keep a whole one free.
    let all = (slots * HEADROOM_ALL).floor().min(unclaimed);
    let scale = if wanted > all { all / wanted } else { 1.0 };
    for claim in claims.iter_mut() {
        if claim.target < unit * claim.weight {
            claim.target += claim.expects.max(scale * headroom(claim));
        }
    }
    let level = level(slots, unit, claims);
    for claim in claims.iter_mut() {
        claim.target = claim.target.min(level * claim.weight);
    }
}

fn headroom(claim: &Claim) -> f64 {
    HEADROOM_LEAST.max(claim.held * HEADROOM_PART)
}

/// The level λ at which Σ min(want, λ·weight) is all the slots; infinite if all wants fit.
///
/// Newton's method: the sum is concave and piecewise linear in λ, so that from below it comes to
/// the solution in at most as many steps as there are different wants, and usually in two or three.
fn level(slots: f64, from: f64, claims: &[Claim]) -> f64 {
    let mut level = from;
    for _ in 0..=claims.len() {
        let (mut met, mut open) = (0.0, 0.0);
        for claim in claims {
            if claim.target <= level * claim.weight {
                met += claim.target;
            } else {
                open += claim.weight;
            }
        }
        if open <= 0.0 {
            return f64::INFINITY;
        }
        let next = (slots - met) / open;
        if next <= level {
            break;
        }
        level = next;
    }
    level
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(weight: f64, held: f64, waiting: f64) -> Claim {
        Claim { weight, held, waiting, ..Claim::default() }
    }

    fn targets(slots: f64, claims: &mut [Claim]) -> Vec<f64> {
        divide(slots, claims);
        claims.iter().map(|c| c.target).collect()
    }

    #[test]
    fn backlogged_apps_share_by_weight() {
        let mut claims = [claim(3.0, 0.0, 500.0), claim(1.0, 90.0, 10.0), claim(1.0, 0.0, 40.0)];
        assert_eq!(targets(100.0, &mut claims), [60.0, 20.0, 20.0]);
    }

    #[test]
    fn what_a_modest_app_leaves_goes_to_the_noisy_one_less_its_headroom() {
        let mut claims = [claim(1.0, 90.0, 40.0), claim(1.0, 6.0, 0.0)];
        assert_eq!(targets(100.0, &mut claims), [92.0, 8.0]);
    }

    #[test]
    fn headroom_of_all_is_at_most_a_twenty_fifth() {
        let mut claims = vec![claim(1.0, 50.0, 40.0)];
        claims.resize(10, claim(1.0, 4.0, 0.0));
        let targets = targets(100.0, &mut claims);
        assert!((targets[0] - (100.0 - 36.0 - 4.0)).abs() < 1e-9, "{targets:?}");
    }

    #[test]
    fn what_is_expected_of_an_app_is_kept_up_to_its_part() {
        let mut claims = [claim(1.0, 90.0, 40.0), claim(1.0, 6.0, 0.0)];
        claims[1].expects = 20.0;
        assert_eq!(targets(100.0, &mut claims), [74.0, 26.0]);
        claims[1].expects = 80.0;
        assert_eq!(targets(100.0, &mut claims), [50.0, 50.0]);
    }

    #[test]
    fn one_app_alone_gets_all_it_wants() {
        let mut claims = [claim(1.0, 95.0, 40.0)];
        assert_eq!(targets(100.0, &mut claims), [100.0]);
    }

    proptest! {
        #[test]
        fn targets_fit_and_nobody_below_the_part_is_cut(
            raw in proptest::collection::vec((1..10u32, 0..60u32, 0..200u32, 0..40u32), 1..30),
            slots in 1..500u32,
        ) {
            let slots = f64::from(slots);
            let mut claims: Vec<_> = raw.iter().map(|&(w, h, q, expects)| Claim {
                expects: f64::from(expects), ..claim(f64::from(w), f64::from(h), f64::from(q))
            }).collect();
            divide(slots, &mut claims);
            let sum: f64 = claims.iter().map(|c| c.target).sum();
            prop_assert!(sum <= slots + 1e-6, "{sum} of {slots}");
            let weights: f64 = claims.iter().map(|c| c.weight).sum();
            let wants: f64 = claims.iter().map(|c| c.held + c.waiting).sum();
            if wants >= slots {
                prop_assert!(sum >= slots - 1e-6, "{sum} of {slots}: work is left undone");
            }
            for c in &claims {
                let part = slots * c.weight / weights;
                prop_assert!(c.target >= part.min(c.held + c.waiting) - 1e-6, "{c:?}");
            }
        }
    }
}
