//! Addresses as people write them: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.

mod network;

use std::net::{SocketAddr, ToSocketAddrs as _};

use serde::Deserializer;

pub use network::Network;

use crate::words;

const RULE: &str = "write host and port, such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all addresses of this machine";

/// Reads `text`. The address of a host name is looked up now; IPv4 goes first.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |reason: &str| format!("'{text}' is no address: {reason}{RULE}");
    if text.contains("://") || text.contains('/') {
        return Err(wrong("it is a URL; "));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let reason = if text.parse::<u16>().is_ok() {
            "the host is missing; "
        } else {
            "the port is missing; "
        };
        return Err(wrong(reason));
    };
    if port.parse::<u16>().is_err() {
        return Err(wrong("the port is no number from 0 to 65535; "));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if host.is_empty() {
        return Err(wrong("the host is missing; "));
    }
    if !host.chars().all(plain) {
        return Err(wrong(""));
    }
    let found: Vec<SocketAddr> = text.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first
        .copied()
        .ok_or_else(|| format!("host '{host}' has no address here: correct the name, or {RULE}"))
}

/// Reads an address from a configuration.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    words::parsed(from, "host and port in quotes, such as \"127.0.0.1:8080\"", |text| parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_an_address_too() {
        assert_eq!(parse("localhost:8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(parse("[::1]:80").unwrap().port(), 80);
        assert_eq!(parse("0.0.0.0:0").unwrap().port(), 0);
    }

    #[test]
    fn what_is_no_address_is_told_what_would_be_right() {
        for (text, reason) in [
            (":8080", "the host is missing"),
            ("8080", "the host is missing"),
            ("127.0.0.1", "the port is missing"),
            ("*:8080", "is no address"),
            ("localhost:http", "the port is no number"),
            ("127.0.0.1:99999", "the port is no number"),
            ("http://127.0.0.1:80", "it is a URL"),
            ("no-such-host.invalid:80", "has no address here"),
            ("", "the port is missing"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(reason) && message.contains(RULE), "{text}: {message}");
        }
    }
}
