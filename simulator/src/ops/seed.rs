//! What an environment holds before the first call.

use super::{brands, notifications};
use crate::ids::Ids;
use crate::state::State;
use crate::time::Wall;

/// Puts a default brand and a few templates of both generations. All of them follow from `seed`.
pub(crate) fn seed(state: &mut State, seed: u64, wall: Wall) {
    // These ids have a stream of their own, so that they never shift those of later writes.
    let mut ids = Ids::new(seed ^ 0x5EED);
    brands::seed(state, wall);
    notifications::seed(state, &mut ids, wall);
}
