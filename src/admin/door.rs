//! Who may come in at the admin port: the right host, the right origin, a live key.
//!
//! The key alone would do for programs. Host and origin are for browsers: a page from elsewhere
//! whose name was made to point here (DNS rebinding) names another host, and a page that sends
//! requests here names its own origin.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Request, Uri};

use crate::clock;
use crate::error::{Code, Error};
use crate::identity::{Keys, Refusal, Rights, presented};
use crate::ids::KeyId;

/// The door of the admin port.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    keys: Arc<ArcSwap<Keys<Rights>>>,
}

/// Who came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// The public part of the key.
    pub(super) key: KeyId,
    /// What it allows.
    pub(super) rights: Rights,
}

impl Operator {
    /// # Errors
    /// When the key only allows to look.
    pub(super) fn may_change(&self) -> Result<(), Error> {
        match self.rights {
            Rights::Change => Ok(()),
            Rights::Read => Err(Error::refused(
                Code::ScopeMissing,
                format!(
                    "the key '{}' only allows to look: a change needs one with rights = \"change\"",
                    self.key.as_str()
                ),
            )),
        }
    }
}

impl Door {
    /// `address` is the one that the port has; `keys` are those of the moment.
    #[must_use]
    pub fn new(address: SocketAddr, keys: Arc<ArcSwap<Keys<Rights>>>) -> Self {
        Self { address, keys }
    }

    /// Who sent `request`.
    ///
    /// # Errors
    /// When it may not come in.
    pub(super) fn pass<B>(&self, request: &Request<B>) -> Result<Operator, Error> {
        let host = self.host(request)?;
        origin(request.headers(), &host)?;
        let keys = self.keys.load();
        let presented = presented(request.headers()).ok_or_else(Refusal::nothing);
        let known = presented.and_then(|key| keys.find(&key, clock::wall()));
        let operator =
            |(rights, key): (&Rights, &KeyId)| Operator { key: key.clone(), rights: *rights };
        known.map(operator).map_err(|refusal| unauthenticated(&refusal))
    }

    /// The host that the request is meant for: this machine, or the address of the port.
    ///
    /// # Errors
    /// When it is another one.
    pub(super) fn host<B>(&self, request: &Request<B>) -> Result<Authority, Error> {
        let mut fields = request.headers().get_all(header::HOST).iter();
        let field = match (fields.next(), fields.next()) {
            (field, None) => field.and_then(|value| Authority::try_from(value.as_bytes()).ok()),
            _ => None,
        };
        let named = request.uri().authority().cloned().or(field);
        named.filter(|named| self.is_here(named.host())).ok_or_else(|| {
            refused("the Host must be localhost or the address that the port listens on")
        })
    }

    fn is_here(&self, host: &str) -> bool {
        // Where the port has no address of its own any will do.
        let own = self.address.ip();
        let is_own = |ip: IpAddr| ip.is_loopback() || ip == own || own.is_unspecified();
        is_localhost(host) || address(host).is_some_and(is_own)
    }
}

/// The address that a `Host` is, if it is no name. An address can't be made to point elsewhere.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The name that every machine has for itself.
pub(super) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// No origin, as programs send it, or the page's own host.
fn origin(headers: &HeaderMap, host: &Authority) -> Result<(), Error> {
    let own = |value: &HeaderValue| {
        let origin = value.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
        origin.is_some_and(|origin| origin.scheme().is_some() && origin.authority() == Some(host))
    };
    if headers.get_all(header::ORIGIN).iter().all(own) {
        Ok(())
    } else {
        Err(refused("a page from elsewhere may not ask"))
    }
}

fn refused(detail: &'static str) -> Error {
    Error::refused(Code::OriginRefused, detail)
}

fn unauthenticated(refusal: &Refusal) -> Error {
    Error::refused(Code::Unauthenticated, refusal.detail("an admin key")).with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"tollgate admin\""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Key, NewKey};
    use crate::ids::KeyId;

    fn door(address: &str) -> (Door, String) {
        let id = KeyId::try_from("op".to_owned()).unwrap();
        let new = NewKey::generate(&id);
        let mut keys = Keys::default();
        assert!(keys.add(Key { id, sha256: new.sha256, expires: None }, Rights::Read));
        let keys = Arc::new(ArcSwap::from_pointee(keys));
        (Door::new(address.parse().unwrap(), keys), new.text)
    }

    fn code(door: &Door, fields: &[(&str, &str)]) -> Option<Code> {
        let mut request = Request::builder().uri("/api/version");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        door.pass(&request.body(()).unwrap()).err().map(|error| error.code)
    }

    #[test]
    fn only_this_machine_and_the_address_of_the_port_are_its_hosts() {
        let (own, key) = door("127.0.0.1:9091");
        let (lan, _) = door("192.0.2.7:9091");
        let (any, _) = door("0.0.0.0:9091");
        for (host, at) in [
            ("localhost:1", [true, true, true]),
            ("LOCALHOST", [true, true, true]),
            ("127.0.0.1:9091", [true, true, true]),
            ("[::1]:9091", [true, true, true]),
            ("192.0.2.7", [false, true, true]),
            ("192.0.2.8", [false, false, true]),
            ("evil.example", [false, false, false]),
            ("localhost.evil.example", [false, false, false]),
            ("127.0.0.1.evil.example", [false, false, false]),
            ("", [false, false, false]),
        ] {
            let seen = [&own, &lan, &any]
                .map(|door| code(door, &[("host", host)]) != Some(Code::OriginRefused));
            assert_eq!(seen, at, "{host}");
        }
        assert_eq!(code(&own, &[("x-api-key", &key)]), Some(Code::OriginRefused), "no host");
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(code(&own, &twice), Some(Code::OriginRefused));
        assert_eq!(code(&own, &[("host", "localhost"), ("x-api-key", &key)]), None);
    }

    #[test]
    fn a_page_from_elsewhere_may_not_ask_with_any_key() {
        let (door, key) = door("127.0.0.1:9091");
        let asked = |origin: &str| {
            let fields = [("host", "localhost:9091"), ("origin", origin), ("x-api-key", &key)];
            code(&door, &fields)
        };
        assert_eq!(asked("http://localhost:9091"), None);
        for origin in ["http://evil.example", "http://localhost:80", "null", "localhost:9091", ""] {
            assert_eq!(asked(origin), Some(Code::OriginRefused), "{origin}");
        }
    }
}
