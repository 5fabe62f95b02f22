//! How one vendor host is reached, and the places for sockets to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use http::uri::{Authority, Scheme};

use super::dial::{Dial, Line};
use super::places::SocketPlaces;
use crate::call::BoxFuture;
use crate::error::Cause;

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
pub struct Site {
    scheme: Scheme,
    authority: Authority,
    /// The same as the field `Host`.
    host_field: HeaderValue,
    limits: HostLimits,
    dial: ArcSwap<Arc<dyn Dial>>,
    places: Arc<SocketPlaces>,
}

impl Site {
    pub(super) fn new(
        scheme: Scheme,
        authority: Authority,
        limits: HostLimits,
        dial: Arc<dyn Dial>,
    ) -> Self {
        let host_field = HeaderValue::from_str(authority.as_str());
        Self {
            scheme,
            authority,
            host_field: host_field.expect("an authority is visible ASCII"),
            limits,
            dial: ArcSwap::from_pointee(dial),
            places: SocketPlaces::new(limits.sockets),
        }
    }

    /// From now on lines are opened by `dial`; those that are open stay.
    pub(super) fn redial(&self, dial: Arc<dyn Dial>) {
        self.dial.store(Arc::new(dial));
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

    pub(super) fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    pub(super) fn sockets(&self) -> usize {
        self.places.taken()
    }

    pub(super) fn limits(&self) -> &HostLimits {
        &self.limits
    }

    pub(super) fn places(&self) -> &Arc<SocketPlaces> {
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
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({}://{})", self.scheme, self.authority)
    }
}
