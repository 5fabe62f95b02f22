//! TLS on both sides: rustls with the aws-lc-rs provider, named in each builder, never global.

mod files;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::{self, Ticketer, kx_group};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::ProducesTickets;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use files::{Valid, certificates, private_key, valid};

/// The most hosts whose sessions are kept for the next handshake; each has at most eight.
const HOSTS: usize = 256;

/// Hash of the certificates that something was built from.
type Print = [u8; 32];

/// TLS of a port.
#[derive(Clone)]
pub struct Server {
    config: ServerConfig,
    chain: Print,
    begins: SystemTime,
    expires: SystemTime,
}

/// TLS to other hosts. Clones share the sessions that are kept for the next handshakes.
#[derive(Clone)]
pub struct Client {
    config: ClientConfig,
    roots: Print,
}

/// The tickets by which clients of a port resume their sessions. A ticket holds a session sealed
/// under a key of this process. So any number of clients can resume, and none takes room here. The
/// keys change every six hours; a ticket is valid for twelve hours at most.
#[derive(Default)]
pub struct Tickets(
    /// std, not tokio: only a reload changes it.
    Mutex<Option<(Print, Arc<dyn ProducesTickets>)>>,
);

/// The key exchanges of both sides, the best first. What the first protects can't be opened later
/// with a quantum computer, even from a recording. It makes a ClientHello two packets long, which
/// fit the first flight. A peer that does not know it takes the second, whose share is in the same
/// message.
fn provider() -> Arc<CryptoProvider> {
    let kx_groups =
        vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// TLS 1.2 and 1.3 with the certificate in `cert` and its key in `key`. ALPN offers h2 and
/// http/1.1.
///
/// # Errors
/// What is wrong with the files, without their contents.
pub fn server(cert: &Path, key: &Path) -> Result<Server, Vec<String>> {
    let chain = certificates(cert).and_then(|chain| Ok((valid(cert, &chain)?, chain)));
    let (Valid { begins, expires }, chain, key_der) = match (chain, private_key(key)) {
        (Ok((valid, chain)), Ok(key)) => (valid, chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let print = print(&chain);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| vec![error.to_string()])?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| vec![unfit(cert, key, &error)])?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Server { config, chain: print, begins, expires })
}

fn unfit(cert: &Path, key: &Path, error: &Error) -> String {
    let (cert, key) = (cert.display(), key.display());
    match error {
        Error::InconsistentKeys(_) => format!(
            "the key '{key}' is not that of the first certificate in '{cert}': name the key that this certificate was made for"
        ),
        Error::InvalidCertificate(_) => format!(
            "the first certificate in '{cert}' can't be served: name a chain that begins with a server's certificate of X.509 version 3"
        ),
        _ => format!(
            "the key '{key}' is of no kind that can be served: use one of RSA with 2048 bits or more, of ECDSA on P-256, P-384 or P-521, or of Ed25519"
        ),
    }
}

/// Trusts the embedded web roots and those in `ca_file`.
///
/// # Errors
/// What is wrong with the file.
pub fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let more = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let print = print(&more);
    for (at, certificate) in (1..).zip(more) {
        let path = ca_file.unwrap_or(Path::new("")).display();
        roots.add(certificate).map_err(|_| {
            format!("certificate file '{path}': certificate {at} in it can't be trusted as a root, or is damaged: write whole certificates of X.509 version 3 of authorities")
        })?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8 * HOSTS);
    Ok(Client { config, roots: print })
}

impl Server {
    /// When the last certificate of its chain becomes valid.
    #[must_use]
    pub fn begins(&self) -> SystemTime {
        self.begins
    }

    /// When the first certificate of its chain expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The configuration under which clients resume by `tickets`. So do clients of an earlier
    /// configuration, if its certificate was the same, because a client that resumes is not shown
    /// the certificate.
    pub fn resuming(&self, tickets: &Tickets) -> Arc<ServerConfig> {
        let mut known = tickets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.take().filter(|(chain, _)| *chain == self.chain);
        let mut config = self.config.clone();
        // If the system gives no random bytes for the keys, no handshake succeeds either.
        if let Ok(ticketer) = kept.map_or_else(Ticketer::new, |(_, ticketer)| Ok(ticketer)) {
            config.ticketer = ticketer.clone();
            *known = Some((self.chain, ticketer));
        }
        Arc::new(config)
    }
}

impl Client {
    /// True if both trust the same roots. Then sessions may be resumed under either.
    #[must_use]
    pub fn trusts_as(&self, other: &Self) -> bool {
        self.roots == other.roots
    }
}

/// Opens TCP connections, with TLS by `tls` if the scheme is `https`. ALPN offers h2 and http/1.1.
#[must_use]
pub fn connector(tls: Client) -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.config).https_or_http();
    builder.enable_all_versions().wrap_connector(tcp)
}

fn print(certificates: &[CertificateDer<'_>]) -> Print {
    let mut hash = Sha256::new();
    for certificate in certificates {
        hash.update((certificate.len() as u64).to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
