//! Which pools have slots whose time is over, without a look at each pool.
//!
//! A tree: the leaves are the moments from which each pool is to be looked at, and every node above
//! is the earlier of the two below it. So a call of one connection costs the same whether its
//! tenant has a pool or thousands.

use super::PoolId;
use crate::quota::Moment;

/// See the module text.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    /// The root at 1, the children of `i` at `2 * i` and `2 * i + 1`; the second half are leaves.
    nodes: Vec<Moment>,
}

impl DueTimes {
    /// From `at` on `pool` is to be looked at.
    pub(crate) fn set(&mut self, pool: PoolId, at: Moment) {
        while usize::from(pool.0) >= self.leaves() {
            self.grow();
        }
        let mut node = self.leaves() + usize::from(pool.0);
        self.nodes[node] = at;
        while node > 1 {
            node /= 2;
            let earlier = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
            if std::mem::replace(&mut self.nodes[node], earlier) == earlier {
                return;
            }
        }
    }

    /// When the first pool is to be looked at.
    pub(crate) fn next(&self) -> Moment {
        self.nodes.get(1).copied().unwrap_or(Moment::NEVER)
    }

    /// The first pool that is to be looked at by now.
    pub(crate) fn first(&self, now: Moment) -> Option<PoolId> {
        let is_due = |node: usize| self.nodes.get(node).is_some_and(|at| *at <= now);
        if !is_due(1) {
            return None;
        }
        let mut node = 1;
        while node < self.leaves() {
            node = if is_due(2 * node) { 2 * node } else { 2 * node + 1 };
        }
        u16::try_from(node - self.leaves()).ok().map(PoolId)
    }

    #[cfg(test)]
    pub(super) fn of(&self, pool: PoolId) -> Moment {
        self.nodes[self.leaves() + usize::from(pool.0)]
    }

    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Twice as many leaves.
    fn grow(&mut self) {
        let known = self.nodes.split_off(self.leaves());
        self.nodes = vec![Moment::NEVER; (4 * known.len()).max(2)];
        for (pool, at) in (0..).map(PoolId).zip(known) {
            self.set(pool, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_pool_that_is_due_is_found_whatever_was_set_before(
            set in prop::collection::vec((0_u16..40, 0_u64..20), 0..80),
            now in 0_u64..20,
        ) {
            let (mut due, mut all) = (DueTimes::default(), [Moment::NEVER; 40]);
            let now = Moment::from_nanos(now);
            for (pool, at) in set {
                let at = Moment::from_nanos(at);
                due.set(PoolId(pool), at);
                all[usize::from(pool)] = at;
                let first = due.first(now).map(|pool| usize::from(pool.0));
                prop_assert_eq!(first, all.iter().position(|at| *at <= now));
            }
        }
    }
}
