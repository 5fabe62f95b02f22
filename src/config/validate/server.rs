//! The ports and their limits.

use std::net::{IpAddr, SocketAddr};

use super::{Check, key};
use crate::config::Settings;

/// The most sockets, streams, fields, or bytes of a target. No machine has more, so a higher value
/// is a slip.
const MOST: usize = 10_000_000;
/// A terabyte. More would not be a bound, and a semaphore can't count as much.
const MOST_UPLOADS: usize = 1 << 40;

/// Whether two ports at these addresses exclude each other. `0.0.0.0` covers each IPv4 address, and
/// `[::]` covers both kinds, as on Linux by default.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (a == b || all(a, b) || all(b, a))
}

impl Check<'_, '_> {
    /// Refuses limits that would refuse every request.
    pub(super) fn limits(&mut self) {
        let (server, vendor) = (&self.settings().server, &self.settings().vendor);
        let spans = [
            ("server", "deadline", server.deadline),
            ("server", "handshake", server.handshake),
            ("server", "head_time", server.head_time),
            ("server", "body_total", server.body_total),
            ("server", "body_idle", server.body_idle),
            ("server", "keep_alive", server.keep_alive),
            ("server", "stalled_reader", server.stalled_reader),
            ("vendor", "connect", vendor.connect),
            ("vendor", "first_byte", vendor.first_byte),
            ("vendor", "hard_limit", vendor.hard_limit),
            ("vendor", "body_idle", vendor.body_idle),
            ("vendor", "body_total", vendor.body_total),
        ];
        for (table, name, span) in spans {
            if span.get().is_zero() {
                self.refuse(&key(&[table, name]), format!("{table}.{name} must be more than 0"));
            }
        }
        let counts = [
            ("server", "sockets", server.sockets),
            ("server", "head_fields", server.head_fields),
            ("server", "target_size", server.target_size.get()),
            ("server", "body_size", server.body_size.get()),
            ("server", "streams", server.streams as usize),
            ("vendor", "sockets", vendor.sockets),
            ("server", "sockets_per_peer", server.sockets_per_peer.unwrap_or(MOST)),
        ];
        for (table, name, count) in counts {
            if !(1..=MOST).contains(&count) {
                self.refuse(&key(&[table, name]), format!("{table}.{name} must be 1 to {MOST}"));
            }
        }
        // hyper takes no smaller read buffer, and a head limit of gigabytes is a slip.
        if !(8 << 10..=1 << 20).contains(&server.head_size.get()) {
            self.refuse(&key(&["server", "head_size"]), "server.head_size must be 8KiB to 1MiB");
        }
        if server.uploads_total.get() > MOST_UPLOADS {
            let message = "server.uploads_total must be at most 1024GiB";
            self.refuse(&key(&["server", "uploads_total"]), message);
        }
        if server.uploads_total < server.body_size {
            let message = "server.uploads_total must be at least server.body_size: one body of full size could never be held";
            self.refuse(&key(&["server", "uploads_total"]), message);
        }
    }

    pub(super) fn listeners(&mut self) {
        let Settings { server, ops, admin, .. } = self.settings();
        let served = (!admin.keys.is_empty()).then_some(("admin", admin.listen));
        let mut taken = vec![("server", server.listen)];
        for (table, address) in std::iter::once(("ops", ops.listen)).chain(served) {
            let twin = taken.iter().find(|(_, other)| overlap(*other, address));
            if let Some((other, there)) = twin {
                let message = match *there == address {
                    true => format!("{other}.listen and {table}.listen are both {address}"),
                    false => format!(
                        "{other}.listen = \"{there}\" and {table}.listen = \"{address}\" are in each other's way"
                    ),
                };
                let message = format!("{message}: give one of them another port");
                self.refuse(&key(&[table, "listen"]), message);
            }
            taken.push((table, address));
        }
        if self.settings().tenant.is_empty() {
            self.refuse(
                &key(&["tenant"]),
                "no [[tenant]]: nobody could call; config/tollgate.toml shows a complete one",
            );
        }
        let path = key(&["vendor", "base_url"]);
        self.vendor_url(&path, &self.settings().vendor.base_url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine that serves both IPv4 and IPv6.
    #[test]
    fn ports_are_in_each_others_way_where_a_machine_gives_only_one() {
        for (one, other, way) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), way, "{one} {other}");
            assert_eq!(overlap(other, one), way, "{other} {one}");
        }
    }
}
