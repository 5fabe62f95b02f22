//! The tokens of one configuration: which is in use, and what becomes of one that Courier refuses.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::admission::Admission;
use crate::cache::Cache;
use crate::clock::Instant;
use crate::ids::ConnectionId;
use crate::secret::VendorToken;
use crate::secret::{Stamp, TokenSource, Tokens};
use crate::targets;

/// The tokens of one configuration, and where newer ones would be.
pub(super) struct Vault {
    places: HashMap<ConnectionId, Place>,
    cache: Cache,
    admission: Admission,
}

struct Place {
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

/// What became of a token that the vendor refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its source has no other.
    Stands,
    /// Another call has found its successor.
    Replaced,
    /// This call has found its successor.
    Found,
}

// === impl Vault ===

impl Vault {
    /// `sources` has one for every connection of `tokens`.
    pub(super) fn new(
        tokens: Tokens,
        mut sources: HashMap<ConnectionId, TokenSource>,
        cache: Cache,
        admission: Admission,
    ) -> Self {
        let places = tokens.into_iter().filter_map(|(connection, token)| {
            let place = Place {
                source: sources.remove(&connection)?,
                token: ArcSwap::from_pointee(token),
                refused: AtomicBool::new(false),
                unproven: AtomicBool::new(false),
                reading: Mutex::default(),
            };
            Some((connection, place))
        });
        Self { places: places.collect(), cache, admission }
    }

    fn place(&self, connection: &ConnectionId) -> &Place {
        let place = self.places.get(connection);
        place.expect("keys and tokens come from one configuration, which has them all")
    }

    pub(super) fn token(&self, connection: &ConnectionId) -> Arc<VendorToken> {
        self.place(connection).token.load_full()
    }

    /// Says once that the vendor refuses the connection's token; looks whether there is another by
    /// now, and takes it over.
    pub(super) async fn refused(
        self: Arc<Self>,
        connection: &ConnectionId,
        token: &VendorToken,
    ) -> Fate {
        let asked = Instant::now();
        let place = self.place(connection);
        let mut reading = place.reading.lock().await;
        if !place.token.load().same_as(token) {
            return Fate::Replaced;
        }
        if let Some(before) = reading.before.take().filter(|_| place.is_unproven()) {
            tracing::error!(target: targets::VENDOR, %connection, "Courier refuses the new token in the connection's file: the one before is used again");
            self.take_over(connection, before, false).await;
            return Fate::Found;
        }
        if let Some(look) = reading.last
            && look.began >= asked
            && !look.found
        {
            return Fate::Stands;
        }
        if !place.refused.swap(true, Ordering::Relaxed) {
            tracing::error!(target: targets::VENDOR, %connection, "Courier refuses the token of the connection");
        }
        let began = Instant::now();
        let new = self.clone().read(connection.clone(), token).await;
        reading.last = Some(Look { began, found: new.is_some() });
        let Some(new) = new else { return Fate::Stands };
        self.take_over(connection, Arc::new(new), false).await;
        Fate::Found
    }

    /// The versions of all files of tokens.
    pub(super) fn stamps(&self) -> Vec<(ConnectionId, Stamp)> {
        let stamp = |(connection, place): (&ConnectionId, &Place)| {
            Some((connection.clone(), place.source.stamp()?))
        };
        self.places.iter().filter_map(stamp).collect()
    }

    /// The file of the connection's token is another one, or was not read yet.
    pub(super) async fn look_again(self: Arc<Self>, connection: &ConnectionId) {
        let place = self.place(connection);
        let mut reading = place.reading.lock().await;
        let token = place.token.load_full();
        if let Some(new) = self.clone().read(connection.clone(), &token).await {
            // One that the vendor refuses is no way back.
            let good = !place.refused.load(Ordering::Relaxed) && !place.is_unproven();
            reading.before = good.then_some(token);
            self.take_over(connection, Arc::new(new), true).await;
        }
    }

    /// From now on `new` is the connection's token.
    async fn take_over(&self, connection: &ConnectionId, new: Arc<VendorToken>, unproven: bool) {
        let place = self.place(connection);
        // Before the token: a call that uses it may prove it at once.
        place.refused.store(false, Ordering::Relaxed);
        place.unproven.store(unproven, Ordering::Release);
        place.token.store(new.clone());
        self.cache.purge_connection(connection);
        let (admission, name) = (self.admission.clone(), connection.clone());
        // A small file, on whatever it lies. A panic in it is in the log, and the token is good.
        let told = move || admission.token_changed(&name, &new);
        let _ = tokio::task::spawn_blocking(told).await;
        tracing::info!(target: targets::VENDOR, %connection, "another token of the connection is used from now on");
    }

    /// The token that the connection's source has in place of `old`.
    async fn read(
        self: Arc<Self>,
        connection: ConnectionId,
        old: &VendorToken,
    ) -> Option<VendorToken> {
        let (vault, name) = (self.clone(), connection.clone());
        // A file, on whatever it lies.
        let read = tokio::task::spawn_blocking(move || vault.place(&name).source.read());
        let new = match read.await.ok()? {
            Ok(new) => Some(new).filter(|new| !new.same_as(old))?,
            Err(reason) => {
                tracing::warn!(target: targets::VENDOR, %connection, reason, "no other token could be looked for");
                return None;
            }
        };
        // One token serves one connection; a file that was mixed up is no new token.
        if self.places.values().any(|place| place.token.load().same_as(&new)) {
            tracing::warn!(target: targets::VENDOR, %connection, "the token's source holds another connection's token: not used");
            return None;
        }
        Some(new)
    }

    /// The vendor took `token`.
    pub(super) fn taken(&self, connection: &ConnectionId, token: &VendorToken) {
        let place = self.place(connection);
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
