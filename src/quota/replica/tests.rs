//! Replicas and a model of the ledger in virtual time.

mod blocks;
mod broken;
mod calls;
mod faults;
mod figures;
mod fleet;
mod lanes;
mod ledger;
mod messages;
mod mutation;
mod mutations;
mod node;
mod places;
mod safety;
mod scene;
mod state;
mod store;
mod targets;
mod trials;
mod world;

use super::super::moment::Moment;
use super::Replica;

impl Replica {
    fn asked_for(&self) -> Option<u64> {
        self.asked.map(|asked| asked.seq)
    }

    fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    fn lease_end(&self) -> Moment {
        self.lease_end
    }

    /// For broken rules only.
    fn set_lease_end(&mut self, at: Moment) {
        self.lease_end = at;
    }
}
