//! The configuration file as written: one struct a table, defaults beside the keys.
//!
//! Doc comments become descriptions in the JSON Schema and in `config/reference.md`.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin::{Admin, OpsTable};
use super::base_url::BaseUrl;
use super::cache::{CacheControl, CacheTable};
use super::cors::CorsTable;
use super::expiry::Expiry;
use super::shared::SharedTable;
use super::tls_files::TlsFiles;
use super::traces::TracesTable;
use crate::admission::Assume;
use crate::catalog::Lane;
use crate::identity::Digest;
use crate::ids::{AppId, ConnectionId, KeyId, TenantId, WorkspaceId};
use crate::quota::Mode;
use crate::record::Trust;
use crate::secret::TokenSource;
use crate::telemetry::logs::LogSettings as Logs;
use crate::units::{Size, Span};

/// The configuration of one Tollgate process.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The data port: where applications send their requests.
    pub server: ServerTable,
    /// The port for health checks and metrics. It changes nothing and needs no key. Browsers can
    /// read `/metrics` only under an address or `localhost`, since any page can point a name of its
    /// own here. Scrapers may use any name.
    pub ops: OpsTable,
    /// The port for operators: who waits behind whom, why a call was slow, and changes for a time.
    /// It is served from its first key on, which a reload may bring. After that `listen` can't
    /// change, nor whether there is `tls`. `docs/admin.md` has all of it.
    pub admin: Admin,
    /// The Courier API, or a replacement for it.
    pub vendor: Vendor,
    /// The quota of each connection, unless it says otherwise.
    pub quota: QuotaTable,
    /// Which reads are answered from kept copies.
    pub cache: CacheTable,
    /// Traces of calls, sent as OTLP over HTTP. `docs/traces.md` describes every span. A reload can
    /// change all of it.
    pub traces: TracesTable,
    /// What survives a restart.
    pub state: StateTable,
    /// The Redis that several replicas of this gateway share. `docs/shared.md` says what it is used
    /// for. A change needs a restart.
    pub shared: SharedTable,
    /// What is logged on standard output, and in which form. A reload can change it. Where the
    /// variable `RUST_LOG` is set, such as `warn,tollgate::server=debug`, it replaces `level` and
    /// `levels`, for libraries too.
    pub logs: Logs,
    /// The organisations or teams that use this gateway. At least one.
    pub tenant: Vec<Tenant>,
}

/// The data port and the limits of what clients may do there.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTable {
    /// Address or host name, and port, such as `"localhost:8080"`. Port 0 takes a free port, which
    /// the log names.
    #[serde(deserialize_with = "crate::address::deserialize")]
    pub listen: SocketAddr,
    /// Certificate and key. Without them the port speaks plain HTTP (HTTP/1.1 and h2c).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Time in which a caller gets the head of an answer, unless it asked for less. It is below the
    /// 60 s of Courier's SDKs, so that they never give up first.
    pub deadline: Span,
    /// Time from SIGTERM until no new request is taken. Meanwhile health checks fail, so that load
    /// balancers go elsewhere before a connection is refused. Default: `"5s"`, and `"0s"` on a
    /// terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_delay: Option<Span>,
    /// Time that calls under way have to finish at shutdown, from the end of `drain_delay` on.
    /// Calls that take longer get 503 `stopping`, for which there is one more second.
    pub grace: Span,
    /// Client connections at a time. One in ten of them is not served but waits, for up to
    /// `head_time`; more are closed. To make room, the connections that are idle longest are closed
    /// first, of the address that holds the most. Then requests that do not arrive whole are closed,
    /// for an address that holds fewer. Calls under way are not cut. If the process may not have that
    /// many file descriptors there are fewer; `tollgate check` and the log say so.
    pub sockets: usize,
    /// Client connections at a time from one address (an IPv6 network of 64 bits counts as one).
    /// More are closed as they come. It is off by default, since behind a load balancer all clients
    /// have its address. Set it if clients connect directly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets_per_peer: Option<usize>,
    /// Time for the TLS handshake.
    pub handshake: Span,
    /// The largest request head.
    pub head_size: Size,
    /// The most header fields in a request.
    pub head_fields: usize,
    /// Time from connect to the end of the first request head.
    pub head_time: Span,
    /// The largest request target (path and query).
    pub target_size: Size,
    /// The largest request body. Courier takes 6 MB.
    pub body_size: Size,
    /// Time for the whole request body.
    pub body_total: Span,
    /// The longest time between two pieces of a request body.
    pub body_idle: Span,
    /// Bytes of request bodies that all calls together may hold at a time. Beyond that a call gets
    /// 503. Each connection has a part that no other can take: one body of full size, if there are
    /// enough for all.
    pub uploads_total: Size,
    /// Time that a client connection may stay open without a request. Load balancers commonly keep
    /// their own connections for 60 s. This time is longer, so that they never send into a
    /// connection that is closing. It is also longer than the usual `Retry-After`. HTTP/1 answers
    /// announce it, one second short, as `Keep-Alive: timeout=74`, so that a client that reads it
    /// closes first. Below 2 s nothing is announced.
    pub keep_alive: Span,
    /// Time that a client may leave an answer unread.
    pub stalled_reader: Span,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// Pages in browsers that may call the gateway. A page has no safe place for a key, so it is
    /// better if its own server calls.
    pub cors: CorsTable,
}

impl Default for ServerTable {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            tls: None,
            deadline: Span::secs(55),
            drain_delay: None,
            grace: Span::secs(30),
            sockets: 10_000,
            sockets_per_peer: None,
            handshake: Span::secs(10),
            head_size: Size::kib(32),
            head_fields: 100,
            head_time: Span::secs(10),
            target_size: Size::kib(8),
            body_size: Size::mib(6),
            body_total: Span::secs(30),
            body_idle: Span::secs(10),
            uploads_total: Size::mib(256),
            keep_alive: Span::secs(75),
            stalled_reader: Span::secs(30),
            streams: 100,
            cors: CorsTable::default(),
        }
    }
}

/// How the vendor is reached.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vendor {
    /// Where the API is. Courier's EU host is `https://api.eu.courier.com`.
    pub base_url: BaseUrl,
    /// A catalogue file. It replaces the embedded catalogue, or adds to it with `extends =
    /// "courier"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<PathBuf>,
    /// Time for name look-up, TCP and TLS handshake together.
    pub connect: Span,
    /// Time from the end of the request to the head of the answer.
    pub first_byte: Span,
    /// Time for one attempt, from when it takes its slot until the head of the answer, whether or
    /// not anybody still waits. Waiting for a socket is part of it.
    pub hard_limit: Span,
    /// Time that an unused socket is kept. It is below Courier's own, so that Courier never closes
    /// first.
    pub idle: Span,
    /// Age from which a socket takes no new request, so that a changed address is followed.
    pub max_age: Span,
    /// The longest time between two pieces of an answer's body.
    pub body_idle: Span,
    /// Time for the whole body of an answer.
    pub body_total: Span,
    /// Sockets at a time to one host. Half of them are divided among the connections of the
    /// configuration. Each connection has its part, which no other takes. The other half is for
    /// connections that need more.
    pub sockets: usize,
    /// Allows `http://` to hosts other than this machine. Tokens are then sent in clear text.
    pub allow_plain_http: bool,
    /// Further root certificates to trust, as a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Sends `traceparent` (and a parent's `tracestate`) with each attempt, so that Courier can put
    /// its own spans below the gateway's. Needs `traces.endpoint`.
    pub pass_trace_context: bool,
}

impl Default for Vendor {
    fn default() -> Self {
        Self {
            base_url: BaseUrl::courier(),
            catalog: None,
            connect: Span::secs(5),
            first_byte: Span::secs(60),
            hard_limit: Span::secs(60),
            idle: Span::secs(30),
            max_age: Span::secs(55),
            body_idle: Span::secs(30),
            body_total: Span::secs(300),
            sockets: 512,
            allow_plain_http: false,
            ca_file: None,
            pass_trace_context: false,
        }
    }
}

/// How many calls a connection may make, and how they wait for their turn. Under a connection's own
/// `quota` the keys that it leaves out are those of `[quota]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaTable {
    /// `"enforce"` lets calls wait or refuses them. `"shadow"` only reports what it would have
    /// done. Default `"enforce"`.
    pub mode: Option<Mode>,
    /// Calls in any one window. Default 100.
    pub calls: Option<u32>,
    /// The window. Default `"60s"`.
    pub window: Option<Span>,
    /// The longest that an interactive call waits, unless it asks for more or less itself
    /// (`Prefer: wait=20`). Default `"5s"`.
    pub max_wait: Option<Span>,
    /// The longest that a bulk call waits, and the longest that any call may ask for. Default: the
    /// deadline of `[server]`.
    pub max_wait_bulk: Option<Span>,
    /// Calls that may wait. Default: `calls`, as many as one window can serve.
    pub depth: Option<u32>,
    /// Calls of one app that may wait. Default: half of `depth`.
    pub app_depth: Option<u32>,
    /// Calls that may start together. Default: `calls`. Lower it (3 is advised) for an API that
    /// counts approximately. Calls are then paced.
    pub burst: Option<u32>,
    /// Bulk calls in a window that go before waiting interactive calls. Default: `calls` / 20.
    pub bulk_floor: Option<u32>,
    /// This process's fixed share of `calls`, if several processes run without a shared store: `{
    /// replicas = 3, index = 0 }`. What is left out comes from the environment, so that all of them
    /// can have the same file with `{}`.
    pub static_share: Option<StaticShare>,
}

/// One of several equal parts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table: { replicas = 3, index = 0 }")]
pub struct StaticShare {
    /// How many processes share the quota. Default: `$TOLLGATE_REPLICAS`.
    pub replicas: Option<u32>,
    /// Which of them this is, from 0. Default: `$TOLLGATE_REPLICA_INDEX`, else the number at the
    /// end of the host's name, as in `gateway-0`.
    pub index: Option<u32>,
}

/// What is remembered over a restart.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateTable {
    /// A folder that belongs to this process alone. It holds slots, made keys, and the usage of
    /// each day. Default: `$STATE_DIRECTORY`. Without either, nothing survives a restart and usage
    /// is not counted; the log says so.
    pub dir: Option<PathBuf>,
    /// What to assume about the time before the start, whatever the folder says: `"fresh"` (nobody
    /// called) or `"used"` (every slot was used just now).
    pub assume: Option<Assume>,
}

/// An organisation or team. Connections, tokens and caches never cross from one to another.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Its connections: Courier tokens, each with its quota. Without any, none of its apps can
    /// call.
    #[serde(default)]
    pub connection: Vec<Connection>,
    /// Its applications.
    #[serde(default)]
    pub app: Vec<AppTable>,
}

/// One vendor credential with its quota.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its name, unique in the file.
    pub id: ConnectionId,
    /// Where its token is: `{ file = "…" }` or `{ env = "…" }`. A new token in the file is used
    /// within two seconds. Two connections can't have the same token.
    pub token: TokenSource,
    /// Where its API is, if not at `vendor.base_url`.
    #[serde(default)]
    pub base_url: Option<BaseUrl>,
    /// Its workspace at Courier. Connections of one workspace see each other's writes. By default
    /// each has its own.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
    /// Its quota, where it differs from `[quota]`.
    #[serde(default)]
    pub quota: QuotaTable,
}

/// One application.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppTable {
    /// Its name, unique in its tenant.
    pub id: AppId,
    /// Its keys, made by `tollgate keys new`. It may have several at a time. A key with `expires =
    /// "2027-03-01T00:00:00Z"` is refused from then on.
    pub keys: Vec<AppKey>,
    /// What it may do: `*`, `*.read`, a group, `<group>.read`, an operation id, `unlisted`. The
    /// groups `auth`, `providers`, `inbound` and `client`, and `unlisted`, must be named.
    #[serde(default = "every_scope")]
    pub scopes: Vec<String>,
    /// The connections that it may use, the default first. If left out: the tenant's only one.
    #[serde(default)]
    pub connections: Option<Vec<ConnectionId>>,
    /// `"interactive"`, or `"bulk"` for background work. Bulk calls are paced, and go behind the
    /// others.
    #[serde(default)]
    pub lane: Lane,
    /// Its share among the apps that want more than there is, at least 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// A limit of its own, such as `{ calls = 10, window = "60s" }`.
    #[serde(default)]
    pub limit: Option<AppLimit>,
    /// Gives an `Idempotency-Key` to a POST that has none, on operations where the catalogue says
    /// `idempotency = "make"`. With `false`, such a POST is never tried again once it was sent.
    #[serde(default = "yes")]
    pub make_keys: bool,
    /// `"obey"` follows the app's own `Cache-Control` on cached reads. `"ignore"` does not.
    #[serde(default)]
    pub cache_control: CacheControl,
    /// How its `traceparent` is used, if not as `traces.context` says: `"parent"` (only for trusted
    /// apps), `"link"` or `"ignore"`.
    #[serde(default)]
    pub trace_context: Option<Trust>,
}

/// A limit of one app, on each of its connections.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table: { calls = 10, window = \"60s\" }")]
pub struct AppLimit {
    /// Calls at once. They come back evenly over the window, so one window holds at most twice as
    /// many.
    pub calls: u32,
    /// The window.
    pub window: Span,
}

/// One key of an application.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: { id = \"k1\", sha256 = \"…\" }, which `tollgate keys new` prints"
)]
pub struct AppKey {
    /// The part between `tg_` and the next `_`: a-z and 0-9, unique in the file.
    pub id: KeyId,
    /// SHA-256 of the whole key, in hex.
    #[serde(skip_serializing)]
    pub sha256: Digest,
    /// From then on it is refused (RFC 3339), such as `"2027-03-01T00:00:00Z"`.
    #[serde(default)]
    pub expires: Option<Expiry>,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn every_scope() -> Vec<String> {
    vec!["*".into()]
}
