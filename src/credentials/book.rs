//! How the token of each connection stands, over reloads: for operators, and for a reload that can't
//! read a file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::clock;
use crate::ids::ConnectionId;
use crate::secret::{KnownTokens, TokenSource, VendorToken};

/// The tokens that are in use. Clones share it.
#[derive(Clone, Default)]
pub struct TokenBook(
    /// std, not tokio: each section is one look-up and never awaits.
    Arc<Mutex<Pages>>,
);

#[derive(Default)]
struct Pages {
    edition: BookEdition,
    of: BTreeMap<ConnectionId, TokenPage>,
}

/// Which configuration writes. What an earlier one finds out counts no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BookEdition(u64);

/// The token of a connection when a configuration begins.
pub struct InitialToken {
    /// Whose it is.
    pub connection: ConnectionId,
    /// Where newer ones would be.
    pub source: TokenSource,
    /// The one of now.
    pub token: VendorToken,
    /// It is the last good one: the source has none now.
    pub unreadable: bool,
}

/// The token of one connection.
#[derive(Clone, Debug)]
pub struct TokenPage {
    /// Where newer ones would be.
    pub source: TokenSource,
    /// When it took the place of another one, since the start.
    pub changed_at: Option<SystemTime>,
    /// The vendor refused it the last time, since it was read.
    pub refused: bool,
    /// Its source has no token that can be used; the last good one is.
    pub unreadable: bool,
    /// The vendor refused the one in its file, and the one before is used.
    pub given_up: bool,
    token: Arc<VendorToken>,
}

/// How a token stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Nothing is wrong.
    Ok,
    /// The vendor refused it the last time.
    Refused,
    /// Its source can't be read: the last good one is used.
    Unreadable,
}

// === impl TokenState ===

impl TokenState {
    /// Its word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

// === impl TokenPage ===

impl TokenPage {
    /// Its state; a refusal hurts more than a file.
    #[must_use]
    pub fn state(&self) -> TokenState {
        match (self.refused || self.given_up, self.unreadable) {
            (true, _) => TokenState::Refused,
            (false, true) => TokenState::Unreadable,
            (false, false) => TokenState::Ok,
        }
    }

    /// From now on `token` is used.
    pub(super) fn turn_to(&mut self, token: Arc<VendorToken>) {
        if !self.token.same_as(&token) {
            self.changed_at = Some(clock::wall());
        }
        (self.token, self.refused, self.given_up) = (token, false, false);
    }
}

// === impl TokenBook ===

impl TokenBook {
    /// The pages of all connections, in their order.
    #[must_use]
    pub fn pages(&self) -> Vec<(ConnectionId, TokenPage)> {
        self.open().of.iter().map(|(id, page)| (id.clone(), page.clone())).collect()
    }

    /// The page of `connection`.
    #[must_use]
    pub fn page(&self, connection: &ConnectionId) -> Option<TokenPage> {
        self.open().of.get(connection).cloned()
    }

    /// The tokens in use, for a reload that finds a source unreadable.
    #[must_use]
    pub fn known(&self) -> KnownTokens {
        let pages = self.pages().into_iter();
        pages.map(|(id, page)| (id, (page.source, VendorToken::clone(&page.token)))).collect()
    }

    /// A configuration with `tokens` begins: all sources were read anew.
    pub(super) fn begin<'a>(&self, tokens: impl Iterator<Item = &'a InitialToken>) -> BookEdition {
        let mut pages = self.open();
        let before = std::mem::take(&mut pages.of);
        for initial in tokens {
            let token = Arc::new(initial.token.clone());
            let mut page = TokenPage {
                source: initial.source.clone(),
                changed_at: None,
                refused: false,
                unreadable: initial.unreadable,
                given_up: false,
                token: token.clone(),
            };
            if let Some(before) = before.get(&initial.connection) {
                page.changed_at = before.changed_at;
                if !before.token.same_as(&token) {
                    page.changed_at = Some(clock::wall());
                }
            }
            pages.of.insert(initial.connection.clone(), page);
        }
        pages.edition.0 += 1;
        pages.edition
    }

    /// Writes on the page of `connection`, unless a later configuration has begun.
    pub(super) fn write<T>(
        &self,
        edition: BookEdition,
        connection: &ConnectionId,
        write: impl FnOnce(&mut TokenPage) -> T,
    ) -> Option<T> {
        let mut pages = self.open();
        let current = pages.edition == edition;
        pages.of.get_mut(connection).filter(|_| current).map(write)
    }

    fn open(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
