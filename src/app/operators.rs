//! The admin port: served from its first key on, at the start or after a reload.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{CannotStart, address, for_few, limits, listen};
use crate::admin::{Api, Door, DoorRules};
use crate::config::Config;
use crate::descriptors::ADMIN;
use crate::runtime::State;
use crate::server::{self, Bound, Drain, Terms, Workers};
use crate::tls::Tickets;

/// What the port has of the configuration, and the port once it is there.
pub(super) struct Operators {
    rules: Arc<ArcSwap<DoorRules>>,
    terms: Arc<ArcSwap<Terms>>,
    tickets: Tickets,
    served: Option<Served>,
}

struct Served {
    fixed: Fixed,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// What can't change while the port is served.
#[derive(PartialEq, Eq)]
struct Fixed {
    listen: SocketAddr,
    /// A port that speaks TLS must not begin to take keys in clear text.
    secure: bool,
}

impl Operators {
    pub(super) fn new(config: &Config) -> Self {
        let tickets = Tickets::default();
        Self {
            rules: Arc::new(ArcSwap::from_pointee(rules(config))),
            terms: Arc::new(ArcSwap::from_pointee(terms(config, &tickets))),
            tickets,
            served: None,
        }
    }

    /// A listener, if `config` has the first key.
    ///
    /// # Errors
    /// The port can't be taken.
    pub(super) fn listener(&self, config: &Config) -> Result<Option<TcpListener>, CannotStart> {
        let first = self.served.is_none() && !config.admin.is_empty();
        first.then(|| listen("admin.listen", config.settings.admin.listen)).transpose()
    }

    /// Whether the port can go on under `config`.
    pub(super) fn can_follow(&self, config: &Config) -> bool {
        self.served.as_ref().is_none_or(|served| served.fixed == Fixed::of(config))
    }

    /// Takes over `config`.
    pub(super) fn follow(&mut self, config: &Config) {
        self.rules.store(Arc::new(rules(config)));
        self.terms.store(Arc::new(terms(config, &self.tickets)));
    }

    /// Serves `listener`.
    ///
    /// # Errors
    /// It has no address.
    pub(super) fn serve(
        &mut self,
        listener: TcpListener,
        config: &Config,
        state: &State,
    ) -> Result<(), CannotStart> {
        let address = address(&listener)?;
        let revoked = state.revocations().keys().clone();
        let api = Api::new(state.clone(), Door::new(address, self.rules.clone(), revoked));
        let few = (Workers::here(), Bound::ForFew { sockets: ADMIN });
        let serving = server::serve(listener, few, self.terms.clone(), api, Drain::default());
        let fixed = Fixed::of(config);
        tracing::info!(listener = "admin", addr = %address, tls = fixed.secure, "listening");
        self.served = Some(Served { fixed, address, accepting: tokio::spawn(serving) });
        Ok(())
    }

    /// Where it listens, once it does.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.served.as_ref().map(|served| served.address)
    }

    /// Takes no more connections.
    pub(super) fn stop(&self) {
        if let Some(served) = &self.served {
            served.accepting.abort();
        }
    }
}

impl Fixed {
    fn of(config: &Config) -> Self {
        Self { listen: config.settings.admin.listen, secure: config.admin_tls.is_some() }
    }
}

fn rules(config: &Config) -> DoorRules {
    let admin = &config.settings.admin;
    DoorRules {
        keys: config.admin.clone(),
        apps: config.keys.clone(),
        hosts: admin.hosts.iter().map(|name| name.as_str().into()).collect(),
        clients: admin.clients.clone(),
        secure: config.admin_tls.is_some(),
    }
}

fn terms(config: &Config, tickets: &Tickets) -> Terms {
    let tls = config.admin_tls.as_ref().map(|tls| tls.resuming(tickets));
    Terms { limits: for_few(limits(config)), tls }
}
