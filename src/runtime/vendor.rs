//! The hosts of the vendor: sockets to them, and their breakers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use http::uri::{Authority, Scheme};

use super::State;
use crate::breaker::{Breaker, ForcedState};
use crate::config::{BaseUrl, Config};
use crate::ids::ConnectionId;
use crate::tls;
use crate::upstream::{Dial, Dialer, Host, HostLimits};

/// What is known of them.
pub(super) struct VendorSide {
    pub(super) dialing: Dialing,
    pub(super) tls: tls::Client,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) limits: HostLimits,
    pub(super) hosts: HashMap<(Scheme, Authority), Arc<Host>>,
    pub(super) breakers: HashMap<(Scheme, Authority), Arc<Breaker>>,
    /// Those that an operator put in one state.
    pub(super) forced: HashMap<ConnectionId, ForcedState>,
}

/// Where sockets to the vendor come from.
pub(super) enum Dialing {
    /// The network, with the TLS of the configuration.
    Configured,
    /// Somewhere else, such as pipes of a test.
    #[cfg(feature = "testing")]
    Given(Arc<dyn Dial>),
}

impl Dialing {
    pub(super) fn by(&self, tls: &tls::Client) -> Arc<dyn Dial> {
        match self {
            Self::Configured => Arc::new(Dialer::new(tls.clone())),
            #[cfg(feature = "testing")]
            Self::Given(dial) => dial.clone(),
        }
    }
}

impl VendorSide {
    pub(super) fn new(config: &Config, dialing: Dialing) -> Self {
        Self {
            dial: dialing.by(&config.vendor_tls),
            dialing,
            tls: config.vendor_tls.clone(),
            limits: host_limits(config),
            hosts: HashMap::new(),
            breakers: HashMap::new(),
            forced: HashMap::new(),
        }
    }
}

impl State {
    /// The host behind `url`, with its sockets.
    #[must_use]
    pub fn host(&self, url: &BaseUrl) -> Arc<Host> {
        let mut vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        let (dial, limits) = (vendor.dial.clone(), vendor.limits);
        let (scheme, authority) = (url.scheme().clone(), url.authority().clone());
        let host = vendor.hosts.entry((scheme.clone(), authority.clone()));
        host.or_insert_with(|| Arc::new(Host::new(scheme, authority, limits, dial))).clone()
    }

    /// The breaker of the host behind `url`.
    #[must_use]
    pub fn breaker(&self, url: &BaseUrl) -> Arc<Breaker> {
        let mut vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        let host = (url.scheme().clone(), url.authority().clone());
        let VendorSide { breakers, forced, .. } = &mut *vendor;
        let new = || {
            let breaker = Breaker::default();
            breaker.force(forced.clone());
            Arc::new(breaker)
        };
        breakers.entry(host).or_insert_with(new).clone()
    }

    /// Vendor hosts that count as dead.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn hosts_down(&self) -> usize {
        let vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        vendor.breakers.values().filter(|breaker| breaker.is_open()).count()
    }
}

pub(super) fn host_limits(config: &Config) -> HostLimits {
    let vendor = &config.settings.vendor;
    HostLimits {
        connect: vendor.connect.get(),
        idle: vendor.idle.get(),
        max_age: vendor.max_age.get(),
        sockets: config.sockets.vendor,
    }
}
