//! What the views of a running gateway know of its configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::uri::{Authority, Scheme};

use crate::clock;
use crate::config::{AppTable, Config, Tenant};
use crate::ids::{ConnectionId, TenantId};
use crate::live::KnownConnection;
use crate::live::documents::{Expiring, epoch_ms};
use crate::tls;

/// What expires within so long is shown.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module text.
pub(super) struct ConfigurationFacts {
    /// The connections.
    pub(super) connections: HashMap<ConnectionId, ConnectionFacts>,
    /// All that expires, in order.
    expires: Vec<(SystemTime, String)>,
}

/// What is known of a connection.
pub(super) struct ConnectionFacts {
    /// Whose it is.
    pub(super) tenant: TenantId,
    /// The host that it calls.
    pub(super) host: (Scheme, Authority),
    /// Where its token is.
    pub(super) source: String,
}

impl ConfigurationFacts {
    pub(super) fn of(config: &Config) -> Self {
        let hosts: HashMap<&ConnectionId, (Scheme, Authority)> = config
            .base_urls()
            .map(|(c, url)| (&c.id, (url.scheme().clone(), url.authority().clone())))
            .collect();
        let tenants = &config.settings.tenant;
        let connections = tenants.iter().flat_map(|tenant| {
            let hosts = &hosts;
            tenant.connection.iter().filter_map(move |connection| {
                let host = hosts.get(&connection.id)?.clone();
                let (tenant, source) = (tenant.id.clone(), connection.token.to_string());
                Some((connection.id.clone(), ConnectionFacts { tenant, host, source }))
            })
        });
        Self { connections: connections.collect(), expires: expires(config) }
    }

    /// What expires within 30 days, or has expired, the soonest first.
    pub(super) fn expiring(&self) -> Vec<Expiring> {
        let end = clock::wall() + SOON;
        let soon = self.expires.iter().take_while(|(at, _)| *at < end);
        soon.map(|(at, what)| Expiring { what: what.clone(), at_ms: epoch_ms(*at) }).collect()
    }
}

/// The connections whose calls are heard of.
pub(super) fn known(config: &Config) -> Vec<KnownConnection> {
    let hosts: HashMap<&ConnectionId, Arc<str>> =
        config.base_urls().map(|(c, url)| (&c.id, url.authority().as_str().into())).collect();
    let of = |tenant: &Tenant, id: &ConnectionId| -> HashSet<_> {
        let uses = |app: &&AppTable| app.connections.as_ref().is_none_or(|list| list.contains(id));
        tenant.app.iter().filter(uses).map(|app| app.id.clone()).collect()
    };
    let tenants = config.settings.tenant.iter();
    let each = tenants.flat_map(|tenant| tenant.connection.iter().map(move |c| (tenant, &c.id)));
    each.filter_map(|(tenant, id)| {
        let (apps, host) = (of(tenant, id), hosts.get(id)?.clone());
        Some(KnownConnection { id: id.clone(), apps, host })
    })
    .collect()
}

fn expires(config: &Config) -> Vec<(SystemTime, String)> {
    let settings = &config.settings;
    let mut all = Vec::new();
    for tenant in &settings.tenant {
        for app in &tenant.app {
            let ends = app.keys.iter().filter_map(|key| Some((key.expires?.0, key.id.as_str())));
            let named = |(at, key)| (at, format!("key '{key}' of {}/{}", tenant.id, app.id));
            all.extend(ends.map(named));
        }
    }
    for key in &settings.admin.keys {
        let named = |end: SystemTime| (end, format!("admin key '{}'", key.id.as_str()));
        all.extend(key.expires.map(|end| named(end.0)));
    }
    let certificate = config.tls.as_ref().map(tls::Server::expires);
    all.extend(certificate.map(|at| (at, "the certificate of server.tls".to_owned())));
    all.sort();
    all
}
