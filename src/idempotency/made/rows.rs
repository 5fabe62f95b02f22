//! Which rows of the journal are free. Pure.

use std::collections::HashSet;

/// The rows of the journal that are free.
#[derive(Default)]
pub(super) struct RowNumbers {
    pub(super) free: Vec<u32>,
    pub(super) next: u32,
}

impl RowNumbers {
    pub(super) fn without(taken: &HashSet<u32>) -> Self {
        let next = taken.iter().max().map_or(0, |last| last + 1);
        Self { free: (0..next).filter(|row| !taken.contains(row)).collect(), next }
    }

    pub(super) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}
