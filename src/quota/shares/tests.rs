//! Shares are fair, and the kept sums say the same as a list of all claims.

use proptest::prelude::*;

use super::*;

fn claim(weight: f64, held: f64, waiting: f64) -> Claim {
    Claim { weight, held, waiting, ..Claim::default() }
}

fn divided(slots: f64, list: &[Claim]) -> Division {
    let mut claims = Claims::default();
    list.iter().for_each(|claim| claims.add(claim));
    claims.divide(slots)
}

fn targets(slots: f64, list: &[Claim]) -> Vec<f64> {
    let shares = divided(slots, list);
    list.iter().map(|claim| shares.target(claim)).collect()
}

/// The same worked out from a list of all claims, which remembers nothing.
fn targets_from_scratch(slots: f64, claims: &[Claim]) -> Vec<f64> {
    let unit = slots / claims.iter().map(|c| c.weight).sum::<f64>();
    let below = |c: &&Claim| c.wants() < unit * c.weight;
    let unclaimed: f64 = claims.iter().filter(below).map(|c| unit * c.weight - c.wants()).sum();
    let wanted: f64 = claims.iter().filter(below).map(Claim::headroom).sum();
    let all = (slots * HEADROOM_ALL).floor().min(unclaimed);
    let scale = if wanted > all { all / wanted } else { 1.0 };
    let asks = |c: &Claim| match below(&c) {
        true => c.wants() + c.expects.max(scale * c.headroom()),
        false => c.wants(),
    };
    let mut level = unit;
    for _ in 0..=claims.len() {
        let (met, open): (Vec<&Claim>, Vec<&Claim>) =
            claims.iter().partition(|c| asks(c) <= level * c.weight);
        let open: f64 = open.iter().map(|c| c.weight).sum();
        if open <= 0.0 {
            level = f64::INFINITY;
            break;
        }
        level = level.max((slots - met.into_iter().map(asks).sum::<f64>()) / open);
    }
    claims.iter().map(|c| asks(c).min(level * c.weight)).collect()
}

#[test]
fn backlogged_apps_share_by_weight() {
    let claims = [claim(3.0, 0.0, 500.0), claim(1.0, 90.0, 10.0), claim(1.0, 0.0, 40.0)];
    assert_eq!(targets(100.0, &claims), [60.0, 20.0, 20.0]);
}

#[test]
fn what_a_modest_app_leaves_goes_to_the_noisy_one_less_its_headroom() {
    let claims = [claim(1.0, 90.0, 40.0), claim(1.0, 6.0, 0.0)];
    assert_eq!(targets(100.0, &claims), [92.0, 8.0]);
}

#[test]
fn headroom_of_all_is_at_most_a_twenty_fifth() {
    let mut claims = vec![claim(1.0, 50.0, 40.0)];
    claims.resize(10, claim(1.0, 4.0, 0.0));
    let targets = targets(100.0, &claims);
    assert!((targets[0] - (100.0 - 36.0 - 4.0)).abs() < 1e-9, "{targets:?}");
}

#[test]
fn what_is_expected_of_an_app_is_kept_up_to_its_part() {
    let mut claims = [claim(1.0, 90.0, 40.0), claim(1.0, 6.0, 0.0)];
    claims[1].expects = 20.0;
    assert_eq!(targets(100.0, &claims), [74.0, 26.0]);
    claims[1].expects = 80.0;
    assert_eq!(targets(100.0, &claims), [50.0, 50.0]);
}

#[test]
fn one_app_alone_gets_all_it_wants() {
    let claims = [claim(1.0, 95.0, 40.0)];
    assert_eq!(targets(100.0, &claims), [100.0]);
}

impl Claims {
    /// Whether the same claims were counted.
    pub(in super::super) fn assert_same(&self, other: &Self) {
        assert_eq!(self.by_wants, other.by_wants);
        assert_eq!(self.by_held, other.by_held);
        let sums = |claims: &Self| (claims.apps, claims.weights, claims.waiting);
        assert_eq!(sums(self), sums(other));
    }
}

proptest! {
    #[test]
    fn targets_fit_and_nobody_below_the_part_is_cut(
        raw in proptest::collection::vec((1..10u32, 0..60u32, 0..200u32, 0..40u32), 1..30),
        slots in 1..500u32,
    ) {
        let slots = f64::from(slots);
        let claims: Vec<_> = raw.iter().map(|&(w, h, q, expects)| Claim {
            expects: f64::from(expects), ..claim(f64::from(w), f64::from(h), f64::from(q))
        }).collect();
        let targets = targets(slots, &claims);
        let sum: f64 = targets.iter().sum();
        prop_assert!(sum <= slots + 1e-6, "{sum} of {slots}");
        let weights: f64 = claims.iter().map(|c| c.weight).sum();
        let wants: f64 = claims.iter().map(|c| c.held + c.waiting).sum();
        if wants >= slots {
            prop_assert!(sum >= slots - 1e-6, "{sum} of {slots}: work is left undone");
        }
        for (c, target) in claims.iter().zip(targets) {
            let part = slots * c.weight / weights;
            prop_assert!(target >= part.min(c.held + c.waiting) - 1e-6, "{c:?}");
        }
    }

    /// Few different claims, so that equal ones come and go, and wants are just at the part.
    #[test]
    fn kept_sums_say_in_every_step_what_a_list_of_all_claims_says(
        steps in proptest::collection::vec(
            (0..8usize, 1..4u32, 0..12u32, 0..12u32, 0..3u32, any::<bool>()), 1..60,
        ),
        slots in 0..60u32,
    ) {
        let (slots, mut list, mut claims) = (f64::from(slots), Vec::new(), Claims::default());
        for (at, weight, held, waiting, expects, comes) in steps {
            if comes || list.len() <= at {
                let expects = f64::from(expects) * 1.3;
                let claim = Claim {
                    expects, ..claim(f64::from(weight), f64::from(held), f64::from(waiting))
                };
                claims.add(&claim);
                list.push(claim);
            } else {
                claims.remove(&list.swap_remove(at));
            }
            let shares = claims.divide(slots);
            let mut short = 0.0;
            for (claim, target) in list.iter().zip(targets_from_scratch(slots, &list)) {
                prop_assert!((shares.target(claim) - target).abs() < 1e-9, "{claim:?}: {target}");
                short += (target - claim.held).max(0.0);
            }
            prop_assert!((shares.shortfall - short).abs() < 1e-9, "{shares:?}: {short}");
            prop_assert_eq!(claims.waiting(), list.iter().map(|c| c.waiting).sum::<f64>());
        }
    }

    /// As many different claims as are looked at one by one, and more.
    #[test]
    fn a_trial_divides_as_if_the_app_had_come_with_it_and_leaves_all_as_it_was(
        raw in proptest::collection::vec((1..4u32, 0..40u32, 0..40u32, 0..3u32), 1..80),
        wants in 0..200u32,
        is_counted in any::<bool>(),
        slots in 1..400u32,
    ) {
        let slots = f64::from(slots);
        let mut list: Vec<_> = raw.iter().map(|&(w, h, q, expects)| Claim {
            expects: f64::from(expects) * 1.3, ..claim(f64::from(w), f64::from(h), f64::from(q))
        }).collect();
        let mut claims = Claims::default();
        let first = list[0];
        list.iter().skip(usize::from(!is_counted)).for_each(|claim| claims.add(claim));
        let before = claims.divide(slots);
        let trial = Claim { waiting: f64::from(wants), ..first };
        let counted = is_counted.then_some(&first);
        let shares = claims.divide_for(slots, counted, &trial);
        list[0] = trial;
        for (claim, target) in list.iter().zip(targets_from_scratch(slots, &list)) {
            prop_assert!((shares.target(claim) - target).abs() < 1e-9, "{claim:?}: {target}");
        }
        prop_assert_eq!(format!("{before:?}"), format!("{:?}", claims.divide(slots)));
        let mut same = Claims::default();
        list[0] = first;
        list.iter().skip(usize::from(!is_counted)).for_each(|claim| same.add(claim));
        same.assert_same(&claims);
        prop_assert_eq!(format!("{before:?}"), format!("{:?}", same.divide(slots)));
    }
}
