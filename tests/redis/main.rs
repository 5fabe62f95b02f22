//! The shared store with real programs: `redis-server`, `redis-sentinel` and `redis-cli`.
//!
//! They are ignored by `cargo test`, which needs the toolchain only; `.ci/run` installs the programs
//! and runs all of it. A missing program is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cluster;
mod commands;
mod failures;
mod fresh;
mod gateways;
mod lent;
mod listening;
mod login;
mod overrides;
mod proxy;
mod revoked;
mod rig;
mod secure;
mod senders;
mod sends;
mod sentinel;
mod servers;
#[path = "../gateway/support.rs"]
#[expect(dead_code, reason = "what the other suite needs is here, too")]
mod support;
