//! What is shown of one connection and of the vendor's side.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::State;
use crate::ids::ConnectionId;
use crate::live::details::{
    AppShare, CacheView, ConnectionDetail, HostView, SLOTS, SlotDetail, SocketCounts,
    TenantConnection, TokenView, VendorView,
};
use crate::live::documents::epoch_ms;

impl State {
    /// The connections, as operators see them.
    #[must_use]
    pub fn connections(&self) -> Vec<TenantConnection> {
        let named = |view: crate::admission::ConnectionView| {
            let tenant = view.connection.parse().map(|id| self.tenant_of(&id)).unwrap_or_default();
            TenantConnection { view, tenant }
        };
        self.admission().view().into_iter().map(named).collect()
    }

    /// All of one connection, if there is one of that name.
    #[must_use]
    pub fn connection(&self, id: &ConnectionId) -> Option<ConnectionDetail> {
        let of = self.connections().into_iter().find(|one| one.view.connection == id.as_str())?;
        let slots = self.admission().slots(id, SLOTS)?;
        let times = |app: &str| {
            let times = app.parse().map(|app| self.recorder().app(id, &app)).unwrap_or_default();
            (times.waits, times.refused)
        };
        Some(ConnectionDetail {
            words: self.words_of(id),
            slots: slots.into_iter().map(SlotDetail::of).collect(),
            shares: AppShare::of(&of.view, &of.tenant, times),
            of,
        })
    }

    /// What the cache does.
    pub async fn cache_view(&self) -> CacheView {
        let (bytes, capacity) = (self.cache().bytes().await, self.cache().capacity());
        CacheView::of((bytes, capacity as u64), self.metrics().cached())
    }

    /// The hosts of the vendor, and the tokens.
    #[must_use]
    pub fn vendor_view(&self) -> VendorView {
        let facts = self.0.live.facts.load();
        let mut tokens: Vec<TokenView> = facts
            .connections
            .iter()
            .map(|(id, known)| TokenView {
                connection: id.to_string(),
                state: self.token_state(id),
                source: known.source.clone(),
                changed_at_ms: self
                    .tokens()
                    .page(id)
                    .and_then(|page| page.changed_at)
                    .map(epoch_ms),
            })
            .collect();
        tokens.sort_by(|one, other| one.connection.cmp(&other.connection));
        VendorView { hosts: self.hosts(), tokens }
    }

    fn hosts(&self) -> Vec<HostView> {
        let times = self.recorder().hosts();
        let facts = self.0.live.facts.load();
        let used: BTreeMap<&str, _> =
            facts.connections.values().map(|it| (it.host.1.as_str(), &it.host)).collect();
        let vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        let each = used.into_iter().map(|(name, host)| HostView {
            host: name.to_owned(),
            breaker: vendor.breakers.get(host).map_or("closed", |breaker| breaker.of_host()),
            sockets: vendor.hosts.get(host).map_or(SocketCounts { open: 0, busy: 0 }, |host| {
                SocketCounts { open: host.sockets(), busy: host.busy() }
            }),
            times: times.get(name).cloned().unwrap_or_default(),
        });
        each.collect()
    }
}
