//! Where Redis is: `redis://host:port/database`, `rediss://` with TLS, and several hosts with commas
//! between them. It holds no user and no password.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::words::read_as_text;

const RULE: &str = "write \"redis://host:6379\", or \"rediss://host:6379\" for TLS; several hosts have commas between them";

/// The most servers that one URL names.
const MOST: usize = 16;

/// Servers that belong together, and the database that is used on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct RedisUrl {
    /// Whether they speak TLS.
    pub tls: bool,
    /// Host and port of each; at least one.
    pub nodes: Vec<(String, Option<u16>)>,
    /// The number of the database.
    pub database: Option<u16>,
}

read_as_text!(RedisUrl, "a URL in quotes, such as \"redis://127.0.0.1:6379\"");

impl RedisUrl {
    /// The first node that is not on this machine, so that a network lies between.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        let near = |host: &str| {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        self.nodes.iter().map(|(host, _)| host.as_str()).find(|host| !near(host))
    }
}

impl TryFrom<String> for RedisUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // What stands before the @ or behind the ? may be a secret, so it is not repeated.
        if text.contains('@') {
            return Err(format!(
                "a Redis URL holds no user or password here, they are shared.user and shared.password: {RULE}"
            ));
        }
        if text.contains(['?', '#']) {
            return Err(format!("a Redis URL has nothing from a '?' or '#' on: {RULE}"));
        }
        let wrong = |why: &str| format!("'{text}' is not the URL of a Redis: {why}{RULE}");
        let (tls, rest) = match text.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            _ => return Err(wrong("")),
        };
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => None,
            number => Some(number.parse().map_err(|_| {
                wrong("what follows the host is the number of a database, or nothing; ")
            })?),
        };
        let nodes = hosts
            .split(',')
            .map(|node| parse_node(node).map_err(wrong))
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.len() > MOST {
            return Err(wrong("it names more than 16 hosts, and a few lead to all; "));
        }
        Ok(Self { tls, nodes, database })
    }
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
fn parse_node(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("a ']' is missing; ")?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let v6 = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() {
        return Err("a host is missing; ");
    }
    if !v6 && (text.starts_with('[') || !host.chars().all(plain)) {
        return Err("a host is neither a name nor an address; ");
    }
    let port = match port {
        "" => None,
        port => {
            let number = port.strip_prefix(':').and_then(|digits| digits.parse().ok());
            let number = number.filter(|number| *number > 0);
            Some(number.ok_or("a port is no number from 1 to 65535; ")?)
        }
    };
    Ok((host.to_owned(), port))
}

impl From<RedisUrl> for String {
    fn from(url: RedisUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss://" } else { "redis://" })?;
        for (at, (host, port)) in self.nodes.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]")?,
                false => write!(f, "{comma}{host}")?,
            }
            port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        }
        self.database.map_or(Ok(()), |database| write!(f, "/{database}"))
    }
}

impl schemars::JsonSchema for RedisUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RedisUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^rediss?://[^/?#@]+(/[0-9]*)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RedisUrl, String> {
        RedisUrl::try_from(text.to_owned())
    }

    #[test]
    fn a_url_names_servers_and_a_database_and_is_written_as_it_is_read() {
        for text in [
            "redis://127.0.0.1:6379",
            "rediss://a.b,c-d:1/3",
            "redis://[::1]:6379,[::2]",
            "redis://r_1",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        let url = parse("rediss://a:1,[::1]/7").unwrap();
        assert!(url.tls);
        assert_eq!(url.nodes, [("a".into(), Some(1)), ("::1".into(), None)]);
        assert_eq!(url.database, Some(7));
        assert_eq!(parse("redis://a/").unwrap().database, None);
    }

    #[test]
    fn anything_else_is_refused_and_no_secret_is_repeated() {
        for bad in [
            "",
            "localhost:6379",
            "http://h",
            "redis://",
            "redis://h,",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:x",
            "redis://h/x",
            "redis://h/1/2",
            "redis://::1",
            "redis://[::1",
            "redis://[h]",
            "redis://h h",
            "redis://user:hunter2@h",
            "rediss://hunter2@h",
            "redis://h?password=hunter2",
            "redis://h#hunter2",
        ] {
            let message = parse(bad).unwrap_err();
            assert!(message.contains(RULE) && !message.contains("hunter2"), "{bad}: {message}");
        }
        assert!(parse(&format!("redis://{}", ["h"; 17].join(","))).is_err());
    }

    #[test]
    fn only_this_machine_is_near() {
        for (text, remote) in [
            ("redis://127.0.0.1,localhost,[::1]", None),
            ("redis://127.0.0.1,10.0.0.1", Some("10.0.0.1")),
            ("redis://localhost.example", Some("localhost.example")),
        ] {
            assert_eq!(parse(text).unwrap().remote(), remote, "{text}");
        }
    }
}
