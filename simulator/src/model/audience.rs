//! An audience and its computed members.

use std::sync::Arc;

use serde_json::Value;

use crate::table::Table;
use crate::time::Wall;

/// One audience.
#[derive(Clone)]
pub(crate) struct Audience {
    /// The audience as the API shows it.
    pub(crate) record: Value,
    /// Grows with every put.
    pub(crate) version: u64,
    /// The `reason` of users who join now.
    pub(crate) reason: Arc<str>,
    /// Members by user.
    pub(crate) members: Table<Member>,
}

/// One member of an audience.
#[derive(Clone)]
pub(crate) struct Member {
    /// When the user joined.
    pub(crate) since: Wall,
    /// The audience's version at that time.
    pub(crate) version: u64,
    /// Why the user fits.
    pub(crate) reason: Arc<str>,
}

/// What has to be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// One user, in every audience.
    User(String),
    /// One audience, over every user.
    Audience(String),
}
