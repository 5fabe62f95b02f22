//! Random octets of the system's, drawn ahead: one question to the system serves many ids.
//!
//! Each thread has its own. What it holds was given to nobody yet, and is given once.

use std::cell::RefCell;

/// Octets of one draw for one call.
const ONE: usize = 40;

/// Draws of one question: the system gives so much without a pause.
const AHEAD: usize = 64;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { octets: [[0; ONE]; AHEAD], left: 0 }) };
}

struct Drawn {
    octets: [[u8; ONE]; AHEAD],
    left: usize,
}

/// Fresh random octets.
pub(super) fn fresh() -> [u8; ONE] {
    DRAWN.with_borrow_mut(Drawn::next)
}

impl Drawn {
    fn next(&mut self) -> [u8; ONE] {
        if self.left == 0 {
            let all = self.octets.as_flattened_mut();
            getrandom::fill(all).expect("the system has random bytes once it has booted");
            self.left = AHEAD;
        }
        self.left -= 1;
        std::mem::replace(&mut self.octets[self.left], [0; ONE])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_draw_is_given_twice_and_none_is_kept() {
        let draws: HashSet<_> = (0..3 * AHEAD).map(|_| fresh()).collect();
        assert_eq!(draws.len(), 3 * AHEAD);
        assert!(!draws.contains(&[0; ONE]));
        DRAWN.with_borrow(|drawn| {
            assert!(drawn.octets[drawn.left..].iter().all(|given| *given == [0; ONE]));
        });
    }
}
