//! An exchange whose end the journal still waits for.

use super::Server;
use crate::journal::Ending;
use crate::reply::Reply;

/// Tells the journal how an exchange ended.
///
/// If it is dropped before that, the client left or the server stopped.
pub(super) struct Pending {
    server: Server,
    entry: Option<u64>,
    if_dropped: Ending,
}

impl Pending {
    /// Begins with an answer that is about to be sent.
    pub(super) fn new(server: &Server, reply: &Reply) -> Self {
        Self { server: server.clone(), entry: reply.entry, if_dropped: Ending::ClientGone }
    }

    /// From here on the exchange ends as the fault says.
    pub(super) const fn held_back(&mut self) {
        self.if_dropped = Ending::Faulted;
    }

    /// Tells the journal that the exchange ended.
    pub(super) fn end(mut self, ending: Ending, written: u64) {
        self.note(ending, written);
    }

    fn note(&mut self, ending: Ending, written: u64) {
        if let Some(entry) = self.entry.take() {
            let now = self.server.now();
            self.server.with(|sim| sim.note_end(now, entry, ending, written));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.note(self.if_dropped, 0);
    }
}
