//! What a schedule is made of: the quota, the fleet's habits, the network, the faults to come.

use std::time::Duration;

use super::super::super::Moment;
use super::super::super::tests::random::Random;
use super::mutation::Mutation;

#[derive(Clone, Copy, Debug)]
pub(super) enum Habit {
    /// So many calls always wait.
    Backlog(usize),
    /// A call each so many seconds, at random.
    Poisson(f64),
    Silent,
}

/// How messages fare: seconds on the way, the part that is lost, the part of requests that run
/// much later, and by how much at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) takes: f64,
    pub(super) lost: f64,
    pub(super) late: f64,
    pub(super) latest: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Kill(usize),
    Stop(usize),
    Start(usize),
    /// Nothing passes between a replica and the store.
    Cut(usize, f64),
    Freeze(usize, f64),
    FreezeBeforeWrite(usize, f64),
    Outage(f64),
    /// For so long, messages take up to so long.
    Slow(f64, f64),
    SlowReplies(f64, f64),
    Flush,
    EmptyRestart,
    RestartWithData,
    /// What a failover at that moment would find.
    Snapshot,
    Failover,
    OldPrimary,
    TimeStep(f64),
    Limit(u32),
    Burst(usize, usize),
    Load(usize, Habit),
}

#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) mutation: Mutation,
    pub(super) calls: u32,
    /// The calls of a narrow pool inside.
    pub(super) child: Option<u32>,
    pub(super) block: u32,
    pub(super) window: Duration,
    pub(super) hard_limit: Duration,
    pub(super) lease: Duration,
    pub(super) habits: Vec<Habit>,
    pub(super) weights: Vec<u32>,
    /// Which apps call at which replica.
    pub(super) apps: Vec<Vec<u32>>,
    /// Each app has a backlog, and is served by what the ledger says is its share.
    pub(super) fair: bool,
    pub(super) network: Network,
    pub(super) skew: i64,
    /// Seconds.
    pub(super) length: f64,
    pub(super) faults: Vec<(f64, Fault)>,
    /// Answers take so long, in seconds; a part of them never come.
    pub(super) answers: (f64, f64),
    pub(super) never: f64,
    pub(super) slow: f64,
    pub(super) unsent: f64,
    /// The part of connects that take long.
    pub(super) slow_connects: f64,
}

pub(super) const CALM: Network = Network { takes: 0.001, lost: 0.0, late: 0.0, latest: 0.0 };

pub(super) fn seconds(length: f64) -> Duration {
    Duration::from_secs_f64(length)
}

pub(super) fn at(seconds: f64) -> Moment {
    Moment::from(Duration::from_secs_f64(seconds))
}

impl Scene {
    /// Saturated replicas without a fault, of one pool and one app.
    pub(super) fn plain(replicas: usize, calls: u32, seed: u64) -> Self {
        Self {
            seed,
            mutation: Mutation::Faithful,
            calls,
            child: None,
            block: 1,
            window: seconds(60.0),
            hard_limit: seconds(60.0),
            lease: seconds(20.0),
            habits: vec![Habit::Backlog(calls as usize); replicas],
            weights: vec![1],
            apps: vec![vec![0]; replicas],
            fair: false,
            network: CALM,
            skew: 200,
            length: 600.0,
            faults: Vec::new(),
            answers: (0.5, 2.5),
            never: 0.0,
            slow: 0.0,
            unsent: 0.0,
            slow_connects: 0.0,
        }
    }

    /// The limits of the pools when the wide one's is so much.
    pub(super) fn limits(&self, calls: u32) -> Vec<u32> {
        std::iter::once(calls).chain(self.child.map(|child| child.min(calls))).collect()
    }

    /// Q.
    pub(super) fn trace(&self) -> f64 {
        (self.lease + self.window + self.hard_limit).as_secs_f64()
    }

    /// A short schedule of everything.
    pub(super) fn random(seed: u64) -> Self {
        let mut dice = Random::new(seed ^ 0xFA17);
        let replicas = 1 + size(&mut dice, 8);
        let window = *dice.pick(&[5.0, 10.0, 20.0]);
        let hard_limit = *dice.pick(&[4.0, 10.0, 20.0]);
        let block = if dice.chance(0.15) { 2 + u32::from(dice.chance(0.5)) * 2 } else { 1 };
        let calls =
            block * (4 + u32::try_from(dice.below(if block > 1 { 8 } else { 20 })).unwrap());
        let mut scene = Self::plain(replicas, calls, seed);
        (scene.window, scene.hard_limit) = (seconds(window), seconds(hard_limit));
        scene.lease = seconds(*dice.pick(&[5.0, 5.0, 10.0, 20.0]));
        scene.block = block;
        scene.child = (block == 1 && dice.chance(0.3)).then(|| 1 + calls / 5);
        scene.weights = vec![1, 3, 2];
        scene.apps =
            (0..replicas).map(|_| vec![below(&mut dice, 3), below(&mut dice, 3)]).collect();
        scene.habits = (0..replicas).map(|_| habit(&mut dice)).collect();
        scene.network = Network {
            takes: 0.002,
            lost: if dice.chance(0.5) { 0.0 } else { dice.between(0.0, 0.1) },
            late: if dice.chance(0.5) { 0.0 } else { 0.01 },
            latest: scene.trace() * 0.9,
        };
        scene.answers = (0.05, 2.5_f64.min(hard_limit * 0.9));
        (scene.never, scene.slow, scene.unsent) = (0.02, 0.02, 0.03);
        scene.slow_connects = 0.02;
        scene.length = 2.5 * scene.trace() + dice.between(20.0, 60.0);
        let many = 1 + dice.below(8);
        for _ in 0..many {
            let when = dice.between(2.0, scene.length * 0.8);
            scene.add(when, &mut dice);
        }
        scene
    }

    fn add(&mut self, when: f64, dice: &mut Random) {
        let who = size(dice, self.habits.len());
        let cut = dice.between(1.0, 1.5 * self.lease.as_secs_f64() + 20.0);
        let mut put = |after: f64, fault| self.faults.push((when + after, fault));
        match dice.below(18) {
            0 => put(0.0, Fault::Kill(who)),
            1 => put(0.0, Fault::Stop(who)),
            2 => {
                for (turn, node) in (0..self.habits.len()).enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "eight replicas")]
                    put(turn as f64 * 4.0, Fault::Stop(node));
                }
            }
            3 => put(0.0, Fault::Cut(who, cut)),
            4 => put(0.0, Fault::Outage(cut)),
            5 => put(0.0, Fault::Slow(cut, dice.between(0.1, 3.0))),
            6 => put(0.0, Fault::SlowReplies(cut, dice.between(0.5, 6.0))),
            7 => put(0.0, Fault::Flush),
            8 => put(0.0, Fault::EmptyRestart),
            9 => put(0.0, Fault::RestartWithData),
            10 | 11 => {
                put(-dice.between(0.3, 30.0_f64.min(when - 1.0)), Fault::Snapshot);
                put(0.0, Fault::Failover);
                if dice.chance(0.3) {
                    // Sooner than any real one: a state that rests for less was not replaced.
                    let back = dice.between(3.0, 2.0 * self.lease.as_secs_f64() + 60.0);
                    put(back, Fault::OldPrimary);
                }
            }
            12 => {
                // Steps back and forth within one sync are beyond what the ledger can see.
                let sign = if self.seed.is_multiple_of(2) { 1.0 } else { -1.0 };
                put(0.0, Fault::TimeStep(sign * dice.pick(&[3600.0, 30.0, 1.0, 0.4])));
            }
            13 => {
                let lower = (self.calls / 2 / self.block).max(1) * self.block;
                put(0.0, Fault::Limit(lower));
                put(dice.between(5.0, 40.0), Fault::Limit(self.calls));
            }
            14 => put(0.0, Fault::Burst(who, 1 + size(dice, 30))),
            15 => put(0.0, Fault::Freeze(who, cut)),
            16 => {
                let long = self.hard_limit.as_secs_f64() * dice.between(0.1, 0.5);
                put(0.0, Fault::FreezeBeforeWrite(who, long));
            }
            _ => put(0.0, Fault::Load(who, habit(dice))),
        }
    }
}

fn size(dice: &mut Random, below: usize) -> usize {
    usize::try_from(dice.below(below as u64)).unwrap()
}

fn below(dice: &mut Random, below: u64) -> u32 {
    u32::try_from(dice.below(below)).unwrap()
}

fn habit(dice: &mut Random) -> Habit {
    match dice.below(6) {
        0..=2 => Habit::Backlog(1 + size(dice, 12)),
        3 => Habit::Poisson(dice.between(0.3, 5.0)),
        4 => Habit::Poisson(45.0),
        _ => Habit::Silent,
    }
}
