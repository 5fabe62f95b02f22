//! The operator's commands, as a program: what they ask of the admin port, and what they print.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod changes;
mod documents;
mod page;
mod port;
mod views;
