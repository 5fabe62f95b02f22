//! The base URL of a connection: scheme, host, and a path prefix that all targets get.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::{Authority, Scheme};
use serde::Serialize;

use crate::words::read_as_text;

const RULE: &str = "write scheme and host, such as \"https://api.courier.com\"";

/// `http` or `https`, a host with an optional port, an optional path; no user, query or fragment.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

read_as_text!(BaseUrl, "scheme and host in quotes, such as \"https://api.courier.com\"");

impl BaseUrl {
    /// Courier's own host.
    #[must_use]
    pub fn courier() -> Self {
        Self {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static("api.courier.com"),
            prefix: String::new(),
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The prefix of every path: empty, or `/…` without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// True if the URL certainly leads to `listen`: to this machine, and to that port.
    #[must_use]
    pub fn is_at(&self, listen: SocketAddr) -> bool {
        let usual = if self.scheme == Scheme::HTTP { 80 } else { 443 };
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let (ip, own) = (host.parse::<IpAddr>().ok(), listen.ip());
        let local = host.eq_ignore_ascii_case("localhost")
            || ip.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified());
        let same = ip == Some(own)
            || (local && own.is_unspecified())
            || (ip.is_none() && local && own.is_loopback());
        same && listen.port() != 0 && self.authority.port_u16().unwrap_or(usual) == listen.port()
    }

    /// The advice for a URL with a path, which most likely belongs to the calls.
    pub(super) fn advice(&self) -> Option<String> {
        (!self.prefix.is_empty()).then(|| {
            format!(
                "{self} has a path, which then stands before the path of each call: leave '{}' out, unless the server there wants it",
                self.prefix
            )
        })
    }

    /// True if tokens would be sent in clear text over a network.
    #[must_use]
    pub fn is_plain_and_remote(&self) -> bool {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let local = host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        self.scheme == Scheme::HTTP && !local
    }
}

/// The part of `text` in the place of the port, if that is not a port.
pub(super) fn wrong_port(text: &str) -> Option<&str> {
    let authority = text.split_once("://")?.1.split('/').next()?;
    let (_, port) = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'))?;
    port.parse::<u16>().map_or(true, |port| port == 0).then_some(port)
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A user part would be a secret, so it is refused and not repeated.
        if text.contains('@') {
            return Err(format!("a base URL holds no user or password: {RULE}"));
        }
        if text.contains(['?', '#']) {
            return Err(format!("a base URL has nothing from a '?' or '#' on: {RULE}"));
        }
        if let Some(port) = wrong_port(&text) {
            return Err(format!("the port '{port}' is no number from 1 to 65535: {RULE}"));
        }
        let wrong = || format!("'{text}' is not a base URL: {RULE}");
        let parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong());
        };
        let target = parts.path_and_query.as_ref();
        if (scheme != Scheme::HTTP && scheme != Scheme::HTTPS) || authority.host().is_empty() {
            return Err(wrong());
        }
        let prefix = target.map_or("", |target| target.path()).trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, prefix })
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl schemars::JsonSchema for BaseUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BaseUrl, String> {
        BaseUrl::try_from(text.to_owned())
    }

    #[test]
    fn a_base_url_is_scheme_host_and_prefix() {
        let url = parse("http://127.0.0.1:4010/gw/").unwrap();
        assert_eq!((url.authority().as_str(), url.prefix()), ("127.0.0.1:4010", "/gw"));
        assert_eq!(parse("https://api.eu.courier.com").unwrap().prefix(), "");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "api.courier.com",
            "/x",
            "ftp://h",
            "https://h?x=1",
            "https://",
            "https://u:p@h",
            "https://h:99999",
            "https://h:0",
        ] {
            let message = parse(bad).unwrap_err();
            assert!(
                message.contains(RULE) && !message.contains("u:p") && !message.contains("x=1"),
                "{bad}: {message}"
            );
        }
    }

    #[test]
    fn a_url_is_at_an_address_only_where_that_is_certain() {
        for (url, listen, at) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("http://localhost:8080/x", "0.0.0.0:8080", true),
            ("http://localhost:8080", "127.0.0.1:8080", true),
            ("https://[::1]", "[::]:443", true),
            ("http://10.0.0.1:8080", "10.0.0.1:8080", true),
            ("http://10.0.0.1:8080", "0.0.0.0:8080", false),
            ("http://courier:8080", "0.0.0.0:8080", false),
        ] {
            assert_eq!(parse(url).unwrap().is_at(listen.parse().unwrap()), at, "{url} {listen}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (text, remote) in [
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("http://localhost", false),
            ("http://10.0.0.1", true),
            ("http://localhost.example", true),
            ("https://api.courier.com", false),
        ] {
            assert_eq!(parse(text).unwrap().is_plain_and_remote(), remote, "{text}");
        }
    }
}
