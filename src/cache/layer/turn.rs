//! Who asks the vendor, and who waits for the answer.

use std::sync::Arc;

use http::HeaderMap;

use super::fetch::Leads;
use crate::cache::key::CacheKey;
use crate::cache::store::Copy;
use crate::cache::versions::ReadStanding;
use crate::cache::{CacheRow, Landed, Shelf};
use crate::numbers::ConnectionIx;
use crate::single_flight::Role;

/// What is asked for.
pub(super) struct Asked {
    pub(super) url: CacheKey,
    /// Where its answer would be kept, by what is known of that URL.
    pub(super) key: CacheKey,
    /// The client's own conditions, where they are not sent.
    pub(super) conditions: HeaderMap,
    pub(super) standing: ReadStanding,
}

/// One's turn among those that ask for the same.
pub(super) enum ReadTurn {
    /// It asks for all of them.
    Lead(Leads),
    /// Another one asked, and this came.
    Shares(Arc<Copy>),
    /// It asks for itself.
    Alone,
}

/// Waits for those that ask for the same, or leads them. Until the first answer of a URL says what
/// tells its copies apart, all who ask for it wait for one; who can't be given its copy waits once
/// more, with those who sent the same.
pub(super) async fn turn(
    shelf: &Shelf,
    row: &CacheRow,
    connection: ConnectionIx,
    asked: &Asked,
    request: &HeaderMap,
) -> ReadTurn {
    let standing = asked.standing;
    match join((shelf, row), connection, asked.key, standing).await {
        ReadTurn::Shares(copy) if !copy.fits(&asked.url, request) => {
            join((shelf, row), connection, asked.url.whole_variant(request), standing).await
        }
        turn => turn,
    }
}

/// Waits for those that ask for `key`, or leads them.
async fn join(
    (shelf, row): (&Shelf, &CacheRow),
    connection: ConnectionIx,
    key: CacheKey,
    standing: ReadStanding,
) -> ReadTurn {
    loop {
        let Some(moment) = shelf.joins(connection, row, standing) else {
            return ReadTurn::Alone;
        };
        let follow = match shelf.cache().reads().join((key, moment)) {
            Role::Leads(lead) => return ReadTurn::Lead(lead),
            Role::Follows(follow) => follow,
        };
        let Ok(place) = shelf.cache().waiters().try_acquire() else {
            return ReadTurn::Alone;
        };
        let landed = follow.outcome().await;
        drop(place);
        match landed {
            Some(Landed::Copy(copy)) => return ReadTurn::Shares(copy),
            Some(Landed::Alone) => return ReadTurn::Alone,
            // The leader left before its call was sent: somebody else leads now.
            None => {}
        }
    }
}
