//! Tollgate: a gateway between a company's applications and the Courier API.
//!
//! `ARCHITECTURE.md` tells the life of a request and names the module for every "where is X?".
//! Start reading at [`pipeline`].
#![forbid(unsafe_code)]

pub mod address;
pub mod admin;
pub mod admission;
pub mod app;
pub mod cache;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod descriptors;
pub mod document;
pub mod edge;
pub mod error;
pub mod flight;
pub mod headers;
pub mod hosts;
pub mod identity;
pub mod ids;
pub mod paths;
pub mod pipeline;
pub mod quota;
pub mod record;
pub mod secret;
pub mod server;
pub mod stage;
pub mod state;
pub mod telemetry;
pub mod terminal;
pub mod tls;
pub mod tokens;
pub mod units;
pub mod waiter;
pub mod words;
