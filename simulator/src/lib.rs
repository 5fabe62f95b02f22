//! A stand-in for the Courier API, with state, ids, paging, errors, limits and faults.
//!
//! [`Simulator`] is the pure core: it takes a request and the time, and returns an answer.
//! [`Server`] puts it on sockets.
//!
//! It shares nothing with the gateway. Its catalogue (`operations.json`), clock and counters are
//! its own, so that a mistake in one can't hide the same mistake in the other.
//!
//! `README.md` says what is like Courier, what is simpler, and what nobody knows.
#![forbid(unsafe_code)]

mod admin;
mod broken;
mod call;
mod caller;
mod catalogue;
mod clock;
mod counters;
mod exchange;
mod execute;
mod fault;
mod faults;
mod gzip;
mod hash;
mod idempotency;
mod ids;
mod journal;
mod lagging;
mod latency;
mod limits;
mod model;
mod ops;
mod options;
mod pipeline;
mod refusal;
mod reply;
mod request;
mod server;
mod simulator;
mod state;
mod switches;
mod table;
mod target;
mod time;
mod windows;
mod wire;

pub use catalogue::{CATALOGUE, Catalogue, Envelope, Row};
pub use clock::{Clock, ClockOptions, Mode};
pub use counters::{CountersOptions, Largest, Phase, Report};
pub use fault::{Answer, Conflict, Effect, Fault, Malformed, When, Wire};
pub use faults::{Candidate, Faults};
pub use ids::{Ids, Rng};
pub use journal::{Ending, Entry, Journal, JournalOptions, Search};
pub use latency::Latency;
pub use limits::{LimitRule, Scope, documented};
pub use model::Release;
pub use options::{Capacity, Credential, Environment, Options};
pub use reply::{Body, Delivery, End, Framing, Pace, Reply};
pub use request::{MAX_BODY, Protocol, Request};
pub use server::Server;
pub use simulator::Simulator;
pub use switches::{
    AuditTarget, EpochUnit, RefusalBody, RetryAfter, Switches, Unknown, UnknownQuery,
};
pub use time::{Micros, Wall};
pub use windows::Algorithm;
