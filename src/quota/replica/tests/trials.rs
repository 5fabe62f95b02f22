//! For each rule, the faults that it is about.

use std::time::Duration;

use super::super::super::tests::random::Random;
use super::mutation::Mutation;
use super::scene::{Fault, Habit, Scene};

const SECOND: Duration = Duration::from_secs(1);
const BUSY: Habit = Habit::Backlog(12);

/// A saturated fleet under the faults that the rule is about.
pub(super) fn scene(mutation: Mutation, seed: u64) -> Scene {
    let mut dice = Random::new(seed);
    let mut scene = Scene::plain(3, 24, seed);
    (scene.window, scene.hard_limit, scene.lease) = (20 * SECOND, 10 * SECOND, 10 * SECOND);
    (scene.answers, scene.length) = ((0.05, 2.0), 200.0);
    (scene.never, scene.slow, scene.unsent) = (0.02, 0.1, 0.03);
    scene.habits = vec![BUSY; 3];
    scene.mutation = mutation;
    // The length of a turn: the faults of one are over when the next begins.
    let turn = match mutation {
        Mutation::LeaseFromReply => 45.0,
        Mutation::LostGrantsKept | Mutation::ClaimsAfterLeaseEnd => 70.0,
        Mutation::GapsIgnored => 150.0,
        Mutation::IncarnationIgnored => 100.0,
        Mutation::InUseReportedByItsEnd | Mutation::OwnersTrustedOverAGap => 50.0,
        _ => 28.0,
    };
    for at in 0..6 {
        let when = 12.0 + f64::from(at) * turn + dice.between(0.0, 6.0);
        let who = usize::try_from(dice.below(3)).unwrap();
        if when + turn < 320.0 {
            scene.length = when + turn;
            faults(&mut scene, &mut dice, when, who);
        }
    }
    scene
}

fn faults(scene: &mut Scene, dice: &mut Random, when: f64, who: usize) {
    let cut = dice.between(8.0, 40.0);
    match scene.mutation {
        Mutation::LostGrantsKept => lost_grants(scene, dice, when, who),
        Mutation::ClaimsAfterLeaseEnd => late_claims(scene, dice, when, who),
        Mutation::OwnersTrustedOverAGap => moved_unseen(scene, dice, when),
        Mutation::IncarnationIgnored => lost_tail(scene, dice, when),
        Mutation::GapsIgnored => unseen_gap(scene, dice, when, who),
        Mutation::LeaseFromReply => {
            // Replies take nearly as long as anybody waits for them, then none comes at all.
            scene.faults.push((when, Fault::SlowReplies(4.0, 2.2)));
            scene.faults.push((when + 4.0, Fault::Cut(who, 30.0)));
        }
        Mutation::InUseReportedByItsEnd => {
            // A slot is used again and again within a lease.
            (scene.window, scene.hard_limit, scene.lease) = (5 * SECOND, 4 * SECOND, 20 * SECOND);
            scene.faults.push((when, Fault::Cut(who, 35.0)));
        }
        _ => moving(scene, (when, who, cut)),
    }
}

/// The others, while demand moves, so that slots move.
fn moving(scene: &mut Scene, (when, who, cut): (f64, usize, f64)) {
    let mutation = scene.mutation;
    let mut put = |after: f64, fault| scene.faults.push((when + after, fault));
    put(1.0, Fault::Load((who + 1) % 3, Habit::Silent));
    put(9.0, Fault::Load((who + 1) % 3, BUSY));
    match mutation {
        Mutation::NoFreezeInNewEpoch => {
            put(0.0, Fault::Cut(who, cut));
            put(4.0, Fault::Flush);
        }
        Mutation::EpochNumbersIgnored => {
            put(-8.0, Fault::Snapshot);
            put(-7.0, Fault::Load(who, Habit::Silent));
            put(-2.0, Fault::Load(who, BUSY));
            put(0.0, Fault::Failover);
            put(12.0, Fault::OldPrimary);
        }
        Mutation::TimeAsItIs | Mutation::TimeCappedOnly => {
            put(0.0, Fault::Cut(who, 12.0));
            for step in 0..12 {
                put(f64::from(step), Fault::TimeStep(1.9));
            }
        }
        Mutation::LateRepliesAccepted => {
            put(0.0, Fault::SlowReplies(20.0, 8.0));
            put(3.0, Fault::Load(who, Habit::Silent));
            put(6.0, Fault::Load(who, BUSY));
            put(20.0, Fault::Cut(who, 12.0));
        }
        Mutation::LateRequestsAccepted => {
            (scene.network.late, scene.network.latest) = (0.05, 35.0);
        }
        Mutation::DeadSlotsUsableAtLeaseEnd => put(0.0, Fault::Kill(who)),
        Mutation::StaticShareBesides => put(0.0, Fault::Cut(who, 40.0)),
        Mutation::WritesUnchecked => {
            scene.slow_connects = 0.3;
            put(0.0, Fault::Freeze(who, 30.0));
        }
        _ => {}
    }
}

/// At the end of a long cut, a slot that the replica still has in its books comes free and is
/// granted to it, and the reply is too late.
fn lost_grants(scene: &mut Scene, dice: &mut Random, when: f64, who: usize) {
    let cut = scene.trace() + dice.between(3.0, 10.0);
    let mut put = |after: f64, fault| scene.faults.push((when + after, fault));
    put(0.0, Fault::Cut(who, cut));
    for other in [(who + 1) % 3, (who + 2) % 3] {
        put(cut - dice.between(1.0, 8.0), Fault::Load(other, Habit::Silent));
        put(cut + 8.0, Fault::Load(other, BUSY));
    }
    put(cut - 0.1, Fault::SlowReplies(2.6, 40.0));
}

/// The state is lost just before a replica is back whose slots others had meanwhile.
fn late_claims(scene: &mut Scene, dice: &mut Random, when: f64, who: usize) {
    let cut = scene.trace() + dice.between(3.0, 12.0);
    scene.faults.push((when, Fault::Cut(who, cut)));
    scene.faults.push((when + cut - dice.between(0.0, 0.5), Fault::Flush));
}

/// A connection sleeps when its store is replaced, and is used under the new one for longer than
/// the trace. Then the old one is back, and a replica that never saw the new one is the first there.
fn unseen_gap(scene: &mut Scene, dice: &mut Random, when: f64, who: usize) {
    let back = scene.trace() + dice.between(70.0, 80.0);
    let mut put = |after: f64, fault| scene.faults.push((when + after, fault));
    for node in 0..3 {
        put(-11.0, Fault::Load(node, Habit::Silent));
    }
    // Asleep after a minute.
    put(63.0, Fault::Failover);
    for node in [(who + 1) % 3, (who + 2) % 3] {
        put(back - dice.between(3.0, 8.0), Fault::Load(node, BUSY));
    }
    put(back, Fault::OldPrimary);
    put(back + 0.01, Fault::Load(who, BUSY));
}

/// What a sleeping connection was granted as it woke is lost in a failover.
fn lost_tail(scene: &mut Scene, dice: &mut Random, when: f64) {
    let mut put = |after: f64, fault| scene.faults.push((when + after, fault));
    for node in 0..3 {
        put(0.0, Fault::Load(node, Habit::Silent));
        put(85.1, Fault::Load(node, BUSY));
    }
    put(85.0, Fault::Snapshot);
    put(85.1 + dice.between(1.0, 15.0), Fault::Failover);
}

/// Slots move under a new store, whose replicas end. Then the old one is back, with others.
fn moved_unseen(scene: &mut Scene, dice: &mut Random, when: f64) {
    (scene.lease, scene.slow) = (5 * SECOND, 0.4);
    let mut put = |after: f64, fault| scene.faults.push((when + after, fault));
    put(0.0, Fault::Failover);
    put(1.0, Fault::Stop(0));
    put(1.0, Fault::Stop(1));
    put(dice.between(4.0, 9.0), Fault::Stop(2));
    put(16.0, Fault::OldPrimary);
}
