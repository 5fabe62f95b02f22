//! When a replica syncs, and when it sleeps.

use std::time::Duration;

use super::super::moment::Moment;
use super::super::pools::Pools;
use super::super::slots::SlotState;
use super::books::PoolBooks;
use super::{Heard, Life, Replica};

/// A request without an answer is given up after this.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Between two syncs of a replica that is not in a hurry.
const USUAL: Duration = Duration::from_secs(1);
/// The same while some replica has less than its target, and before a further try.
pub(super) const HURRIED: Duration = Duration::from_millis(250);
/// The same while slots are to go back.
const AT_ONCE: Duration = Duration::from_millis(5);
/// After a reply, before more waiting calls are a reason to sync.
const ON_DEMAND: Duration = Duration::from_millis(20);
/// Without a call for so long, a replica gives all back and sleeps.
const IDLE: Duration = Duration::from_secs(60);

impl Replica {
    /// When to act: to make a request, or to give the last one up ([`Replica::is_asking`]).
    #[must_use]
    pub fn due(&self) -> Moment {
        self.asked.map_or(self.due, |asked| asked.at + ANSWER_WITHIN)
    }

    /// Calls wait and find no slot, so many now.
    pub fn wants(&mut self, waiting: usize, now: Moment) {
        if self.life == Life::Asleep {
            self.wake(now);
        }
        let grew = self.waiting == 0 || waiting.saturating_mul(4) >= self.waiting * 5;
        if self.life != Life::Awake || waiting == 0 || !grew {
            return;
        }
        self.eager = true;
        let soonest = self.heard.map_or(now, |heard| heard.at + ON_DEMAND);
        self.due = self.due.min(soonest.max(now));
    }

    /// A call found no slot, and doesn't wait for one.
    pub fn misses(&mut self, now: Moment) {
        if self.life == Life::Asleep {
            self.wake(now);
        }
        let soonest = self.heard.map_or(now, |heard| heard.at + HURRIED);
        if self.life == Life::Awake && self.unanswered.is_none() {
            self.due = self.due.min(soonest.max(now));
        }
    }

    /// Time passed that `now` does not show: the lease may be over, and the awaited reply is late.
    pub fn slept(&mut self, now: Moment) {
        self.lease_end = self.lease_end.min(now);
        self.asked = None;
        self.soon(now);
    }

    /// No reply came in time, or nothing could be asked. `dice` is random, from 0 to 1.
    pub fn give_up(&mut self, dice: f64, now: Moment) {
        self.asked = None;
        self.unanswered.get_or_insert(now);
        self.due = now + HURRIED + HURRIED.mul_f64(dice.clamp(0.0, 1.0));
    }

    pub(super) fn wake(&mut self, now: Moment) {
        self.life = Life::Awake;
        self.active = now;
        self.due = now;
    }

    /// Until the next sync.
    pub(super) fn pause(&self, pools: &Pools, now: Moment) -> Duration {
        let terms = self.terms(pools, false, now);
        let owes = |books: &PoolBooks| {
            pools.get(books.shared.id).is_some_and(|pool| books.owes(&pool.slots, &terms))
        };
        if self.pools.iter().any(owes) {
            AT_ONCE
        } else if self.eager {
            ON_DEMAND
        } else if self.life == Life::Leaving
            || self.hurries
            || self.pools.iter().any(PoolBooks::hot)
        {
            HURRIED
        } else {
            USUAL
        }
    }

    /// How long a call of a replica that is gone may matter.
    pub(super) fn trace(&self, pools: &Pools) -> Duration {
        let rests = self.pools.iter().filter_map(|books| pools.get(books.shared.id));
        let longest = rests.map(|pool| {
            let rest = pool.slots.rest();
            rest.hard_limit + rest.window + rest.guard
        });
        self.lease + longest.max().unwrap_or_default()
    }

    /// Whether everything goes back: nothing is in use, and nothing was for long, or the process
    /// ends.
    pub(super) fn is_idle(&mut self, pools: &Pools, waiting: usize, now: Moment) -> bool {
        let (mut in_use, mut rests) = (false, false);
        for pool in self.pools.iter().filter_map(|books| pools.get(books.shared.id)) {
            in_use |= pool.slots.in_use() > 0;
            rests |= pool.slots.resting() > 0;
            let longest = pool.slots.rest().window + pool.slots.rest().guard;
            for state in pool.slots.states() {
                if let SlotState::Resting(until) = state {
                    self.active = self.active.max(until.before(longest).min(now));
                }
            }
        }
        if in_use || waiting > 0 {
            self.active = now;
        }
        match self.life {
            Life::Leaving | Life::Gone => !in_use,
            Life::Asleep | Life::Awake => {
                !in_use && !rests && waiting == 0 && now.since(self.active) >= IDLE
            }
        }
    }
}

impl Heard {
    /// No more than the time since the request ran: it ran after its send, and its reply took most
    /// of what this leaves out.
    pub(super) fn elapsed(&self, now: Moment) -> u64 {
        let since_reply = now.since(self.at) + Duration::from_millis(250);
        let elapsed = now.since(self.asked).min(since_reply);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}
