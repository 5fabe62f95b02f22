//! File descriptors: how many the process may have, and who gets them.
//!
//! A process without a free descriptor can't accept, can't reach the vendor, can't look up a name
//! and can't write its state. So the sockets of clients and of the vendor are bounded by what is
//! left when operators and files have theirs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For files, name look-ups, the log, the collector of traces, listeners and the runtime.
pub const RESERVE: u64 = 48;

/// Sockets of one port for operators: scrapers and probes are few.
pub const OPERATORS: usize = 32;

/// Listeners of the admin port at a time, each of whom holds a socket for hours.
pub const STREAMS: usize = 64;

/// Sockets of the admin port: its listeners, and those who ask.
pub const ADMIN: usize = OPERATORS + STREAMS;

/// What a configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedSockets {
    /// Sockets of clients.
    pub clients: usize,
    /// Sockets to each host of the vendor.
    pub vendor: usize,
    /// Hosts of the vendor, at least one.
    pub hosts: usize,
    /// Sockets of the ports for operators.
    pub operators: usize,
}

/// What it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Descriptors that the process may have; `None` is no limit.
    pub limit: Option<u64>,
    /// Descriptors that the configuration needs with all of its sockets open.
    pub needed: u64,
    /// Sockets of clients at a time.
    pub clients: usize,
    /// Sockets at a time to each host of the vendor.
    pub vendor: usize,
    /// Sockets of the ports for operators.
    pub operators: usize,
}

impl Budget {
    /// Shares `limit` descriptors. When not all of `wanted` fits, the vendor has at most half of
    /// what operators and files leave: a call needs one socket on either side. Nobody gets less
    /// than one.
    #[must_use]
    pub fn of(limit: Option<u64>, wanted: WantedSockets) -> Self {
        let hosts = wanted.hosts.max(1);
        let fixed = RESERVE.saturating_add(wanted.operators as u64);
        let all = wanted.vendor.saturating_mul(hosts);
        let needed = fixed.saturating_add(all as u64).saturating_add(wanted.clients as u64);
        let (mut clients, mut vendor) = (wanted.clients, wanted.vendor);
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            let room = usize::try_from(limit.saturating_sub(fixed)).unwrap_or(usize::MAX);
            vendor = vendor.min(room / 2 / hosts).max(1);
            clients = clients.min(room.saturating_sub(vendor * hosts)).max(1);
        }
        Self { limit, needed, clients, vendor, operators: wanted.operators }
    }

    /// Whether all that was wanted fits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.limit.is_none_or(|limit| self.needed <= limit)
    }
}

/// The most descriptors that this process may allow itself; `None` is no limit.
#[must_use]
pub fn hard_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the soft limit to the hard one. Many systems start programs with a soft limit of 1024,
/// for the sake of old ones that can count no further.
///
/// # Errors
/// What the kernel says; then the limit is as it was.
pub fn raise() -> std::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEFAULT: WantedSockets =
        WantedSockets { clients: 10_000, vendor: 512, hosts: 1, operators: 64 };

    #[test]
    fn what_fits_is_given_whole() {
        let budget = Budget::of(Some(20_000), DEFAULT);
        assert_eq!((budget.clients, budget.vendor, budget.needed), (10_000, 512, 10_624));
        assert!(budget.fits() && Budget::of(None, DEFAULT).fits());
        assert!(Budget::of(Some(10_624), DEFAULT).fits());
    }

    #[test]
    fn under_the_usual_soft_limit_both_sides_get_half() {
        let budget = Budget::of(Some(1024), DEFAULT);
        assert_eq!((budget.clients, budget.vendor, budget.fits()), (456, 456, false));
        let few = Budget::of(Some(1024), WantedSockets { vendor: 100, ..DEFAULT });
        assert_eq!((few.clients, few.vendor), (812, 100));
    }

    proptest! {
        #[test]
        fn operators_and_files_keep_theirs_whatever_is_wanted(
            limit in 128_u64..100_000,
            clients in 1_usize..1_000_000,
            vendor in 1_usize..10_000,
            hosts in 1_usize..5,
        ) {
            let wanted = WantedSockets { clients, vendor, hosts, operators: 64 };
            let budget = Budget::of(Some(limit), wanted);
            let given = budget.clients + budget.vendor * hosts;
            prop_assert!(given as u64 + RESERVE + 64 <= limit);
            prop_assert!((1..=clients).contains(&budget.clients));
            prop_assert!((1..=vendor).contains(&budget.vendor));
            prop_assert_eq!(budget.fits(), (budget.clients, budget.vendor) == (clients, vendor));
        }
    }
}
