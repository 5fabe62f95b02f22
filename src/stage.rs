//! Below the seam: what happens to a call. One file a stage; a stage is always ready, and waits
//! inside `call`, where it knows who is waiting.

pub mod admit;
pub mod breaker;
pub mod cache;
pub mod commit;
pub mod credentials;
pub mod handover;
pub mod idempotency;
pub mod intake;
pub mod retry;
pub mod upstream;
