//! What moves through the stack: a [`Call`] on its way down, a [`Reply`] on its way back.
//!
//! Layers take HTTP requests until the route is known, then a [`Call`], and each step of it has a
//! type of its own that only one layer makes: a layer in the wrong place does not compile.

mod gather;
mod notes;
mod reply;
mod stage;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod uploads;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method};

pub use gather::{Gathered, SHORT, gather};
pub use notes::{Noted, Notes, RateLimit};
pub use reply::{
    Facts, Head, Rejected, Reply, StreamBody, Throttled, empty, full, stream, unless_ended,
};
pub use stage::{Next, Stage, StageLayer, Staged};
pub use steps::{AdmittedCall, Attempt, AuthorizedCall, Buffered, BufferedCall, Unread};
pub use uploads::{Held, Room, Uploader, Uploads};

use crate::catalog::Operation;
use crate::clock::Instant;
use crate::error::Error;
use crate::headers::Habits;
use crate::ids::{AppId, ConnectionId, KeyId, TenantId};
use crate::numbers::{AppIx, ConnectionIx};
use crate::proof::SendProof;
use crate::record::Record;

/// A request as the server hands it to the pipeline.
pub type Request = http::Request<StreamBody>;

/// What a stage answers.
pub type Result<T = Reply> = std::result::Result<T, Error>;

/// The future of a stage that waits.
pub type BoxFuture<T = Result> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Who is calling, through which connection.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The organisation; cache, tokens and connections never cross from one to another.
    pub tenant: TenantId,
    /// The application.
    pub app: AppId,
    /// The key it used.
    pub key: KeyId,
    /// The vendor credential that this call uses.
    pub connection: ConnectionId,
    /// Its number.
    pub ix: ConnectionIx,
    /// The app's number on it.
    pub app_ix: AppIx,
    /// Sends of the app without a key get one.
    pub makes_keys: bool,
    /// What the app asks of the cache counts.
    pub asks_cache: bool,
}

/// Which answers to a call are read whole before an octet of them is given: one that breaks off can
/// still be asked for again.
#[derive(Clone)]
pub struct Collects {
    /// Octets up to which an answer is read; a longer one streams.
    pub limit: usize,
    wanted: Arc<dyn Fn(&Reply) -> bool + Send + Sync>,
}

impl Collects {
    /// Those that are `wanted` by their head.
    #[must_use]
    pub fn new(limit: usize, wanted: impl Fn(&Reply) -> bool + Send + Sync + 'static) -> Self {
        Self { limit, wanted: Arc::new(wanted) }
    }

    /// True for an answer that is read whole.
    #[must_use]
    pub fn wants(&self, reply: &Reply) -> bool {
        (self.wanted)(reply)
    }
}

impl fmt::Debug for Collects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collects({})", self.limit)
    }
}

/// Is told that a call is about to be handed to the vendor: it was let in, and from here on it may
/// be acted on. Must not block.
pub trait BeforeSend: Send + Sync + fmt::Debug {
    /// Called before each attempt. What it gives is awaited before anything is sent, and nothing is
    /// sent if that fails.
    fn before_send(self: Arc<Self>) -> Option<BoxFuture<Result<()>>>;
}

/// One call of one app on one operation, whose body is a `B`.
#[derive(Clone, Debug)]
pub struct Call<B = Unread> {
    /// Who.
    pub caller: Caller,
    /// What, as the catalogue knows it.
    pub operation: Arc<Operation>,
    /// The method as sent: `HEAD` where the operation is a `GET`.
    pub method: Method,
    /// Path and query byte for byte as sent, without the `/c/<connection>` prefix.
    pub target: http::uri::PathAndQuery,
    /// The client's end-to-end fields, without credentials and overrides.
    pub headers: HeaderMap,
    /// The body.
    pub body: B,
    /// When the caller must have an answer's head.
    pub deadline: Instant,
    /// The caller itself set the deadline, by a time-out of its own that is below the operator's.
    pub own_deadline: bool,
    /// When the caller no longer wants to wait in the queue, if it said so (`Prefer: wait`).
    pub wait_until: Option<Instant>,
    /// Which answers are read whole before they are given.
    pub collects: Option<Collects>,
    /// What must be known of it before it is sent.
    pub before_send: Option<Arc<dyn BeforeSend>>,
    /// What its client does by itself.
    pub habits: Habits,
    /// Whether it may be done again.
    pub proof: Arc<SendProof>,
    /// What its answer will say beside the answer.
    pub notes: Arc<Notes>,
    /// Where telemetry is told of it.
    pub record: Arc<Record>,
}
