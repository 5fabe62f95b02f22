//! The gateway as a whole: the real stack, in process or on sockets, before the simulated Courier.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod admin;
mod cache;
mod callers;
mod clients;
mod copies;
mod cors;
mod descriptors;
mod endurance;
mod explain;
mod footprint;
mod fresh;
mod headers;
mod keys;
mod load;
mod metrics;
mod operations;
mod outages;
mod process;
mod quota;
mod refusals;
mod reload;
mod restart;
mod retries;
mod rig;
mod sockets;
mod storm;
mod support;
mod survival;
mod tokens;
mod trace_context;
mod trace_export;
mod traces;
mod uploads;
mod usage;
mod vendor;
