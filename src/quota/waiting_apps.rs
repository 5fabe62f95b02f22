//! The apps of which interactive calls wait, counted by their tags: how much stands before a call.
//!
//! Apps that wait all the time have few different tags, and those with equal ones and as many calls
//! are one entry.

use std::collections::BTreeMap;

/// What of an app waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// The start tag of its first call.
    pub(crate) start: u64,
    /// The virtual time from one call to the next.
    pub(crate) stretch: u64,
    /// Slots of the connection's pool that its calls would take if only these were short.
    pub(crate) slots: u32,
}

impl Standing {
    /// Of its slots those that come before a tag; one that starts just then is `sooner` or not.
    pub(crate) fn before(&self, tag: u64, sooner: bool) -> u32 {
        let Some(lead) = tag.checked_sub(self.start) else { return 0 };
        let calls = match sooner {
            true => lead / self.stretch + 1,
            false => lead.div_ceil(self.stretch),
        };
        self.slots.min(u32::try_from(calls).unwrap_or(u32::MAX))
    }
}

/// What of all apps waits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitingApps {
    apps: BTreeMap<Standing, u32>,
}

impl WaitingApps {
    /// Counts an app.
    pub(crate) fn add(&mut self, standing: Standing) {
        *self.apps.entry(standing).or_default() += 1;
    }

    /// Counts one no more that was counted.
    pub(crate) fn remove(&mut self, standing: Standing) {
        let apps = self.apps.entry(standing).or_default();
        *apps = apps.saturating_sub(1);
        if *apps == 0 {
            self.apps.remove(&standing);
        }
    }

    /// Slots that come before a tag, and the apps whose they are.
    pub(crate) fn before(&self, tag: u64, sooner: bool) -> (u32, u32) {
        let (mut slots, mut of) = (0, 0);
        for (standing, apps) in self.apps.iter().take_while(|(one, _)| one.start <= tag) {
            let each = standing.before(tag, sooner);
            slots += each * apps;
            of += if each > 0 { *apps } else { 0 };
        }
        (slots, of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_stands_before_a_tag_is_what_a_look_at_each_app_says(
            steps in proptest::collection::vec((0..8usize, 0..9u64, 1..4u64, 1..5u32, any::<bool>()), 1..40),
            tag in 0..15u64,
            sooner in any::<bool>(),
        ) {
            let (mut list, mut crowd) = (Vec::new(), WaitingApps::default());
            for (at, start, stretch, slots, comes) in steps {
                if comes || list.len() <= at {
                    list.push(Standing { start, stretch, slots });
                    crowd.add(Standing { start, stretch, slots });
                } else {
                    crowd.remove(list.swap_remove(at));
                }
                // Call by call: each starts a stretch after the one before it.
                let before = |one: &Standing| {
                    let starts = (0..u64::from(one.slots)).map(|call| one.start + call * one.stretch);
                    starts.filter(|at| *at < tag || sooner && *at == tag).count()
                };
                let each: Vec<_> = list.iter().map(before).collect();
                let (slots, apps) = crowd.before(tag, sooner);
                prop_assert_eq!(slots as usize, each.iter().sum::<usize>());
                prop_assert_eq!(apps as usize, each.iter().filter(|calls| **calls > 0).count());
            }
        }
    }
}
