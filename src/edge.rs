//! Above the seam: from an HTTP request to a call.
//!
//! One file a layer, and one type a step: a request that was `Opened` has a record, one that is
//! `Authenticated` has a caller, and only `route` makes a [`Call`](crate::call::Call).

pub mod authenticate;
pub mod cors;
pub mod health;
pub mod me;
pub mod record;
pub mod respond;
pub mod route;
pub mod screen;

use std::sync::Arc;

use crate::call::Request;
use crate::identity::App;
use crate::ids::KeyId;
use crate::record::Record;

/// A request with its record.
pub struct Opened {
    /// As the server read it.
    pub request: Request,
    /// Where marks are written.
    pub record: Arc<Record>,
}

/// A request whose caller is known. It holds none of the client's credentials.
pub struct Authenticated {
    /// The request, without credentials and fields of one hop.
    pub request: Request,
    /// Where marks are written.
    pub record: Arc<Record>,
    /// Who calls.
    pub app: Arc<App>,
    /// The key that proved it.
    pub key: KeyId,
    /// It came in `x-api-key`, which clients take along when they follow a redirect to another host;
    /// `Authorization` they leave behind.
    pub key_travels: bool,
}
