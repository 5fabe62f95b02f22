//! Rules of the protocol are needed: without one, some schedule is over the limit.

use super::mutation::Mutation;
use super::safety::{run, worst};
use super::scene::Scene;
use super::trials::scene;

fn is_over(scene: Scene) -> bool {
    let (found, limit) = worst(&run(scene));
    found > limit
}

/// The first seed whose schedule is over the limit with the rule broken, and not by the rules.
fn caught(mutation: Mutation) -> Option<u64> {
    (0..20).find(|seed| {
        let scene = scene(mutation, *seed);
        let by_the_rules = Scene { mutation: Mutation::Faithful, ..scene.clone() };
        assert!(!is_over(by_the_rules), "{mutation:?}, seed {seed}");
        is_over(scene)
    })
}

#[test]
fn each_broken_rule_is_caught_and_none_where_all_are_kept() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        match caught(mutation) {
            Some(seed) => println!("{mutation:?}: caught at seed {seed}"),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
