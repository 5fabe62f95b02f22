//! The stack: what happens to a request, top to bottom, one line a layer with its reason.
//!
//! [`Pipeline::build`] is pure: it reads the configuration and the state's handles and starts
//! nothing. A reload builds a new one and swaps it whole; a request uses the one it began with.

mod parts;

use std::convert::Infallible;
use std::sync::Arc;

use tower::{Service, ServiceBuilder};

use crate::admin::health;
use crate::admission::buffer_body::BufferBody;
use crate::admission::layer::Admit;
use crate::breaker::Guard;
use crate::cache::layer::Caching;
use crate::call::{BoxFuture, Call, Next, Request};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::detached::caller_deadline::CallerDeadline;
use crate::idempotency::{Commit, Idempotency};
use crate::identity::authenticate::Authenticate;
use crate::ingress::cors::Cors;
use crate::ingress::finish::Finish;
use crate::ingress::route::Route;
use crate::me::Me;
use crate::proof::SendProof;
use crate::record::Observer;
use crate::record::layer::{Arrival, OpenRecord, Recorded};
use crate::retry::Retry;
use crate::runtime::State;

/// What a client is given.
pub type Response = http::Response<Recorded>;

/// The same, to come.
type Answer = BoxFuture<Result<Response, Infallible>>;

/// The stack of one configuration.
#[derive(Clone)]
pub struct Pipeline {
    stack: Arc<dyn Fn(Arrival) -> Answer + Send + Sync>,
    state: State,
}

impl Pipeline {
    /// Builds the stack.
    #[must_use]
    pub fn build(config: &Config, state: &State) -> Self {
        Self::told(config, state, state.telemetry().clone())
    }

    /// Builds a stack whose finished records `observer` gets, and nobody else.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn observed(config: &Config, state: &State, observer: Arc<dyn Observer>) -> Self {
        Self::told(config, state, observer)
    }

    /// The upper half: an HTTP request, until its route is known.
    fn told(config: &Config, state: &State, observer: Arc<dyn Observer>) -> Self {
        let server = &config.settings.server;
        let stack = ServiceBuilder::new()
            // one record a request: its line and metrics are written whatever happens below
            .layer(OpenRecord::layer(observer))
            // the outermost layer that can fail: errors and panics become problem documents
            .layer(Finish::layer())
            // a page in a browser asks first, without its key, and reads the errors from below
            .layer(Cors::layer(server.cors.values()))
            // ambiguous requests and loops are seen by nobody below
            .layer(parts::screen(server, state))
            // the key becomes a caller; every credential of the client ends here
            .layer(Authenticate::layer(
                config.keys.clone(),
                config.admin.clone(),
                state.revocations().keys().clone(),
            ))
            // what an app asks about itself is no operation: it ends here
            .layer(Me::layer(config.keys.clone(), state.desk(), state.calls().clone()))
            // raw path and method become an operation, the request becomes a call
            .layer(Route::layer(config.catalog.clone(), server.deadline.get()))
            .service(Self::stages(config, state));
        let stack = Arc::new(move |arrival| -> Answer { Box::pin(stack.clone().call(arrival)) });
        Self { stack, state: state.clone() }
    }

    /// The lower half: a [`Call`], step by step.
    fn stages(config: &Config, state: &State) -> impl Next<Call> + use<> {
        let desk = state.desk();
        let pauses = state.admission().pauses();
        ServiceBuilder::new()
            // what an operator has paused goes no further, and no copy answers it
            .layer(pauses.stop_arriving())
            // the caller's deadline ends here; a call that was sent goes on without its caller
            .layer(CallerDeadline::layer(state.flights().clone()))
            // the whole body, bounded: a slow client holds nothing of what follows, and a call that
            // the quota would refuse is refused unread
            .layer(BufferBody::layer(
                parts::body_limits(config),
                parts::uploads(config, state),
                desk.clone(),
            ))
            // a send under a key is one send: known answers, twins, keys for those who gave none
            .layer(Idempotency::layer(state.keys().clone(), parts::names(config)))
            // a fresh copy costs nothing of what follows; a write clears what it changes
            .layer(Caching::layer(Arc::new(state.shelf(config)), state.flights().clone()))
            // further attempts, while proof, deadline and budget allow; each pays below
            .layer(Retry::layer(
                parts::budgets(config, state),
                state.retries().clone(),
                desk.clone(),
            ))
            // a dead vendor host is not queued for
            .layer(Guard::layer(parts::breakers(config, state)))
            // its turn, and a slot of each pool that the operation pays
            .layer(Admit::layer(desk))
            // paused while it waited
            .layer(pauses.stop_sending())
            // from here on it may be acted on: what it must be known by is written down first
            .layer(Commit::layer())
            // the tenant's token, as late as possible
            .layer(Credentials::layer(
                parts::tokens(config),
                state.cache().clone(),
                state.admission().clone(),
                state.tokens().clone(),
            ))
            // pooled sockets, the attempt's own limits, a streaming answer
            .service(parts::upstream(config, state))
    }

    /// Answers `request`, of whose client nobody tells.
    pub async fn answer(&self, request: Request) -> Response {
        self.answer_to(request, Arc::default()).await
    }

    /// Answers `request`; what the server knows of its client is in `proof`.
    pub async fn answer_to(&self, request: Request, proof: Arc<SendProof>) -> Response {
        if request.uri().path() == health::PATH {
            return health::answer(&request, self.state.unready()).map(Recorded::unseen);
        }
        let Ok(response) = (self.stack)(Arrival { request, proof }).await;
        response
    }
}
