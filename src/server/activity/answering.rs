//! One request on a connection, as the connection's watch knows it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Activity, Head};
use crate::clock::Instant;
use crate::proof::SendProof;

/// One request on a connection, until its answer is over.
pub(in crate::server) struct Answering {
    activity: Arc<Activity>,
    name: u64,
}

/// A request whose body is still on its way, until this is dropped.
pub(in crate::server) struct Arriving(Arc<Activity>);

// === impl Answering ===

impl Answering {
    /// A request came; `stream` ends its stream alone, if it has one.
    pub(in crate::server) fn begin(
        activity: Arc<Activity>,
        stream: Option<CancellationToken>,
    ) -> Self {
        let name = {
            let mut state = activity.state();
            if state.open == 0 {
                state.arriving_since = Instant::now();
            }
            state.requests += 1;
            state.open += 1;
            state.head = Head::Came;
            let name = state.requests;
            state.streams.extend(stream.map(|stream| (name, stream)));
            name
        };
        Self { activity, name }
    }

    /// A part of the request is still on its way.
    pub(in crate::server) fn arriving(&self) -> Arriving {
        self.activity.state().arriving += 1;
        Arriving(self.activity.clone())
    }

    /// The call that waits for the head of the answer; `None` once it is here. HTTP/1 has one at a
    /// time.
    pub(in crate::server) fn waits(&self, waiter: Option<Arc<SendProof>>) {
        self.activity.state().waiting = waiter;
    }

    /// True if the connection was told to end, so that it takes no request after this one.
    pub(in crate::server) fn is_last(&self) -> bool {
        self.activity.state().last.is_some()
    }

    /// The connection asks for the next piece: it has room again.
    pub(in crate::server) fn asked(&self) {
        self.activity.state().owed.remove(&self.name);
    }

    /// The connection has a piece to write.
    pub(in crate::server) fn gave(&self) {
        self.activity.state().owed.insert(self.name, Instant::now());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.owed.remove(&self.name);
        state.streams.remove(&self.name);
        state.open -= 1;
        let now = Instant::now();
        state.arriving_since = now;
        if state.open == 0 {
            state.idle_since = now;
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.state().arriving -= 1;
    }
}
