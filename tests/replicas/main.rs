//! The ledger's script on a real Redis: it answers as the model does that the simulated fleet uses.
//!
//! `cargo test --test replicas -- --ignored`; needs `redis-server`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod redis;

/// The model, where its files find what they name.
#[path = "."]
mod replica {
    pub use tollgate::quota::replica::*;

    #[expect(dead_code, reason = "the broken rules are the simulation's")]
    #[path = "."]
    pub mod tests {
        #[path = "../../src/quota/replica/tests/ledger.rs"]
        mod ledger;
        #[path = "../../src/quota/replica/tests/mutation.rs"]
        mod mutation;
        #[path = "../../src/quota/replica/tests/places.rs"]
        mod places;
        #[path = "../../src/quota/replica/tests/state.rs"]
        mod state;
        #[path = "../../src/quota/replica/tests/targets.rs"]
        mod targets;

        mod callers;
        mod script;
    }
}
