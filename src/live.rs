//! What happens now and happened in the last minutes, for whoever looks without a metrics server.
//!
//! The [`Recorder`] hears of finished calls and is told once a second how the quotas stand. It
//! keeps a second each for 15 minutes and connection: 40 bytes a second, so 40 KiB a connection at
//! most. A finished call costs it some relaxed additions and, if it came to
//! the quota, one short lock for the hour of [`arrivals`]. What is shown is made by whoever asks.

pub mod arrivals;
pub mod details;
pub mod documents;
pub mod feed;
pub mod histogram;
mod recorder;
mod ring;
mod slowest;
mod tally;
#[cfg(test)]
mod tests;
mod under_way;
pub mod whatif;
pub mod words;

pub use feed::Feed;
pub use recorder::{KnownConnection, Recorder};
pub use ring::History;
pub use under_way::OpenCall;
