//! The tokens of one configuration: which is in use, and what becomes of one that Courier refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::book::{BookEdition, InitialToken, TokenBook, TokenPage};
use crate::admission::Admission;
use crate::cache::Cache;
use crate::clock::Instant;
use crate::ids::ConnectionId;
use crate::numbers::{ConnectionIx, Table};
use crate::secret::{Stamp, TokenSource, VendorToken};
use crate::targets;

/// The tokens of one configuration, and where newer ones would be.
pub(super) struct Vault {
    places: Table<ConnectionIx, Place>,
    cache: Cache,
    admission: Admission,
    book: TokenBook,
    edition: BookEdition,
}

struct Place {
    connection: ConnectionId,
    source: TokenSource,
    token: ArcSwap<VendorToken>,
    /// The vendor refused `token`, and that was said.
    refused: AtomicBool,
    /// `token` was found in its file, and the vendor has not taken it yet.
    unproven: AtomicBool,
    /// tokio: held while the source is read, so that calls that are refused together read it once.
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    last: Option<Look>,
    /// What was in use before `token`, which was found unasked.
    before: Option<Arc<VendorToken>>,
}

/// A look at the source of a token.
#[derive(Clone, Copy)]
struct Look {
    began: Instant,
    found: bool,
}

/// What the source of a token has.
enum Found {
    /// The one that is used.
    Same,
    /// Another one.
    Another(VendorToken),
    /// None that could be used.
    Nothing,
}

/// What became of a token that the vendor refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its source has no other.
    Stands,
    /// Another call has found its successor.
    Replaced,
    /// This call has found its successor.
    Found,
    /// It was found in its file and never taken: the one before is used again.
    GivenUp,
}

// === impl Vault ===

impl Vault {
    /// `tokens`, all of them in use.
    pub(super) fn new(
        tokens: Table<ConnectionIx, InitialToken>,
        cache: Cache,
        admission: Admission,
        book: TokenBook,
    ) -> Self {
        let edition = book.begin(tokens.iter().map(|(_, initial)| initial));
        let places = tokens.iter().map(|(_, initial)| Place {
            connection: initial.connection.clone(),
            source: initial.source.clone(),
            token: ArcSwap::from_pointee(initial.token.clone()),
            refused: AtomicBool::new(false),
            unproven: AtomicBool::new(false),
            reading: Mutex::default(),
        });
        Self { places: places.collect(), cache, admission, book, edition }
    }

    pub(super) fn token(&self, connection: ConnectionIx) -> Arc<VendorToken> {
        self.places[connection].token.load_full()
    }

    /// Says once that the vendor refuses the connection's token; looks whether there is another by
    /// now, and takes it over.
    pub(super) async fn refused(
        self: Arc<Self>,
        connection: ConnectionIx,
        token: &VendorToken,
    ) -> Fate {
        let asked = Instant::now();
        let place = &self.places[connection];
        let mut reading = place.reading.lock().await;
        if !place.token.load().same_as(token) {
            return Fate::Replaced;
        }
        if let Some(before) = reading.before.take().filter(|_| place.is_unproven()) {
            tracing::error!(target: targets::VENDOR, connection = %place.connection, "Courier refuses the new token in the connection's file: the one before is used again");
            self.take_over(connection, before, false).await;
            self.write(place, |page| page.given_up = true);
            return Fate::GivenUp;
        }
        if let Some(look) = reading.last
            && look.began >= asked
            && !look.found
        {
            return Fate::Stands;
        }
        if !place.refused.swap(true, Ordering::Relaxed) {
            self.write(place, |page| page.refused = true);
            tracing::error!(target: targets::VENDOR, connection = %place.connection, "Courier refuses the token of the connection");
        }
        let began = Instant::now();
        let new = match self.clone().read(connection, token).await {
            Found::Another(new) => Some(new),
            Found::Same | Found::Nothing => None,
        };
        reading.last = Some(Look { began, found: new.is_some() });
        let Some(new) = new else { return Fate::Stands };
        self.take_over(connection, Arc::new(new), false).await;
        Fate::Found
    }

    /// The versions of all files of tokens; nothing for one that is not there.
    pub(super) fn stamps(&self) -> Vec<(ConnectionIx, Option<Stamp>)> {
        let files = self.places.iter().filter(|(_, place)| place.source.is_file());
        files.map(|(connection, place)| (connection, place.source.stamp())).collect()
    }

    /// The file of the connection's token is another one, or was not read yet.
    pub(super) async fn look_again(self: Arc<Self>, connection: ConnectionIx) {
        let place = &self.places[connection];
        let mut reading = place.reading.lock().await;
        let token = place.token.load_full();
        match self.clone().read(connection, &token).await {
            Found::Another(new) => {
                // One that the vendor refuses is no way back.
                let good = !place.refused.load(Ordering::Relaxed) && !place.is_unproven();
                reading.before = good.then_some(token);
                self.take_over(connection, Arc::new(new), true).await;
            }
            Found::Same => drop(self.write(place, |page| page.given_up = false)),
            Found::Nothing => {}
        }
    }

    /// From now on `new` is the connection's token.
    async fn take_over(&self, connection: ConnectionIx, new: Arc<VendorToken>, unproven: bool) {
        let place = &self.places[connection];
        // Before the token: a call that uses it may prove it at once.
        place.refused.store(false, Ordering::Relaxed);
        place.unproven.store(unproven, Ordering::Release);
        place.token.store(new.clone());
        self.write(place, |page| page.turn_to(new.clone()));
        self.cache.purge_connection(&place.connection);
        let (admission, name) = (self.admission.clone(), place.connection.clone());
        // A small file, on whatever it lies. A panic in it is in the log, and the token is good.
        let told = move || admission.token_changed(&name, &new);
        let _ = tokio::task::spawn_blocking(told).await;
        tracing::info!(target: targets::VENDOR, connection = %place.connection, "another token of the connection is used from now on");
    }

    /// The token that the connection's source has in place of `old`.
    async fn read(self: Arc<Self>, connection: ConnectionIx, old: &VendorToken) -> Found {
        let (vault, place) = (self.clone(), &self.places[connection]);
        // A file, on whatever it lies.
        let read = tokio::task::spawn_blocking(move || vault.places[connection].source.read());
        let new = match read.await {
            Ok(Ok(new)) => new,
            // A panic in it is in the log.
            Err(_) => return Found::Nothing,
            Ok(Err(reason)) => {
                self.unreadable(place, Some(&reason));
                return Found::Nothing;
            }
        };
        if new.same_as(old) {
            self.unreadable(place, None);
            return Found::Same;
        }
        // One token serves one connection; a file that was mixed up is no new token.
        if self.places.iter().any(|(_, place)| place.token.load().same_as(&new)) {
            self.unreadable(place, Some("it holds another connection's token"));
            return Found::Nothing;
        }
        self.unreadable(place, None);
        Found::Another(new)
    }

    /// The source of a token has none that can be used, for this reason, or has one. What is new is
    /// said once.
    fn unreadable(&self, place: &Place, reason: Option<&str>) {
        let now = reason.is_some();
        let news = self.write(place, |page| std::mem::replace(&mut page.unreadable, now) != now);
        let news = news.unwrap_or_default();
        match reason.filter(|_| news) {
            Some(reason) => {
                tracing::error!(target: targets::VENDOR, connection = %place.connection, reason, "the token's source can't be used: the last good token stays");
            }
            None if news => {
                tracing::info!(target: targets::VENDOR, connection = %place.connection, "the token's source can be used again");
            }
            None => {}
        }
    }

    fn write<T>(&self, place: &Place, write: impl FnOnce(&mut TokenPage) -> T) -> Option<T> {
        self.book.write(self.edition, &place.connection, write)
    }

    /// The vendor took `token`.
    pub(super) fn taken(&self, connection: ConnectionIx, token: &VendorToken) {
        let place = &self.places[connection];
        let doubted = place.refused.load(Ordering::Relaxed) || place.is_unproven();
        if doubted && place.token.load().same_as(token) {
            place.refused.store(false, Ordering::Relaxed);
            place.unproven.store(false, Ordering::Release);
            self.write(place, |page| page.refused = false);
        }
    }
}

impl Place {
    fn is_unproven(&self) -> bool {
        self.unproven.load(Ordering::Acquire)
    }
}
