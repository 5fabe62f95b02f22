//! The operators' ports: one that anybody may look at, and one that asks for a key.

mod api;
mod door;
pub mod health;
mod ops;
mod page;

pub use api::Api;
pub use door::{Door, DoorRules};
pub use ops::Ops;
