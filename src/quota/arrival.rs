//! What happens to a call that comes: plain data.

use super::queue::{FifoKey, QueuedCall};
use super::queue_position::QueuePosition;
use super::ticket::{QuotaRefusal, Would};

/// What happens to a call that comes.
#[derive(Debug)]
pub(crate) enum ArrivalVerdict {
    /// It can start now.
    Start(FifoKey, Would),
    /// It may wait.
    Wait(QueuedCall, QueuePosition),
    /// It may not.
    Refuse(QuotaRefusal),
}
