//! How many refused acts are written. Anybody can be refused as often as they like.

use std::time::Duration;

use crate::clock::Instant;

/// Lines in a second.
const MOST: u32 = 20;
/// From the first of them on.
const SECOND: Duration = Duration::from_secs(1);

/// The refused acts of the last second.
#[derive(Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

/// What becomes of a refused act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it is written.
    pub(super) is_written: bool,
    /// Those before it that were not, if nobody has said so yet.
    pub(super) left_out: u64,
}

impl Pace {
    pub(super) fn take(&mut self, now: Instant) -> Verdict {
        let over = self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND);
        if over {
            (self.since, self.written) = (Some(now), 0);
        }
        if self.written >= MOST {
            self.left_out += 1;
            return Verdict { is_written: false, left_out: 0 };
        }
        self.written += 1;
        Verdict { is_written: true, left_out: std::mem::take(&mut self.left_out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Written and left out are all there were, and no second has more lines than its bound.
        #[test]
        fn every_refused_act_is_written_or_counted(
            pauses in prop::collection::vec(0_u64..200, 1..400),
        ) {
            let (mut pace, mut at, mut moments) = (Pace::default(), Instant::now(), Vec::new());
            let mut said = 0;
            for pause in &pauses {
                at += Duration::from_millis(*pause);
                let verdict = pace.take(at);
                said += verdict.left_out;
                if verdict.is_written {
                    moments.push(at);
                    said += 1;
                }
            }
            prop_assert_eq!(said + pace.left_out, pauses.len() as u64);
            // Two windows that follow each other may fill one second from both sides.
            for (n, first) in moments.iter().enumerate() {
                let second = moments[n..].iter().take_while(|at| **at - *first < SECOND);
                prop_assert!(second.count() <= 2 * MOST as usize);
            }
        }
    }
}
