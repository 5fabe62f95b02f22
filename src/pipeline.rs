//! The stack: what happens to a request, top to bottom, one line a layer with its reason.
//!
//! [`Pipeline::build`] is pure: it reads the configuration and the state's handles and starts
//! nothing. A reload builds a new one and swaps it whole; a request uses the one it began with.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use tower::{Service, ServiceBuilder};

use crate::admin::health;
use crate::admission::buffer_body::{self, BufferBody};
use crate::admission::layer::Admit;
use crate::breaker::{Breaker, Guard};
use crate::cache::layer::Caching;
use crate::call::{BoxFuture, Request, StageLayer, StreamBody};
use crate::config::{Config, Server};
use crate::credentials::Credentials;
use crate::detached::caller_deadline::CallerDeadline;
use crate::idempotency::Commit;
use crate::idempotency::{Idempotency, WithoutKeys};
use crate::identity::authenticate::Authenticate;
use crate::ids::ConnectionId;
use crate::ingress::cors::Cors;
use crate::ingress::finish::Finish;
use crate::ingress::route::Route;
use crate::ingress::validate::{self, Validate};
use crate::me::Me;
use crate::record::Observer;
use crate::record::layer::OpenRecord;
use crate::retry::Retry;
use crate::runtime::State;
use crate::secret::TokenSource;
use crate::upstream::{self, Destination, Upstream};

/// What a client is given.
pub type Response = http::Response<StreamBody>;

/// The same, to come.
type Answer = BoxFuture<Result<Response, Infallible>>;

/// The stack of one configuration.
#[derive(Clone)]
pub struct Pipeline {
    stack: Arc<dyn Fn(Request) -> Answer + Send + Sync>,
    state: State,
}

impl Pipeline {
    /// Builds the stack.
    #[must_use]
    pub fn build(config: &Config, state: &State) -> Self {
        Self::observed(config, state, state.telemetry().clone())
    }

    /// Builds a stack whose finished records `observer` gets, and nobody else.
    #[must_use]
    pub fn observed(config: &Config, state: &State, observer: Arc<dyn Observer>) -> Self {
        let server = &config.settings.server;
        let desk = state.desk();
        // Below: a `Call`, step by step.
        let stages = ServiceBuilder::new()
            // the caller's deadline ends here; a call that was sent goes on without its caller
            .layer(CallerDeadline::layer(state.flights().clone()))
            // the whole body, bounded: a slow client holds nothing of what follows, and a call that
            // the quota would refuse is refused unread
            .layer(BufferBody::layer(body_limits(config), state.uploads().clone(), desk.clone()))
            // a send under a key is one send: known answers, twins, keys for those who gave none
            .layer(Idempotency::layer(state.keys().clone(), without_keys(config)))
            // a fresh copy costs nothing of what follows; a write clears what it changes
            .layer(Caching::layer(Arc::new(state.shelf(config)), state.flights().clone()))
            // further attempts, while proof, deadline and budget allow; each pays below
            .layer(Retry::layer(state.retries().clone(), desk.clone()))
            // a dead vendor host is not queued for
            .layer(Guard::layer(breakers(config, state)))
            // its turn, and a slot of each pool that the operation pays
            .layer(Admit::layer(desk))
            // from here on it may be acted on: what it must be known by is written down first
            .layer(Commit::layer())
            // the tenant's token, as late as possible
            .layer(Credentials::layer(
                config.tokens.clone(),
                token_sources(config),
                state.cache().clone(),
                state.admission().clone(),
            ))
            // pooled sockets, the attempt's own limits, a streaming answer
            .service(upstream(config, state));
        // Above: an HTTP request, until its route is known.
        let stack = ServiceBuilder::new()
            // one record a request: its line and metrics are written whatever happens below
            .layer(OpenRecord::layer(observer))
            // the outermost layer that can fail: errors and panics become problem documents
            .layer(Finish::layer())
            // a page in a browser asks first, without its key, and reads the errors from below
            .layer(Cors::layer(server.cors.values()))
            // ambiguous requests and loops are seen by nobody below
            .layer(screen(server, state))
            // the key becomes a caller; every credential of the client ends here
            .layer(Authenticate::layer(config.keys.clone()))
            // what an app asks about itself is no operation: it ends here
            .layer(Me::layer(config.keys.clone(), state.desk(), state.calls().clone()))
            // raw path and method become an operation, the request becomes a call
            .layer(Route::layer(config.catalog.clone(), server.deadline.get()))
            .service(stages);
        let stack = Arc::new(move |request| -> Answer { Box::pin(stack.clone().call(request)) });
        Self { stack, state: state.clone() }
    }

    /// Answers `request`.
    pub async fn answer(&self, request: Request) -> Response {
        if request.uri().path() == health::PATH {
            let reply = match validate::message(&request) {
                Ok(()) => health::answer(request.method(), self.state.unready()),
                Err(detail) => health::unclear(request.version(), detail),
            };
            return reply.into_response();
        }
        let Ok(response) = (self.stack)(request).await;
        response
    }
}

fn screen(server: &Server, state: &State) -> StageLayer<Validate> {
    let instance = state.instance().clone();
    let (target, head) = (server.target_size.get(), server.head_size.get());
    Validate::layer(instance, target, head, server.head_fields)
}

fn body_limits(config: &Config) -> buffer_body::Limits {
    let server = &config.settings.server;
    buffer_body::Limits {
        size: server.body_size.get(),
        total: server.body_total.get(),
        idle: server.body_idle.get(),
    }
}

fn token_sources(config: &Config) -> HashMap<ConnectionId, TokenSource> {
    let connections = config.settings.tenant.iter().flat_map(|tenant| &tenant.connection);
    connections.map(|connection| (connection.id.clone(), connection.token.clone())).collect()
}

fn breakers(config: &Config, state: &State) -> HashMap<ConnectionId, Arc<Breaker>> {
    let hosts = config.base_urls();
    hosts.map(|(connection, url)| (connection.id.clone(), state.breaker(url))).collect()
}

/// The apps that want no keys made.
fn without_keys(config: &Config) -> WithoutKeys {
    let apps = config.settings.tenant.iter().flat_map(|tenant| {
        let without = tenant.app.iter().filter(|app| !app.make_keys);
        without.map(|app| (tenant.id.clone(), app.id.clone()))
    });
    apps.collect()
}

fn upstream(config: &Config, state: &State) -> Upstream {
    let vendor = &config.settings.vendor;
    let limits = upstream::Limits {
        first_byte: vendor.first_byte.get(),
        hard_limit: vendor.hard_limit.get(),
        body_idle: vendor.body_idle.get(),
        body_total: vendor.body_total.get(),
    };
    let destinations: HashMap<ConnectionId, Destination> = config
        .base_urls()
        .map(|(connection, url)| {
            let pool = state.host(url).pool(&connection.id);
            let destination = Destination { pool, prefix: url.prefix().into() };
            (connection.id.clone(), destination)
        })
        .collect();
    let traces = vendor.pass_trace_context.then(|| config.settings.traces.sampling());
    Upstream::new(Arc::new(destinations), limits, state.instance().clone()).passing_on(traces)
}
