//! Why a ledger was not asked, or what it said instead of an answer.

use crate::shared::StoreError;

/// See the module text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger's answer can't be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("there is another value under the name of a ledger")]
    Strange,
}
