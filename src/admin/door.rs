//! Who may come in at the admin port: a welcome address, the right host, the right origin, a live
//! key or the session of one.
//!
//! The key alone would do for programs. Host and origin are for browsers: a page from elsewhere
//! whose name was made to point here (DNS rebinding) names another host, and a page that sends
//! requests here names its own origin. A browser sends a session by itself, so what comes with one
//! changes something only if it names its origin.

mod attempts;
mod cookie;
mod operator;
mod place;
mod sessions;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Method, Request};

use crate::address::Network;
use crate::clock::{self, Instant};
use crate::error::{Code, Error};
use crate::identity::{Keys, Refusal, RevokedKeys, Rights, presented};
use attempts::Attempts;
use operator::Proof;
pub(super) use operator::{NotLetIn, Operator};
pub(super) use place::{address, is_localhost};
use sessions::Sessions;

/// Who may come in, until the next reload.
pub struct DoorRules {
    /// The operators.
    pub keys: Arc<Keys<Rights>>,
    /// The apps, which may not.
    pub apps: Arc<Keys>,
    /// Names of the port besides its addresses, in small letters.
    pub hosts: Vec<Box<str>>,
    /// Where clients may connect from; anywhere, if it is empty.
    pub clients: Vec<Network>,
    /// The port speaks TLS.
    pub secure: bool,
}

/// The door of the admin port. Clones are the same one.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    rules: Arc<ArcSwap<DoorRules>>,
    sessions: Arc<Sessions>,
    attempts: Arc<Attempts>,
    revoked: RevokedKeys,
}

impl Door {
    /// `address` is the one that the port has; `rules` are those of the moment, and
    /// `revoked` the keys that are refused all the same.
    #[must_use]
    pub fn new(address: SocketAddr, rules: Arc<ArcSwap<DoorRules>>, revoked: RevokedKeys) -> Self {
        let (sessions, attempts) = (Arc::default(), Arc::default());
        Self { address, rules, sessions, attempts, revoked }
    }

    /// Whether a client at `peer` may connect.
    pub(super) fn lets_in(&self, peer: IpAddr) -> bool {
        let clients = &self.rules.load().clients;
        clients.is_empty() || clients.iter().any(|network| network.holds(peer))
    }

    /// Whether `request` is meant for this port, and comes from no page elsewhere.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn is_meant<B>(&self, request: &Request<B>) -> Result<(), Error> {
        let host = self.host(request)?;
        place::origin(request.headers(), &host, self.rules.load().secure)
    }

    /// Who sent `request`, which is meant for this port.
    ///
    /// # Errors
    /// When it may not come in.
    pub(super) fn pass<B>(&self, request: &Request<B>) -> Result<Operator, NotLetIn> {
        let headers = request.headers();
        if let Some(key) = presented(headers) {
            return self.by_key(&key);
        }
        let Some(id) = cookie::of(headers) else {
            return Err(unauthenticated(&Refusal::nothing()));
        };
        let over = || NotLetIn::of(ask_for_key("the session is over: log in again"));
        let (key, sha256) = self.sessions.find(&id, Instant::now()).ok_or_else(over)?;
        let rules = self.rules.load();
        let revoked = self.revoked.load();
        let live = rules.keys.live(key.as_str(), &sha256, clock::wall(), &revoked);
        let Ok((rights, key)) = live else {
            self.sessions.end(&id);
            return Err(NotLetIn { key: Some(key), ..over() });
        };
        let looks = [Method::GET, Method::HEAD].contains(request.method());
        if !looks && !headers.contains_key(header::ORIGIN) {
            let error = place::refused("what a session changes must name its Origin");
            return Err(NotLetIn { error, key: Some(key.clone()) });
        }
        let proof = Proof::Session(id, sha256);
        Ok(Operator { key: key.clone(), rights: *rights, proof })
    }

    /// Whose key `presented` is.
    ///
    /// # Errors
    /// Nobody's who may come in.
    fn by_key(&self, presented: &[u8]) -> Result<Operator, NotLetIn> {
        let (rules, revoked, now) = (self.rules.load(), self.revoked.load(), clock::wall());
        let (rights, key) =
            rules.keys.find(presented, now, &revoked).map_err(|refusal| {
                match rules.apps.has(presented, now, &revoked) {
                    true => unauthenticated(&refusal.is_for("a key of an app")),
                    false => unauthenticated(&refusal),
                }
            })?;
        let digest = rules.keys.digest(key).cloned();
        let digest = digest.ok_or_else(|| unauthenticated(&Refusal::nothing()))?;
        Ok(Operator { key: key.clone(), rights: *rights, proof: Proof::Key(digest) })
    }

    /// Opens a session for whom `presented` is the key. Gives the operator, and the field that
    /// makes a browser keep the session.
    ///
    /// # Errors
    /// It is nobody's key, or too many wrong ones came from `peer`.
    pub(super) fn log_in(
        &self,
        presented: &[u8],
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(Operator, HeaderValue), NotLetIn> {
        let now = Instant::now();
        if let Some(left) = self.attempts.wait(peer, now) {
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            let detail = format!("too many wrong keys: try again in {seconds} s");
            let error = Error::refused(Code::LoginsLimited, detail).with_retry_after(left);
            return Err(NotLetIn::of(error.with_header(header::RETRY_AFTER, seconds.into())));
        }
        let operator = self.by_key(presented).inspect_err(|_| self.attempts.wrong(peer, now))?;
        let token = self.sessions.open(&operator.key, operator.proof.digest(), now);
        // TLS may end before the port: then the page's own origin says so.
        let coded = self.rules.load().secure || place::comes_over_tls(headers);
        Ok((operator, cookie::kept(&token, coded)))
    }

    /// Ends the session of `operator`. Gives the field that makes a browser forget it, and whether
    /// there was one.
    pub(super) fn log_out(&self, operator: &Operator) -> (HeaderValue, bool) {
        let ended = match &operator.proof {
            Proof::Session(id, _) => self.sessions.end(id),
            Proof::Key(_) => false,
        };
        (cookie::forgotten(), ended)
    }

    /// Whether the one who came in would still be let in: for answers that go on for long.
    #[must_use]
    pub(super) fn still_welcomes(&self, operator: &Operator) -> bool {
        let session = match &operator.proof {
            Proof::Session(id, _) => self.sessions.find(id, Instant::now()).is_some(),
            Proof::Key(_) => true,
        };
        let rules = self.rules.load();
        let (key, sha256) = (operator.key.as_str(), operator.proof.digest());
        session && rules.keys.live(key, sha256, clock::wall(), &self.revoked.load()).is_ok()
    }

    /// The host that the request is meant for: this machine, or an address or a name of the port.
    pub(super) fn host<B>(&self, request: &Request<B>) -> Result<Authority, Error> {
        place::named(request).filter(|named| self.is_here(named.host())).ok_or_else(|| {
            place::refused(
                "the Host must be localhost, the address that the port listens on, or one of admin.hosts",
            )
        })
    }

    fn is_here(&self, host: &str) -> bool {
        // Where the port has no address of its own any will do.
        let own = self.address.ip();
        let is_own = |ip: IpAddr| ip.is_loopback() || ip == own || own.is_unspecified();
        is_localhost(host)
            || address(host).is_some_and(is_own)
            || self.rules.load().hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

fn unauthenticated(refusal: &Refusal) -> NotLetIn {
    let error = ask_for_key(refusal.detail("an admin key"));
    NotLetIn { error, key: refusal.key.clone() }
}

fn ask_for_key(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::refused(Code::Unauthenticated, detail).with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"tollgate admin\""),
    )
}

#[cfg(test)]
mod tests;
