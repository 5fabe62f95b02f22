//! Opens connections: to one Redis, to the primary that sentinels name, or to a cluster.

use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode, Value,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::error::StoreError;
use super::{Kind, StoreSettings};
use crate::secret::TokenSource;

/// Time to open a connection, with look-ups and handshakes.
const CONNECT: Duration = Duration::from_secs(5);
/// The port of Redis, and that of sentinels.
const PORTS: [u16; 2] = [6379, 26379];
/// How often the library sends a command to another node of a cluster, after a redirection or a
/// loss. All of it is within the time-out.
const REDIRECTIONS: u32 = 3;

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// What is secret, for as long as a connection is being made.
struct Secrets {
    password: Option<SecretString>,
    sentinel_password: Option<SecretString>,
}

/// Opens a connection, whose pushes go to `pushes`.
pub(super) async fn dial(
    settings: &StoreSettings,
    pushes: impl AsyncPushSender,
) -> Result<Link, StoreError> {
    let dialing = async {
        let secrets = secrets(settings).await?;
        let link = match &settings.kind {
            Kind::Single => single(settings, &secrets, pushes).await,
            Kind::Sentinel(name) => primary(settings, &secrets, name, pushes).await,
            Kind::Cluster => cluster(settings, &secrets, pushes).await,
        };
        link.map_err(|error| StoreError::of(&error))
    };
    timeout(CONNECT, dialing).await.unwrap_or(Err(StoreError::TimedOut))
}

/// Reads the passwords now, since they may have been replaced.
async fn secrets(settings: &StoreSettings) -> Result<Secrets, StoreError> {
    let sources = [settings.password.clone(), settings.sentinel_password.clone()];
    let read = |source: Option<TokenSource>| source.map(|it| it.password()).transpose();
    // Small files, on whatever they lie.
    let read = tokio::task::spawn_blocking(move || sources.map(read)).await;
    let [password, sentinel_password] =
        read.map_err(|_| StoreError::Lost("the password cannot be read".into()))?;
    let told = |reason: String| StoreError::Lost(reason.into());
    Ok(Secrets {
        password: password.map_err(told)?,
        sentinel_password: sentinel_password.map_err(told)?,
    })
}

async fn single(
    settings: &StoreSettings,
    secrets: &Secrets,
    pushes: impl AsyncPushSender,
) -> RedisResult<Link> {
    let node = nodes(settings, secrets)?.remove(0);
    let client = match certificates(settings) {
        Some(certificates) => Client::build_with_tls(node, certificates)?,
        None => Client::open(node)?,
    };
    let config = config().set_push_sender(pushes);
    client.get_multiplexed_async_connection_with_config(&config).await.map(Link::One)
}

async fn primary(
    settings: &StoreSettings,
    secrets: &Secrets,
    name: &str,
    pushes: impl AsyncPushSender,
) -> RedisResult<Link> {
    let sentinels = addresses(settings, PORTS[1]);
    let mut builder = SentinelClientBuilder::new(sentinels, name, SentinelServerType::Master)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_redis_db(settings.url.database.unwrap_or(0).into());
    if let Some(user) = &settings.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &secrets.password {
        builder = builder.set_client_to_redis_password(password.expose_secret());
    }
    if let Some(password) = &secrets.sentinel_password {
        builder = builder.set_client_to_sentinel_password(password.expose_secret());
    }
    if settings.url.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates(settings) {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let config = config().set_push_sender(pushes);
    builder.build()?.get_async_connection_with_config(&config).await.map(Link::One)
}

async fn cluster(
    settings: &StoreSettings,
    secrets: &Secrets,
    pushes: impl AsyncPushSender,
) -> RedisResult<Link> {
    let mut builder = ClusterClientBuilder::new(nodes(settings, secrets)?)
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(settings.timeout)
        .response_timeout(settings.timeout)
        .retries(REDIRECTIONS)
        .tcp_settings(tcp())
        .push_sender(pushes);
    if let Some(certificates) = certificates(settings) {
        builder = builder.certs(certificates);
    }
    builder.build()?.get_async_connection().await.map(Link::Cluster)
}

/// Time-outs are counted above this, for each command as a whole.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None)
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// The servers of the URL, with what it takes to log in.
fn nodes(settings: &StoreSettings, secrets: &Secrets) -> RedisResult<Vec<ConnectionInfo>> {
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name()
        .set_db(settings.url.database.unwrap_or(0).into());
    if let Some(user) = &settings.user {
        login = login.set_username(user);
    }
    if let Some(password) = &secrets.password {
        login = login.set_password(password.expose_secret());
    }
    let node = |address: ConnectionAddr| {
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(login.clone()).set_tcp_settings(tcp()))
    };
    addresses(settings, PORTS[0]).into_iter().map(node).collect()
}

fn addresses(settings: &StoreSettings, usual: u16) -> Vec<ConnectionAddr> {
    let address = |(host, port): &(String, Option<u16>)| {
        let (host, port) = (host.clone(), port.unwrap_or(usual));
        match settings.url.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        }
    };
    settings.url.nodes.iter().map(address).collect()
}

fn certificates(settings: &StoreSettings) -> Option<TlsCertificates> {
    let roots = settings.roots.as_ref().filter(|_| settings.url.tls)?;
    Some(TlsCertificates { client_tls: None, root_cert: Some(roots.to_vec()) })
}

// === impl Link ===

impl Link {
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, StoreError> {
        let answer = match self {
            Self::One(one) => command.query_async(one).await,
            Self::Cluster(cluster) => command.query_async(cluster).await,
        };
        answer.map_err(|error| StoreError::of(&error))
    }

    pub(super) async fn send_all(&mut self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let answers = match self {
            Self::One(one) => commands.query_async(one).await,
            Self::Cluster(cluster) => commands.query_async(cluster).await,
        };
        answers.map_err(|error| StoreError::of(&error))
    }

    pub(super) async fn subscribe(&mut self, channel: &str) -> Result<(), StoreError> {
        let done = match self {
            Self::One(one) => one.subscribe(channel).await,
            Self::Cluster(cluster) => cluster.subscribe(channel).await,
        };
        done.map_err(|error| StoreError::of(&error))
    }
}
