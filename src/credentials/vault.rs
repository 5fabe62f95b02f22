//! The tokens of one configuration: which is in use, and what becomes of one that Courier refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::given_up::GivenUp;
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
    given_up: GivenUp,
}

/// The token of a connection when a configuration begins.
pub struct InitialToken {
    /// Whose it is.
    pub connection: ConnectionId,
    /// Where newer ones would be.
    pub source: TokenSource,
    /// The one of now.
    pub token: VendorToken,
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
        given_up: GivenUp,
    ) -> Self {
        given_up.clear();
        let places = tokens.iter().map(|(_, initial)| Place {
            connection: initial.connection.clone(),
            source: initial.source.clone(),
            token: ArcSwap::from_pointee(initial.token.clone()),
            refused: AtomicBool::new(false),
            unproven: AtomicBool::new(false),
            reading: Mutex::default(),
        });
        Self { places: places.collect(), cache, admission, given_up }
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
            self.given_up.add(&place.connection);
            return Fate::GivenUp;
        }
        if let Some(look) = reading.last
            && look.began >= asked
            && !look.found
        {
            return Fate::Stands;
        }
        if !place.refused.swap(true, Ordering::Relaxed) {
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

    /// The versions of all files of tokens.
    pub(super) fn stamps(&self) -> Vec<(ConnectionIx, Stamp)> {
        let stamp = |(connection, place): (ConnectionIx, &Place)| {
            let stamp = place.source.stamp();
            if matches!(place.source, TokenSource::File(_)) {
                self.given_up.is_there(&place.connection, stamp.is_some());
            }
            Some((connection, stamp?))
        };
        self.places.iter().filter_map(stamp).collect()
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
            Found::Same => self.given_up.remove(&place.connection),
            Found::Nothing => self.given_up.useless(&place.connection),
        }
    }

    /// From now on `new` is the connection's token.
    async fn take_over(&self, connection: ConnectionIx, new: Arc<VendorToken>, unproven: bool) {
        let place = &self.places[connection];
        // Before the token: a call that uses it may prove it at once.
        place.refused.store(false, Ordering::Relaxed);
        place.unproven.store(unproven, Ordering::Release);
        place.token.store(new.clone());
        self.given_up.changed(&place.connection);
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
            Ok(Ok(new)) if new.same_as(old) => return Found::Same,
            Ok(Ok(new)) => new,
            // A panic in it is in the log.
            Err(_) => return Found::Nothing,
            Ok(Err(reason)) => {
                tracing::warn!(target: targets::VENDOR, connection = %place.connection, reason, "no other token could be looked for");
                return Found::Nothing;
            }
        };
        // One token serves one connection; a file that was mixed up is no new token.
        if self.places.iter().any(|(_, place)| place.token.load().same_as(&new)) {
            tracing::warn!(target: targets::VENDOR, connection = %place.connection, "the token's source holds another connection's token: not used");
            return Found::Nothing;
        }
        Found::Another(new)
    }

    /// The vendor took `token`.
    pub(super) fn taken(&self, connection: ConnectionIx, token: &VendorToken) {
        let place = &self.places[connection];
        let doubted = place.refused.load(Ordering::Relaxed) || place.is_unproven();
        if doubted && place.token.load().same_as(token) {
            place.refused.store(false, Ordering::Relaxed);
            place.unproven.store(false, Ordering::Release);
        }
    }
}

impl Place {
    fn is_unproven(&self) -> bool {
        self.unproven.load(Ordering::Acquire)
    }
}
