//! Tollgate: a gateway between a company's applications and the Courier API.
//!
//! `ARCHITECTURE.md` tells the life of a request and names the module for every "where is X?".
//! Start reading at [`pipeline`].
//!
//! What is public here is what the program, tests, benches and fuzz targets use. The rest is
//! private, so that the compiler tells what nobody uses.
#![forbid(unsafe_code)]

mod address;
mod admin;
pub mod admission;
pub mod app;
mod audit;
pub mod breaker;
pub mod cache;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
mod credentials;
#[cfg(feature = "demo")]
mod demo;
mod descriptors;
mod detached;
mod digits;
mod document;
pub mod error;
pub mod headers;
mod hex;
pub mod history;
mod hosts;
pub mod idempotency;
pub mod identity;
pub mod ids;
mod ingress;
mod live;
mod local_reply;
mod me;
pub mod numbers;
pub mod overrides;
pub mod paths;
pub mod pipeline;
pub mod proof;
pub mod quota;
pub mod record;
pub mod retry;
pub mod revocations;
pub mod runtime;
mod secret;
pub mod server;
pub mod shared;
mod single_flight;
mod targets;
pub mod telemetry;
mod terminal;
pub mod tls;
mod units;
pub mod upstream;
pub mod usage;
mod wiring;
mod words;
