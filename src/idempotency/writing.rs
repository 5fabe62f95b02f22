//! A made key on its way to the disk, and the send that waits for it.
//!
//! Three things can happen. It is written: the send goes out. The folder says that it can't be
//! written, as a full disk does: that is said in the log, and the send goes out, since it may be so for
//! days. Or the folder says nothing, and nobody can tell what of it will be found after a crash: then
//! the send is refused, which its client can repeat without harm.

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

/// When to come back to a folder that stalls.
const AFTER: Duration = Duration::from_secs(2);

/// See the module text. If it is dropped before its row was written, the next call writes it.
pub(super) struct Writing {
    keys: Arc<SendKeys>,
    ticket: KeyTicket,
    /// None: it was not even begun.
    outcome: Option<RowOutcome>,
    written: bool,
}

impl SendKeys {
    /// See [`Made::sent`](super::made::Made::sent): nothing is to be sent before what this gives is over,
    /// if it gives something.
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
    /// That it must not.
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
