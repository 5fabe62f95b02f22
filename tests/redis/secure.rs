//! TLS with an authority of one's own.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::rig::Rig;
use crate::servers::{Folder, Server};

/// An authority and a certificate of 127.0.0.1 by it, as files.
pub fn certificates() -> Folder {
    let folder = Folder::new();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    folder.write("ca.pem", &params.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    folder.write("server.pem", &server.signed_by(&key, &issuer).unwrap().pem());
    folder.write("server.key", &key.serialize_pem());
    folder
}

/// What makes a Redis speak TLS at `port` only.
pub fn settings(folder: &Folder, port: u16) -> String {
    let at = folder.0.display();
    format!(
        "port 0\ntls-port {port}\ntls-cert-file {at}/server.pem\ntls-key-file {at}/server.key\ntls-ca-cert-file {at}/ca.pem\ntls-auth-clients no\nsave \"\"\n"
    )
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn tls_trusts_the_authority_of_the_configuration_and_no_other() {
    let folder = certificates();
    let server = Server::any("redis-server", &|port| settings(&folder, port));
    let url = format!("redis = \"rediss://127.0.0.1:{}\"", server.port);
    let trusting = format!("{url}\nca_file = '{}/ca.pem'", folder.0.display());
    let rig = Rig::connected(&trusting).await;
    assert_eq!(rig.store.get(&rig.store.key("0", "a")).await, Ok(None));
    let cause = Rig::new(&url).goes().await;
    assert!(cause.starts_with("TLS: invalid peer certificate"), "{cause}");
    let named = trusting.replace("127.0.0.1", "localhost");
    let cause = Rig::new(&named).goes().await;
    assert!(cause.starts_with("TLS: invalid peer certificate"), "another name: {cause}");
}
