//! Shares: how many slots of a connection each app may hold.
//!
//! Slots that are taken together come free together, for ever. Served first come first, an app with
//! a call now and then would wait half a window behind a noisy one. So each app has a weighted
//! max-min share of the slots by its demand, with a little headroom for those that want less than
//! their part: the slots that the others leave free for its next call.
//!
//! A decision must not look at each app. So claims are kept in an order, by weight and by what they
//! want, and equal ones are one entry with a count. Shares follow from three numbers: the fair part
//! of a weight, the scale of the headroom, and the level up to which all wants are met. To find
//! them only claims below the level are looked at. What these want fits into the slots, so that few
//! of them differ, however many apps there are.

use std::collections::BTreeMap;

/// Slots of headroom for an app, at the least.
const HEADROOM_LEAST: f64 = 2.0;
/// Headroom as a part of what the app holds.
const HEADROOM_PART: f64 = 0.1;
/// All headroom together, as a part of the slots: what it keeps free is not used.
const HEADROOM_ALL: f64 = 1.0 / 25.0;
/// So few different claims are looked at one by one: to find those of a weight costs more.
const FEW: usize = 32;

/// What one app holds and wants, in slots. None of it is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Claim {
    /// Its weight among the apps, at least 1.
    pub weight: f64,
    /// Slots in use or resting for it.
    pub held: f64,
    /// Slots that its waiting calls would take if only this connection's slots were short.
    pub waiting: f64,
    /// Slots kept for calls that are likely to come soon.
    pub expects: f64,
}

impl Claim {
    fn wants(&self) -> f64 {
        self.held + self.waiting
    }

    fn headroom(&self) -> f64 {
        HEADROOM_LEAST.max(self.held * HEADROOM_PART)
    }
}

/// How the slots are divided.
#[derive(Clone, Copy, Debug)]
pub struct Division {
    /// The fair part of a weight of 1.
    unit: f64,
    /// So much of its headroom has each app below its part.
    scale: f64,
    /// No app has more than this for a weight of 1; infinite if all wants fit.
    level: f64,
    /// Slots that all apps together are short of their targets.
    pub shortfall: f64,
}

impl Default for Division {
    fn default() -> Self {
        Self { unit: 0.0, scale: 1.0, level: f64::INFINITY, shortfall: 0.0 }
    }
}

impl Division {
    /// How many slots an app may hold.
    #[must_use]
    pub fn target(&self, claim: &Claim) -> f64 {
        self.asks(claim).min(self.level * claim.weight)
    }

    /// Slots that the others leave to an app.
    #[must_use]
    pub fn shortfall(&self, claim: &Claim) -> f64 {
        (self.target(claim) - claim.held).max(0.0)
    }

    /// What an app wants, with what is kept for it if it is below its part.
    fn asks(&self, claim: &Claim) -> f64 {
        let wants = claim.wants();
        match wants < self.unit * claim.weight {
            true => wants + claim.expects.max(self.scale * claim.headroom()),
            false => wants,
        }
    }
}

/// A claim as a key: weight, wants, held, expects. Numbers that are not negative have the order of
/// their bits.
type Key = [u64; 4];

fn key(claim: &Claim) -> Key {
    [claim.weight, claim.wants(), claim.held, claim.expects].map(f64::to_bits)
}

fn claim_of(key: &Key) -> Claim {
    let [weight, wants, held, expects] = key.map(f64::from_bits);
    Claim { weight, held, waiting: wants - held, expects }
}

/// The claims of all apps. Sums of whole numbers are exact, in whatever order they come.
#[derive(Debug, Default)]
pub struct Claims {
    by_wants: BTreeMap<Key, f64>,
    /// By weight and by what is held.
    by_held: BTreeMap<[u64; 2], f64>,
    apps: u32,
    weights: f64,
    waiting: f64,
    /// The last division, for so many slots, if nothing has changed since.
    last: Option<(f64, Division)>,
}

impl Claims {
    /// Apps that hold or want something.
    #[must_use]
    pub const fn apps(&self) -> u32 {
        self.apps
    }

    /// Their weights.
    #[must_use]
    pub const fn weights(&self) -> f64 {
        self.weights
    }

    /// Slots that their waiting calls would take.
    #[must_use]
    pub const fn waiting(&self) -> f64 {
        self.waiting
    }

    /// Counts a claim.
    pub fn add(&mut self, claim: &Claim) {
        self.apps += 1;
        self.count(claim, 1.0);
    }

    /// Counts one no more that was counted.
    pub fn remove(&mut self, claim: &Claim) {
        self.apps -= 1;
        self.count(claim, -1.0);
    }

    fn count(&mut self, claim: &Claim, by: f64) {
        self.last = None;
        self.weights += by * claim.weight;
        self.waiting += by * claim.waiting;
        count(&mut self.by_wants, key(claim), by);
        count(&mut self.by_held, [claim.weight, claim.held].map(f64::to_bits), by);
    }

    /// How `slots` slots would be divided if the app whose claim is `counted`, if it has one, came
    /// with `trial`.
    pub fn divide_for(&mut self, slots: f64, counted: Option<&Claim>, trial: &Claim) -> Division {
        let last = self.last;
        counted.inspect(|claim| self.remove(claim));
        self.add(trial);
        let shares = self.shares(slots);
        self.remove(trial);
        counted.inspect(|claim| self.add(claim));
        // All is as it was before.
        self.last = last;
        shares
    }

    /// Divides `slots` slots.
    pub fn divide(&mut self, slots: f64) -> Division {
        if let Some((_, shares)) = self.last.filter(|(before, _)| *before == slots) {
            return shares;
        }
        let shares = self.shares(slots);
        self.last = Some((slots, shares));
        shares
    }

    fn shares(&self, slots: f64) -> Division {
        let mut shares = Division::default();
        if self.weights <= 0.0 {
            return shares;
        }
        shares.unit = slots / self.weights;
        let (mut unclaimed, mut wanted) = (0.0, 0.0);
        self.up_to(shares.unit, |claim, apps| {
            let part = shares.unit * claim.weight;
            if claim.wants() < part {
                unclaimed += apps * (part - claim.wants());
                wanted += apps * claim.headroom();
            }
        });
        // Headroom can't be more than fair parts leave over, nor eat into the use of the whole.
        // Rounded down: a fraction of a slot would keep a whole one free.
        let all = (slots * HEADROOM_ALL).floor().min(unclaimed);
        if wanted > all {
            shares.scale = all / wanted;
        }
        shares.level = self.level(slots, &shares);
        shares.shortfall = self.shortfall(&shares);
        shares
    }

    /// The level λ at which Σ min(asks, λ·weight) is all the slots; infinite if all that is asked
    /// fits.
    ///
    /// Newton's method: the sum is concave and piecewise linear in λ, so that from below it comes
    /// to the solution in at most as many steps as there are different wants, and usually in two or
    /// three.
    fn level(&self, slots: f64, shares: &Division) -> f64 {
        let mut level = shares.unit;
        for _ in 0..=self.apps {
            let (mut met, mut open) = (0.0, self.weights);
            self.up_to(level, |claim, apps| {
                let asks = shares.asks(&claim);
                if asks <= level * claim.weight {
                    met += apps * asks;
                    open -= apps * claim.weight;
                }
            });
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

    /// What all are short of their targets: as if each had its part of the level, less what those
    /// don't ask that ask for less.
    fn shortfall(&self, shares: &Division) -> f64 {
        let level = shares.level;
        let mut sum = if level.is_finite() { self.short_of(level) } else { self.waiting };
        self.up_to(level.min(f64::MAX), |claim, apps| {
            let asks = shares.asks(&claim);
            if level.is_infinite() {
                sum += apps * (asks - claim.wants());
            } else if asks <= level * claim.weight {
                sum += apps * (asks - level * claim.weight);
            }
        });
        sum.max(0.0)
    }

    /// What all hold less than their part of a level.
    fn short_of(&self, level: f64) -> f64 {
        let short = self.weights_of().flat_map(|weight| {
            let part = level * weight;
            let below = [weight.to_bits(), 0]..[weight.to_bits(), part.to_bits()];
            let below = self.by_held.range(below);
            below.map(move |([_, held], apps)| apps * (part - f64::from_bits(*held)))
        });
        short.sum()
    }

    /// Looks at the claims that want no more than their part of a level, and how many apps have
    /// each.
    fn up_to(&self, level: f64, mut look: impl FnMut(Claim, f64)) {
        let mut look = |(key, apps): (&Key, &f64)| look(claim_of(key), *apps);
        let part = |weight: f64| (level * weight).min(f64::MAX).to_bits();
        if self.by_wants.len() <= FEW {
            let fits = |[weight, wants, ..]: &Key| *wants <= part(f64::from_bits(*weight));
            return self.by_wants.iter().filter(|(key, _)| fits(key)).for_each(look);
        }
        for weight in self.weights_of() {
            let (bits, part) = (weight.to_bits(), part(weight));
            let fitting = self.by_wants.range([bits, 0, 0, 0]..=[bits, part, u64::MAX, u64::MAX]);
            fitting.for_each(&mut look);
        }
    }

    /// The different weights.
    fn weights_of(&self) -> impl Iterator<Item = f64> {
        let after = |weight: u64| {
            let next = self.by_held.range([weight, 0]..).next();
            next.map(|([weight, _], _)| *weight)
        };
        std::iter::successors(after(0), move |weight| after(weight + 1)).map(f64::from_bits)
    }
}

/// Counts one more or less of a key; those that are no more are not kept.
fn count<K: Ord + Copy>(counts: &mut BTreeMap<K, f64>, key: K, by: f64) {
    let count = counts.entry(key).or_default();
    *count += by;
    if *count <= 0.0 {
        counts.remove(&key);
    }
}

#[cfg(test)]
mod tests;
