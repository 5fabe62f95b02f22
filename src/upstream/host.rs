//! One vendor host, and the sockets to it of each connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::uri::{Authority, Scheme};

use super::dial::Dial;
use super::pool::SocketPool;
use super::site::{HostLimits, Site};
use crate::ids::ConnectionId;

/// A host with the sockets of its connections.
pub struct Host {
    site: Arc<Site>,
    /// std, not tokio: touched when a pipeline is built.
    pools: Mutex<HashMap<ConnectionId, Weak<SocketPool>>>,
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
        let site = Arc::new(Site::new(scheme, authority, limits, dial));
        Self { site, pools: Mutex::default() }
    }

    /// From now on lines are opened by `dial`; those that are open stay.
    pub fn redial(&self, dial: Arc<dyn Dial>) {
        self.site.redial(dial);
    }

    /// The sockets of `connection`: the same ones as long as somebody has them.
    #[must_use]
    pub fn pool(&self, connection: &ConnectionId) -> Arc<SocketPool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = pools.get(connection).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = SocketPool::at(self.site.clone());
        pools.insert(connection.clone(), Arc::downgrade(&pool));
        pool
    }

    /// Sockets that are open or being opened.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.site.sockets()
    }

    /// Those of them that carry a call, or are being opened for one.
    #[must_use]
    pub fn busy(&self) -> usize {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = pools.values().filter_map(Weak::upgrade).map(|pool| pool.idle()).sum();
        self.site.sockets().saturating_sub(idle)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.site.fmt(f)
    }
}
