//! A made key on its way to the disk, and the send that waits for it.
//!
//! Three things can happen. If the row is written, the send goes out. If the write fails, as on a
//! full disk, that is logged and the send goes out, since it may stay so for days. If the write
//! does not return in time, nobody can say what a crash would leave of it. Then the send is
//! refused, and its client can repeat it without harm.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::journal::{RowOutcome, STALL};
use super::keys::SendKeys;
use super::made::KeyTicket;
use crate::call::Result;
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::record::{Record, Shortage};

/// When a client should come back if the folder stalls.
const AFTER: Duration = Duration::from_secs(2);

/// See the module text. If it is dropped before its row was written, the next call writes it.
pub(super) struct Writing {
    keys: Arc<SendKeys>,
    ticket: KeyTicket,
    /// `None` if the row was not even queued.
    outcome: Option<RowOutcome>,
    written: bool,
}

impl SendKeys {
    /// See [`Made::sent`](super::made::Made::sent). If this returns a write, nothing may be sent
    /// before that is over.
    pub(super) fn sent(self: &Arc<Self>, ticket: &KeyTicket) -> Option<Writing> {
        let outcome = self.write(|made| made.sent(ticket, Instant::now()))?;
        Some(Writing::new(self.clone(), *ticket, outcome))
    }
}

impl Writing {
    pub(super) fn new(keys: Arc<SendKeys>, ticket: KeyTicket, outcome: Option<RowOutcome>) -> Self {
        Self { keys, ticket, outcome, written: false }
    }

    /// Waits until the send of the call of `record` may go out, for [`STALL`] at most.
    ///
    /// # Errors
    /// The send must not go out.
    pub(super) async fn over(mut self, record: &Record) -> Result<()> {
        let told = match &mut self.outcome {
            Some(outcome) => timeout(STALL, outcome).await.ok().and_then(std::result::Result::ok),
            None => None,
        };
        self.written = told == Some(true);
        if told.is_some() {
            return Ok(());
        }
        record.mark(|marks| marks.shortage = Some(Shortage::Storage));
        let detail =
            "the state folder does not take the key of this send in time; nothing was sent";
        Err(Error::refused(Code::Overloaded, detail).with_retry_after(AFTER))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.written {
            self.keys.unwritten(&self.ticket);
        }
    }
}
