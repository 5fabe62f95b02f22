//! Networks as people write them: `127.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::words::read_as_text;

/// One address, or all of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Network(IpNet);

read_as_text!(Network, "an address or a network in quotes, such as \"10.0.0.0/8\"");

impl Network {
    /// Whether `address` belongs to it. A port for IPv6 sees IPv4 addresses in their IPv6 form,
    /// which means the same.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        let read = one().or_else(|_| text.parse::<IpNet>());
        read.map(Self).map_err(|_| {
            format!(
                "'{text}' is neither an address nor a network: write \"127.0.0.1\" or \"10.0.0.0/8\""
            )
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        Network::try_from(text.to_owned())
    }

    #[test]
    fn a_network_holds_its_addresses_in_both_forms_and_no_others() {
        for (text, address, held) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
        ] {
            let holds = network(text).unwrap().holds(address.parse().unwrap());
            assert_eq!(holds, held, "{text} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_what_would_be_right() {
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0", "10.0.0.1:80", "[::1]", "*"] {
            let message = network(text).unwrap_err();
            assert!(message.contains("10.0.0.0/8"), "{message}");
        }
    }
}
