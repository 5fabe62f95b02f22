//! From a configuration to a running gateway and back: state, pipeline, listeners, reload, drain.

mod operators;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin::Ops;
use crate::admission::Assume;
use crate::call;
use crate::clock::Instant;
use crate::config::{Config, SharedTable};
use crate::descriptors::{self, Budget, OPERATORS};
use crate::detached::Flights;
use crate::pipeline::Pipeline;
use crate::proof::SendProof;
use crate::record::layer::Recorded;
use crate::runtime::State;
use crate::server::{
    self, Answer, Bound, Drain, Event, Handshake, Limits, RequestBody, Terms, TooSlow, Unreadable,
    Workers,
};
use crate::telemetry::Telemetry;
use crate::telemetry::logs::AccessLog;
use crate::telemetry::metrics::{Counters, Labels, Metrics, Value, words};
use crate::tls::Tickets;
use crate::units::Span;
use operators::Operators;

/// A gateway that serves its ports.
pub struct Gateway {
    /// Where applications send their requests.
    pub data: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
    /// Operators' questions, if there are keys for it.
    pub admin: Option<SocketAddr>,
    /// Slots of connections that were taken at its start: those of calls of before.
    pub restored_slots: u32,
    state: State,
    pipeline: Arc<ArcSwap<Pipeline>>,
    terms: Arc<ArcSwap<Terms>>,
    tickets: Tickets,
    operators: Operators,
    fixed: Fixed,
    /// Sockets of clients that the data port takes.
    clients: usize,
    grace: Duration,
    drain_delay: Option<Duration>,
    drain: Drain,
    accepting: Vec<JoinHandle<()>>,
    /// They serve those who are connected after no more is accepted.
    workers: Workers,
}

/// What can't change while the gateway runs.
#[derive(Clone, PartialEq, Eq)]
struct Fixed {
    data: SocketAddr,
    ops: SocketAddr,
    sockets: usize,
    sockets_per_peer: Option<usize>,
    /// A port that speaks TLS must not begin to take keys in clear text.
    secure: bool,
    state: (Option<PathBuf>, Option<Assume>),
    shared: SharedTable,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// A port can't be taken.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// What it says.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The state folder can't be used.
    #[error("{0}")]
    State(String),
}

/// What a drain left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Client connections that were not done within the grace: their calls were refused or cut.
    pub connections: usize,
    /// Sent calls whose outcome was not awaited.
    pub flights: usize,
}

/// The data port: every request takes the pipeline of the moment.
#[derive(Clone)]
struct Data {
    pipeline: Arc<ArcSwap<Pipeline>>,
    metrics: Arc<Metrics>,
}

impl Gateway {
    /// Starts a gateway that writes its access lines to `access`, all of it in one runtime.
    ///
    /// # Errors
    /// When a port can't be taken; then nothing runs.
    pub async fn start(config: Config, access: AccessLog) -> Result<Self, CannotStart> {
        Self::start_with(config, access, Workers::here()).await
    }

    /// The same, whose applications are served by `workers`.
    ///
    /// # Errors
    /// When a port can't be taken; then nothing runs.
    pub async fn start_with(
        config: Config,
        access: AccessLog,
        workers: Workers,
    ) -> Result<Self, CannotStart> {
        let fixed = Fixed::of(&config);
        make_room(&config);
        let mut operators = Operators::new(&config);
        let Ports { data, ops, admin } = Ports::take(&fixed, &operators, &config)?;
        let telemetry = Telemetry::new(access);
        let state = State::new(&config, telemetry).map_err(CannotStart::State)?;
        say_state(&config);
        let restored_slots = state.admission().taken();
        let pipeline = Arc::new(ArcSwap::from_pointee(Pipeline::build(&config, &state)));
        let tickets = Tickets::default();
        let terms = Arc::new(ArcSwap::from_pointee(terms(&config, &tickets)));
        let drain = Drain::default();
        let (data_port, ops_port) = (address(&data)?, address(&ops)?);
        let answer = Data { pipeline: pipeline.clone(), metrics: state.metrics().clone() };
        answer.begin();
        let plain = Terms { limits: for_few(limits(&config)), tls: None };
        let plain = Arc::new(ArcSwap::from_pointee(plain));
        let clients = (workers.clone(), clients(&config));
        let few = (Workers::here(), Bound::ForFew { sockets: OPERATORS });
        let health = Ops::new(state.clone());
        let accepting = vec![
            tokio::spawn(server::serve(data, clients, terms.clone(), answer, drain.clone())),
            // Not drained: it says that the gateway drains.
            tokio::spawn(server::serve(ops, few, plain, health, Drain::default())),
        ];
        tracing::info!(listener = "data", addr = %data_port, tls = config.tls.is_some(), "listening");
        tracing::info!(listener = "ops", addr = %ops_port, "listening");
        match admin {
            Some(listener) => operators.serve(listener, &config, &state)?,
            None => tracing::info!("no [admin] keys: the admin port is not served yet"),
        }
        Ok(Self {
            data: data_port,
            ops: ops_port,
            admin: operators.address(),
            restored_slots,
            state,
            pipeline,
            terms,
            tickets,
            operators,
            fixed,
            clients: config.sockets.clients,
            grace: config.settings.server.grace.get(),
            drain_delay: config.settings.server.drain_delay.map(Span::get),
            drain,
            accepting,
            workers,
        })
    }

    /// What outlives a reload.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Swaps in a new configuration. Requests under way keep the one they began with.
    ///
    /// # Errors
    /// When it changes what can't change in a running gateway, or when the program has a fault;
    /// then the old one stays.
    pub fn reload(&mut self, config: &Config) -> Result<(), String> {
        if Fixed::of(config) != self.fixed || !self.operators.can_follow(config) {
            return Err("server.listen, server.sockets, server.sockets_per_peer, ops.listen, whether there is server.tls, admin.listen and whether there is admin.tls (once that port is served), [state] and [shared] can't change in a running gateway: restart it".into());
        }
        if config.sockets.clients < self.clients {
            return Err(format!(
                "vendor.sockets, for each host of the vendor, and the sockets of operators need more file descriptors than {} sockets of clients leave: restart the gateway",
                self.clients
            ));
        }
        let admin = self.operators.listener(config).map_err(|error| error.to_string())?;
        let pipeline = unharmed(|| {
            self.state.reconfigure(config)?;
            Ok(Pipeline::build(config, &self.state))
        })?;
        self.pipeline.store(Arc::new(pipeline));
        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.terms.store(Arc::new(terms(config, &self.tickets)));
        self.operators.follow(config);
        if let Some(listener) = admin {
            self.operators
                .serve(listener, config, &self.state)
                .map_err(|error| error.to_string())?;
            self.admin = self.operators.address();
        }
        self.grace = config.settings.server.grace.get();
        self.drain_delay = config.settings.server.drain_delay.map(Span::get);
        Ok(())
    }

    /// Counts a reload that ended as `outcome`.
    pub fn reloaded(&self, outcome: &'static str) {
        self.state.metrics().reloaded(outcome);
    }

    /// From now on health checks fail; requests are still taken. Returns how long they shall be, if
    /// the configuration says it.
    #[must_use]
    pub fn announce_drain(&self) -> Option<Duration> {
        self.state.drain();
        self.drain_delay
    }

    /// From now on health checks fail and no new request is taken.
    pub fn begin_drain(&self) {
        self.state.drain();
        self.state.feed().end();
        self.drain.begin();
    }

    /// Takes no new request, finishes those under way within the grace, and stops.
    pub async fn shut_down(self) -> Drained {
        self.begin_drain();
        let begun = Instant::now();
        let flights = self.state.flights();
        let finished = async {
            self.drain.ended().await;
            flights.landed().await;
        };
        let in_time = timeout(self.grace, finished).await.is_ok();
        let connections = self.drain.open();
        if !in_time {
            flights.end_waits();
            let _ = timeout(LAST_ANSWERS, self.drain.ended()).await;
        }
        say_left(flights);
        let flights = flights.len();
        for task in &self.accepting {
            task.abort();
        }
        self.operators.stop();
        drop(self.workers);
        self.state.write_usage().await;
        self.state.revocations().write().await;
        let audit = self.state.audit().clone();
        let _ = tokio::task::spawn_blocking(move || audit.flush()).await;
        self.state.leave().await;
        if in_time {
            self.state.close();
        }
        self.state.traces().shut_down(self.grace.saturating_sub(begun.elapsed())).await;
        Drained { connections, flights }
    }
}

/// What is listened to.
struct Ports {
    data: TcpListener,
    ops: TcpListener,
    admin: Option<TcpListener>,
}

impl Ports {
    fn take(fixed: &Fixed, operators: &Operators, config: &Config) -> Result<Self, CannotStart> {
        let data = listen("server.listen", fixed.data)?;
        let ops = listen("ops.listen", fixed.ops)?;
        let admin = operators.listener(config)?;
        Ok(Self { data, ops, admin })
    }
}

/// Time for the refusals of those who still wait when nothing is waited for any more.
pub const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A panic in `build` is a refused reload, not the end of every call under way.
fn unharmed<T>(build: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|_| {
        Err("Tollgate has a fault that this file brings out: the log has its place under 'panic'".into())
    })
}

/// Connections that wait in the kernel for a place: the most that Linux allows by default. The
/// standard library asks for 128, and a client beyond it tries again only after a second.
const BACKLOG: u32 = 4096;

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, CannotStart> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A port whose last connections are not quite over may be taken again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|source| CannotStart::Listen { key, address, source })
}

/// Names the calls that were sent and whose outcome nobody awaits any more.
pub fn say_left(flights: &Flights) {
    for (call_id, operation) in flights.list() {
        tracing::warn!(%call_id, operation, "sent, and its outcome was not awaited");
    }
}

/// Says what is forgotten without a state folder.
fn say_state(config: &Config) {
    if config.state_dir().is_none() {
        tracing::warn!(
            "no state folder: usage is not counted, and after a restart every quota begins afresh"
        );
    }
}

/// Raises the limit of descriptors, and says who gets them.
fn make_room(config: &Config) {
    if let Err(error) = descriptors::raise() {
        tracing::warn!(cause = %error, "the soft limit of file descriptors cannot be raised");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let Budget { limit, needed, clients, vendor, operators } = config.sockets;
    tracing::info!(
        limit,
        needed,
        clients,
        vendor_each_host = vendor,
        operators,
        reserve = descriptors::RESERVE,
        "file descriptors"
    );
}

fn address(listener: &TcpListener) -> Result<SocketAddr, CannotStart> {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| CannotStart::Listen {
        key: "listen",
        address: nowhere,
        source,
    })
}

fn clients(config: &Config) -> Bound {
    let per_peer = config.settings.server.sockets_per_peer;
    Bound::ForMany { sockets: config.sockets.clients, per_peer }
}

fn limits(config: &Config) -> Limits {
    let server = &config.settings.server;
    Limits {
        handshake: server.handshake.get(),
        head_size: server.head_size.get(),
        head_fields: server.head_fields,
        head_time: server.head_time.get(),
        keep_alive: server.keep_alive.get(),
        stalled_reader: server.stalled_reader.get(),
        streams: server.streams,
    }
}

/// The same for ports that few use: who has nothing to ask makes room soon. The rest between two
/// requests is none of the usual intervals of probes and scrapers, which would meet the close.
fn for_few(limits: Limits) -> Limits {
    Limits {
        head_time: Duration::from_secs(5),
        keep_alive: Duration::from_secs(8),
        stalled_reader: Duration::from_secs(10),
        streams: 8,
        ..limits
    }
}

fn terms(config: &Config, tickets: &Tickets) -> Terms {
    Terms { limits: limits(config), tls: config.tls.as_ref().map(|tls| tls.resuming(tickets)) }
}

impl Fixed {
    fn of(config: &Config) -> Self {
        let settings = &config.settings;
        Self {
            data: settings.server.listen,
            ops: settings.ops.listen,
            sockets: settings.server.sockets,
            sockets_per_peer: settings.server.sockets_per_peer,
            secure: config.tls.is_some(),
            state: (config.state_dir(), settings.state.assume),
            shared: settings.shared.clone(),
        }
    }
}

impl Data {
    /// What happens to client sockets is counted from 0.
    fn begin(&self) {
        let metrics = &self.metrics;
        words(&metrics.handshakes, "outcome", Handshake::ALL.map(Handshake::as_str));
        words(&metrics.unreadable, "reason", Unreadable::ALL.map(Unreadable::as_str));
        words(&metrics.too_slow, "limit", TooSlow::ALL.map(TooSlow::as_str));
    }
}

impl Answer for Data {
    type Body = Recorded;

    async fn answer(
        &self,
        request: http::Request<RequestBody>,
        proof: Arc<SendProof>,
    ) -> http::Response<Recorded> {
        let request = request.map(call::unless_ended);
        self.pipeline.load_full().answer_to(request, proof).await
    }

    fn happened(&self, event: Event) {
        let metrics = &self.metrics;
        let count = |family: &Counters<1>, label, word| {
            family.get_or_create(&Labels([(label, Value::Word(word))])).inc();
        };
        match event {
            Event::Opened => {
                metrics.accepted.inc();
                metrics.sockets.inc();
            }
            Event::Closed => {
                metrics.sockets.dec();
            }
            Event::TurnedAway => {
                metrics.turned_away.inc();
            }
            Event::Handshake(end) => count(&metrics.handshakes, "outcome", end.as_str()),
            Event::Unreadable(reason) => count(&metrics.unreadable, "reason", reason.as_str()),
            Event::TooSlow(limit) => count(&metrics.too_slow, "limit", limit.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_a_configuration_is_taken_over_is_a_refusal() {
        let refused = unharmed::<()>(|| panic!("a fault"));
        assert!(refused.is_err_and(|reason| reason.contains("Tollgate has a fault")));
        assert_eq!(unharmed(|| Ok(1)), Ok(1));
    }
}
