//! The gateway as a whole: the real stack, in process or on sockets, before the simulated Courier.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cache;
mod callers;
mod clients;
mod copies;
mod fresh;
mod operations;
mod process;
mod quota;
mod restart;
mod rig;
mod sockets;
mod support;
mod vendor;
