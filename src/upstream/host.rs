//! One vendor host: how it is reached, and the places for sockets to it that its connections share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::{Authority, Scheme};

use super::dial::{Dial, Line};
use super::places::Places;
use super::pool::Pool;
use crate::call::BoxFuture;
use crate::error::Cause;
use crate::ids::ConnectionId;

/// Limits of the sockets to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// For name look-up, TCP, TLS and the first words of HTTP/2 together.
    pub connect: Duration,
    /// A socket that rested longer is closed.
    pub idle: Duration,
    /// A socket that is older takes no new call.
    pub max_age: Duration,
    /// Sockets at a time, over all connections.
    pub sockets: usize,
}

/// A host and the places for sockets to it.
pub struct Host {
    scheme: Scheme,
    authority: Authority,
    limits: HostLimits,
    dial: ArcSwap<Arc<dyn Dial>>,
    places: Arc<Places>,
    /// std, not tokio: touched when a pipeline is built and when a place has to be made.
    pools: Mutex<HashMap<ConnectionId, Weak<Pool>>>,
}

impl Host {
    /// A host without sockets yet.
    #[must_use]
    pub fn new(
        scheme: Scheme,
        authority: Authority,
        limits: HostLimits,
        dial: Arc<dyn Dial>,
    ) -> Self {
        Self {
            scheme,
            authority,
            limits,
            dial: ArcSwap::from_pointee(dial),
            places: Places::new(limits.sockets),
            pools: Mutex::default(),
        }
    }

    /// From now on lines are opened by `dial`; those that are open stay.
    pub fn redial(&self, dial: Arc<dyn Dial>) {
        self.dial.store(Arc::new(dial));
    }

    /// The sockets of `connection`: the same ones as long as somebody has them.
    #[must_use]
    pub fn pool(self: &Arc<Self>, connection: &ConnectionId) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = pools.get(connection).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = Arc::new(Pool::new(self.clone(), self.places.join()));
        pools.insert(connection.clone(), Arc::downgrade(&pool));
        pool
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sockets that are open or being opened.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.places.taken()
    }

    pub(super) fn limits(&self) -> &HostLimits {
        &self.limits
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Opens a line; the caller bounds the time.
    pub(super) fn dial(&self) -> BoxFuture<Result<Line, Cause>> {
        let uri = http::Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
            .expect("scheme, authority and path make a URI");
        self.dial.load().dial(uri)
    }

    /// Somebody waits for a place: closes the socket that has rested longest of those that are
    /// beyond the part of their connection.
    pub(super) fn make_room(&self) {
        let pools: Vec<Arc<Pool>> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.values().filter_map(Weak::upgrade).collect()
        };
        let rests = |pool: &Arc<Pool>| pool.spare_since().map(|since| (since, pool.clone()));
        let longest = pools.iter().filter_map(rests).min_by_key(|(since, _)| *since);
        if let Some((_, pool)) = longest {
            pool.close_one();
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({}://{})", self.scheme, self.authority)
    }
}
