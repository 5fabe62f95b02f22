//! What each layer gets of a configuration and of what outlives it.

use std::sync::Arc;

use crate::admission::buffer_body;
use crate::breaker::Guarded;
use crate::call::{StageLayer, Uploader};
use crate::config::{Config, ServerTable};
use crate::credentials::InitialToken;
use crate::ids::ConnectionId;
use crate::ingress::validate::Validate;
use crate::numbers::{ConnectionIx, Table};
use crate::retry::ConnectionBudgets;
use crate::runtime::State;
use crate::upstream::{self, Upstream, VendorDestination};

pub(super) fn screen(server: &ServerTable, state: &State) -> StageLayer<Validate> {
    let instance = state.instance().clone();
    let (target, head) = (server.target_size.get(), server.head_size.get());
    Validate::layer(instance, target, head, server.head_fields)
}

pub(super) fn body_limits(config: &Config) -> buffer_body::BodyLimits {
    let server = &config.settings.server;
    buffer_body::BodyLimits {
        size: server.body_size.get(),
        total: server.body_total.get(),
        idle: server.body_idle.get(),
    }
}

/// The token of each connection, and where newer ones would be.
pub(super) fn tokens(config: &Config) -> Table<ConnectionIx, InitialToken> {
    let connections = config.base_urls().map(|(connection, _)| InitialToken {
        connection: connection.id.clone(),
        source: connection.token.clone(),
        token: config.tokens[&connection.id].clone(),
        unreadable: config.unreadable.contains(&connection.id),
    });
    connections.collect()
}

pub(super) fn breakers(config: &Config, state: &State) -> Table<ConnectionIx, Guarded> {
    let hosts = config.base_urls();
    hosts.map(|(connection, url)| state.breaker(url).guards(&connection.id)).collect()
}

/// The connections, in the order of their numbers.
pub(super) fn names(config: &Config) -> impl Iterator<Item = &ConnectionId> {
    config.base_urls().map(|(connection, _)| &connection.id)
}

/// What further attempts each connection may still make.
pub(super) fn budgets(
    config: &Config,
    state: &State,
) -> Table<ConnectionIx, Arc<ConnectionBudgets>> {
    config.base_urls().map(|(connection, _)| state.retries().of(&connection.id)).collect()
}

/// How each connection shares the room for request bodies.
pub(super) fn uploads(config: &Config, state: &State) -> Table<ConnectionIx, Uploader> {
    config.base_urls().map(|(connection, _)| state.uploads().of(&connection.id)).collect()
}

pub(super) fn upstream(config: &Config, state: &State) -> Upstream {
    let vendor = &config.settings.vendor;
    let limits = upstream::AttemptLimits {
        first_byte: vendor.first_byte.get(),
        hard_limit: vendor.hard_limit.get(),
        body_idle: vendor.body_idle.get(),
        body_total: vendor.body_total.get(),
    };
    let destinations = config.base_urls().map(|(connection, url)| {
        let pool = state.host(url).pool(&connection.id);
        VendorDestination { pool, prefix: url.prefix().into() }
    });
    let traces = vendor.pass_trace_context.then(|| config.settings.traces.sampling());
    Upstream::new(destinations.collect(), limits, state.instance()).passing_on(traces)
}
