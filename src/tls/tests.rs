//! Handshakes between our own two ends, in memory.

use std::path::PathBuf;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ClientConnection, HandshakeKind, NamedGroup, ServerConnection};

use super::*;

/// A certificate for `localhost`, in files.
struct Certificate {
    cert: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let hash = Sha256::digest(made.cert.der());
        let name = format!("tollgate-tls-{:x}", u64::from_be_bytes(hash[..8].try_into().unwrap()));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { cert, key }
    }

    /// The port's configuration, as a start or a reload makes it.
    fn port(&self, tickets: &Tickets) -> Arc<ServerConfig> {
        server(&self.cert, &self.key).unwrap().resuming(tickets)
    }
}

/// A new client that trusts `certificates` and speaks `version`.
fn own(
    certificates: &[&Certificate],
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from_pem_file(&certificate.cert).unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Hands what one end has to send to the other end.
macro_rules! say {
    ($from:expr, $to:expr) => {{
        let mut said = Vec::new();
        while $from.wants_write() {
            $from.write_tls(&mut said).unwrap();
        }
        let mut rest = &said[..];
        while !rest.is_empty() {
            $to.read_tls(&mut rest).unwrap();
            $to.process_new_packets().unwrap();
        }
        !said.is_empty()
    }};
}

/// Does a handshake and what follows it. Returns its kind and its key exchange.
fn meet(port: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> (HandshakeKind, NamedGroup) {
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut port = ServerConnection::new(port.clone()).unwrap();
    while say!(client, port) | say!(port, client) {}
    assert_eq!(client.handshake_kind(), port.handshake_kind());
    let group = client.negotiated_key_exchange_group().map(|group| group.name());
    (client.handshake_kind().unwrap(), group.unwrap_or(NamedGroup::Unknown(0)))
}

fn kind(port: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> HandshakeKind {
    meet(port, client).0
}

#[test]
fn a_client_resumes_after_any_number_of_others_and_after_a_reload() {
    let (certificate, tickets) = (Certificate::new(), Tickets::default());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let port = certificate.port(&tickets);
        let first = own(&[&certificate], version);
        assert_eq!(kind(&port, &first), HandshakeKind::Full);
        for _ in 0..300 {
            assert_eq!(kind(&port, &own(&[&certificate], version)), HandshakeKind::Full);
        }
        assert_eq!(kind(&port, &first), HandshakeKind::Resumed, "{version:?}");
        let reloaded = certificate.port(&tickets);
        assert_eq!(kind(&reloaded, &first), HandshakeKind::Resumed, "{version:?}");
    }
}

#[test]
fn nobody_resumes_past_another_certificate_or_in_another_process() {
    let (one, two, tickets) = (Certificate::new(), Certificate::new(), Tickets::default());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = own(&[&one, &two], version);
        assert_eq!(kind(&one.port(&tickets), &client), HandshakeKind::Full);
        assert_eq!(kind(&two.port(&tickets), &client), HandshakeKind::Full, "{version:?}");
        assert_eq!(kind(&one.port(&tickets), &client), HandshakeKind::Full, "{version:?}");
        assert_eq!(kind(&one.port(&Tickets::default()), &client), HandshakeKind::Full);
    }
}

#[test]
fn our_own_side_resumes_with_each_of_many_hosts_and_under_the_same_trust_only() {
    let certificate = Certificate::new();
    let port = certificate.port(&Tickets::default());
    let ours = client(Some(&certificate.cert)).unwrap();
    assert_eq!(kind(&port, &Arc::new(ours.config.clone())), HandshakeKind::Full);
    assert_eq!(kind(&port, &Arc::new(ours.clone().config)), HandshakeKind::Resumed);
    let again = client(Some(&certificate.cert)).unwrap();
    assert!(again.trusts_as(&ours));
    assert!(!client(None).unwrap().trusts_as(&ours));
    assert!(!client(Some(&Certificate::new().cert)).unwrap().trusts_as(&ours));
}

#[test]
fn both_sides_choose_the_exchange_that_withstands_a_quantum_computer() {
    let certificate = Certificate::new();
    let port = certificate.port(&Tickets::default());
    let ours = Arc::new(client(Some(&certificate.cert)).unwrap().config);
    assert_eq!(meet(&port, &ours), (HandshakeKind::Full, NamedGroup::X25519MLKEM768));
    // A peer that does not know it still connects, without a further round trip.
    let mut older = provider();
    Arc::get_mut(&mut older).unwrap().kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    let config = ClientConfig::builder_with_provider(older).with_safe_default_protocol_versions();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate.cert).unwrap()).unwrap();
    let older = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    assert_eq!(meet(&port, &Arc::new(older)), (HandshakeKind::Full, NamedGroup::X25519));
}

/// A certificate of version 1, as `openssl x509 -req` makes one without extensions.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFDCBuwIUDKFWQrdWyPpXeC2vm03J89V1Ht4wCgYIKoZIzj0EAwIwDDEKMAgG
A1UEAwwBYTAgFw0yNjExMjgwNTE1MjBaGA8yMTI2MTEwNDA1MTUyMFowDDEKMAgG
A1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNnWDY4jU9DluMx7d+Da
ORKsKh3GJv7wwRDJnu33wN2AKSKxPaaWaA+/EpVJ2zoS+Kbeufg47IbouMRoVzDQ
1qQwCgYIKoZIzj0EAwIDSAAwRQIhAI5T2me4gJYc9yYbZOAyZtcjvWAhqGighjBL
84rBhIbbAiBxe3C7/a16Kd5XWApb120zELa1FYsRj+jOJIGQrSmsKQ==
-----END CERTIFICATE-----
";

#[test]
fn a_certificate_of_version_1_is_refused_in_own_words() {
    let path = std::env::temp_dir().join(format!("tollgate-v1-{}", crate::ids::RandomId::new()));
    std::fs::write(&path, VERSION_1).unwrap();
    let refused = super::server(&path, &path).err().unwrap().join(" and ");
    std::fs::remove_file(&path).unwrap();
    assert!(refused.contains("version before 3") && refused.contains("make one"), "{refused}");
}

#[test]
fn a_certificate_says_from_when_on_it_is_valid() {
    let path = std::env::temp_dir().join(format!("tollgate-begin-{}", crate::ids::RandomId::new()));
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2200, 1, 1);
    params.not_after = rcgen::date_time_ymd(2300, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    std::fs::write(&path, pem).unwrap();
    let server = super::server(&path, &path);
    std::fs::remove_file(&path).unwrap();
    let server = server.ok().unwrap();
    assert!(crate::clock::rfc3339(server.begins()).starts_with("2200-01-01"));
    assert!(crate::clock::rfc3339(server.expires()).starts_with("2300-01-01"));
}

#[test]
fn each_wrong_file_is_told_in_own_words() {
    let path = std::env::temp_dir().join(format!("tollgate-unfit-{}", crate::ids::RandomId::new()));
    let nowhere = std::path::Path::new("/nowhere/key.pem");
    std::fs::write(&path, "no PEM").unwrap();
    let both = super::server(&path, nowhere).err().unwrap();
    assert!(both.len() == 2 && both[0].contains("no certificate"), "{both:?}");
    assert!(both[1].contains("key.pem': is not there"), "{both:?}");
    // Well-formed PEM around what is neither a certificate nor a key.
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
        .unwrap();
    let root = super::client(Some(&path)).err().unwrap();
    assert!(root.contains("certificate 1 in it can't be trusted as a root"), "{root}");
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let certificate = Certificate::new();
    let key = super::server(&certificate.cert, &path).err().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(key.len() == 1 && key[0].contains("use one of RSA"), "{key:?}");
}
