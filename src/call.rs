//! What moves through the stack: bodies, callers, the [`Call`] and its [`Reply`].
//!
//! Above the seam services take HTTP requests; below it they take a [`Call`]. A layer in the wrong
//! place does not compile.

mod gather;
mod uploads;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

pub use gather::{Gathered, SHORT, gather};
pub use uploads::{Held, Room, Uploads};

use crate::catalog::Operation;
use crate::clock::Instant;
use crate::error::{Cause, Error};
use crate::ids::{AppId, ConnectionId, KeyId, TenantId};
use crate::record::Record;

/// A body that arrives as it is read.
pub type StreamBody = UnsyncBoxBody<Bytes, Cause>;

/// An answer on its way to the client.
pub type Reply = http::Response<StreamBody>;

/// A request as the server hands it to the pipeline.
pub type Request = http::Request<StreamBody>;

/// What a stage answers.
pub type Result<T = Reply> = std::result::Result<T, Error>;

/// What a stage's `call` returns when it awaits.
pub type BoxFuture<T = Result> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// The stages below the seam, boxed once.
pub type Stage = tower::util::BoxCloneSyncService<Call, Reply, Error>;

/// A body that is already here.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> StreamBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
#[must_use]
pub fn empty() -> StreamBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

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
}

/// The request body at this point of the stack.
pub enum Body {
    /// There is none.
    Empty,
    /// The client has not been asked for it yet.
    Unread(StreamBody),
    /// All of it, counted against the bytes that the gateway may hold until the last copy ends.
    Buffered(Bytes, Option<Arc<Held>>),
}

impl Body {
    /// The same body once more; one that is still unread can't be had twice.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Unread(_) => None,
            Self::Buffered(bytes, held) => Some(Self::Buffered(bytes.clone(), held.clone())),
        }
    }

    /// What is here of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty | Self::Unread(_) => &[],
            Self::Buffered(bytes, _) => bytes,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Unread(_) => f.write_str("Unread"),
            Self::Buffered(bytes, _) => write!(f, "Buffered({})", bytes.len()),
        }
    }
}

/// Marks an answer by which the vendor refused the token of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The token's source has another one by now, which the next attempt will use.
    pub changed: bool,
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

/// Is told that a call is about to be handed to the vendor: it was let in, and from here on it may be
/// acted on. Must not block.
pub trait BeforeSend: Send + Sync + fmt::Debug {
    /// Called before each attempt. What it gives is awaited before anything is sent, and nothing is
    /// sent if that fails.
    fn before_send(self: Arc<Self>) -> Option<BoxFuture<Result<()>>>;
}

/// One call of one app on one operation.
#[derive(Debug)]
pub struct Call {
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
    pub body: Body,
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
    /// When it first came to its line, if the vendor refused it and it goes back there.
    pub back_since: Option<Instant>,
    /// When the slots of its attempt were taken, once it was let in: the hard limit counts from here.
    pub taken: Option<Instant>,
    /// Where marks are written.
    pub record: Arc<Record>,
}

impl Call {
    /// The same call for one more attempt, once its body was read: its octets are shared. It takes
    /// slots of its own.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Some(Self {
            caller: self.caller.clone(),
            operation: self.operation.clone(),
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: self.body.again()?,
            deadline: self.deadline,
            own_deadline: self.own_deadline,
            wait_until: self.wait_until,
            collects: self.collects.clone(),
            before_send: self.before_send.clone(),
            back_since: self.back_since,
            taken: None,
            record: self.record.clone(),
        })
    }
}
