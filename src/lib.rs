//! Tollgate: a gateway between a company's applications and the Courier API.
//!
//! `ARCHITECTURE.md` tells the life of a request and names the module for every "where is X?".
//! Start reading at [`pipeline`].
#![forbid(unsafe_code)]

pub mod address;
pub mod admin;
pub mod admission;
pub mod app;
pub mod breaker;
pub mod cache;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod descriptors;
pub mod detached;
pub mod document;
pub mod error;
pub mod headers;
pub mod history;
pub mod hosts;
pub mod idempotency;
pub mod identity;
pub mod ids;
pub mod ingress;
pub mod me;
pub mod numbers;
pub mod paths;
pub mod pipeline;
pub mod proof;
pub mod quota;
pub mod record;
pub mod retry;
pub mod runtime;
pub mod secret;
pub mod server;
pub mod single_flight;
pub mod targets;
pub mod telemetry;
pub mod terminal;
pub mod tls;
pub mod units;
pub mod upstream;
pub mod usage;
pub mod wiring;
pub mod words;
