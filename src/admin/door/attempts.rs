//! How often an address may be wrong when it logs in.
//!
//! A key has 256 random bits, so nobody finds one by trying. The bound keeps the log readable and
//! tells an operator who tries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Instant;

/// Wrong keys from one address in a window.
const MOST: u32 = 10;
/// It begins with the first of them.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the one whose window began first is forgotten.
const ADDRESSES: usize = 1024;

/// The wrong logins of the last minute.
#[derive(Default)]
pub(super) struct Attempts(
    /// std, not tokio: each section is a look-up, or one walk at a wrong login.
    Mutex<HashMap<IpAddr, Wrong>>,
);

struct Wrong {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// How long `peer` has to wait before it may try again.
    pub(super) fn wait(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let all = self.all();
        let wrong = all.get(&network(peer)).filter(|wrong| wrong.count >= MOST)?;
        let left = WINDOW.saturating_sub(now.saturating_duration_since(wrong.since));
        (!left.is_zero()).then_some(left)
    }

    /// `peer` was wrong.
    pub(super) fn wrong(&self, peer: IpAddr, now: Instant) {
        let mut all = self.all();
        all.retain(|_, wrong| now.saturating_duration_since(wrong.since) < WINDOW);
        let peer = network(peer);
        if all.len() >= ADDRESSES && !all.contains_key(&peer) {
            let first = all.iter().min_by_key(|(_, wrong)| wrong.since).map(|(first, _)| *first);
            first.map(|first| all.remove(&first));
        }
        all.entry(peer).or_insert(Wrong { since: now, count: 0 }).count += 1;
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Wrong>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv6 client has a network of 64 bits for itself.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_wrong_logins_in_a_minute_are_enough_for_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let (peer, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for n in 0..10 {
            let at = now + Duration::from_secs(n);
            assert_eq!(attempts.wait(peer, at), None, "{n}");
            attempts.wrong(peer, at);
        }
        let at = now + Duration::from_secs(10);
        assert_eq!(attempts.wait(peer, at), Some(Duration::from_secs(50)));
        assert_eq!(attempts.wait(ip("::ffff:192.0.2.1"), at), Some(Duration::from_secs(50)));
        assert_eq!(attempts.wait(other, at), None);
        assert_eq!(attempts.wait(peer, now + WINDOW), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_counts_as_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        (0..10).for_each(|n| attempts.wrong(ip(&format!("2001:db8::{n:x}")), now));
        assert!(attempts.wait(ip("2001:db8::ffff"), now).is_some());
        assert!(attempts.wait(ip("2001:db8:0:1::"), now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_its_bound() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 5 {
            attempts.wrong(IpAddr::V4(n.into()), now + Duration::from_millis(n.into()));
        }
        assert_eq!(attempts.all().len(), ADDRESSES);
        attempts.wrong(ip("192.0.2.1"), now + 2 * WINDOW);
        assert_eq!(attempts.all().len(), 1, "windows that are over are forgotten");
    }
}
