//! Certificates and keys in PEM files. A problem is told in a sentence that repeats nothing of the
//! file.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// The certificates in the file at `path`: at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |reason: String| format!("certificate file '{}': {reason}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(unread(error.kind())))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(reason(&error)))?;
    if chain.is_empty() {
        return Err(wrong("holds no certificate in PEM form".into()));
    }
    Ok(chain)
}

/// The private key in the file at `path`.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let wrong = |reason: String| format!("private key '{}': {reason}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(unread(error.kind())))?;
    // This comes before the parser, which does not take an older form of encryption for PEM.
    if pem.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        return Err(wrong(
            "is encrypted, and nobody is there to give its password: write it without one, as `openssl pkey -in KEY -out PLAIN` does"
                .into(),
        ));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        Error::NoItemsFound => wrong("holds no private key in PEM form".into()),
        error => wrong(reason(&error)),
    })
}

/// A word that each form of an encrypted key has, in its label or in the field `Proc-Type`.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The time in which all certificates of a chain are valid.
pub(super) struct Valid {
    pub(super) begins: SystemTime,
    pub(super) expires: SystemTime,
}

/// When `chain`, from the file at `path`, is valid.
pub(super) fn valid(path: &Path, chain: &[CertificateDer<'_>]) -> Result<Valid, String> {
    let wrong = |reason: &str| format!("certificate file '{}': {reason}", path.display());
    let mut valid: Option<Valid> = None;
    for (at, der) in chain.iter().enumerate() {
        let certificate = X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty());
        let (_, certificate) = certificate
            .ok_or_else(|| wrong("holds something that is no certificate; is it whole?"))?;
        if at == 0 && certificate.version() != X509Version::V3 {
            return Err(wrong(
                "begins with a certificate of an X.509 version before 3, which can't be served: make one of version 3, as `openssl req -x509 -addext subjectAltName=DNS:NAME` does",
            ));
        }
        let (begins, expires) =
            (time(certificate.validity().not_before), time(certificate.validity().not_after));
        valid = Some(valid.map_or(Valid { begins, expires }, |valid| Valid {
            begins: valid.begins.max(begins),
            expires: valid.expires.min(expires),
        }));
    }
    valid.ok_or_else(|| wrong("holds no certificate in PEM form"))
}

/// The date as a time. A date before 1970 counts as 1970; it is long past.
fn time(date: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(date.timestamp()).unwrap_or(0))
}

fn unread(error: ErrorKind) -> String {
    match error {
        ErrorKind::NotFound => "is not there: name a file in PEM form".into(),
        ErrorKind::PermissionDenied => "cannot be read: let this user read it".into(),
        kind => format!("cannot be read: {kind}; name a file in PEM form"),
    }
}

/// The cause without the parser's words, which repeat what is in the file.
fn reason(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => {
            "ends in the middle, its last line `-----END …` is missing: copy the whole file".into()
        }
        _ => "is no PEM file, or a damaged one: is it whole?".into(),
    }
}
