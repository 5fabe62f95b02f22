//! Several gateways and what can go wrong with them: real programs, a real Redis, and a simulated
//! Courier that counts each call in every kind of window.
//!
//! `cargo test --test fleet -- --ignored --test-threads 1 --nocapture`; needs `redis-server`,
//! `redis-sentinel`, `redis-cli` and `faketime`. `TOLLGATE_BIN` is the program to test, by default
//! the one of this build. With `TOLLGATE_FLEET=long` the quota is the real one of a minute; the table
//! of `docs/replicas.md` is what that prints.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod acts;
mod answers;
mod clients;
mod clock;
mod every;
mod fair;
mod faults;
mod form;
mod gateway;
mod outcome;
mod proxy;
mod rig;
mod store;
mod vendor;

#[path = "../redis/servers.rs"]
mod servers;
