//! The data of one environment as reads and writes see it.

use crate::state::State;
use crate::time::Micros;

/// The data of one environment, and for a while what it was before a late write.
pub(crate) struct LaggingState {
    current: State,
    /// Reads before this caller's time see the copy.
    before: Option<(Micros, Box<State>)>,
}

impl LaggingState {
    /// Data that no write is late for.
    pub(crate) const fn new(state: State) -> Self {
        Self { current: state, before: None }
    }

    /// The data as the latest write left it.
    pub(crate) const fn current(&self) -> &State {
        &self.current
    }

    /// The data for a call at `now`.
    ///
    /// A write that takes effect late leaves a copy of what was. Reads see the copy until then.
    pub(crate) fn view(&mut self, now: Micros, read: bool, late_ms: Option<u64>) -> &mut State {
        self.before.take_if(|(until, _)| *until <= now);
        if let (Some(ms), false) = (late_ms, read) {
            let until = now + Micros::from_millis(ms);
            match &mut self.before {
                Some((end, _)) => *end = until.max(*end),
                none => *none = Some((until, Box::new(self.current.clone()))),
            }
        }
        match &mut self.before {
            Some((_, old)) if read => old,
            _ => &mut self.current,
        }
    }
}
