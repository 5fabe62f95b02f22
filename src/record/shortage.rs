//! What the gateway itself had too little of.

use std::error::Error;

use rustix::io::Errno;

/// Why a call could not be sent, though the vendor did nothing to prevent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// All places among the sockets were taken (`vendor.sockets`).
    Places,
    /// The process or the machine has no file descriptor left.
    Descriptors,
    /// No local port is left for the vendor's address.
    Ports,
    /// The system has no memory left for a socket.
    Memory,
    /// The state folder stalls: what must survive a crash can't be written before the send.
    Storage,
}

impl Shortage {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Places, Self::Descriptors, Self::Ports, Self::Memory, Self::Storage];

    /// The word in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::Memory => "memory",
            Self::Storage => "storage",
        }
    }

    /// The shortage that `error` or one of its causes tells of: the error number of the system.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<std::io::Error>();
            if let Some(shortage) = io.and_then(Errno::from_io_error).and_then(Self::told_by) {
                return Some(shortage);
            }
            // The source of an error inside an I/O error is not that error, but its source.
            let inside = io.and_then(std::io::Error::get_ref);
            next = inside.map_or_else(|| error.source(), |inside| Some(inside));
        }
        None
    }

    fn told_by(number: Errno) -> Option<Self> {
        match number {
            Errno::MFILE | Errno::NFILE => Some(Self::Descriptors),
            Errno::ADDRNOTAVAIL => Some(Self::Ports),
            Errno::NOMEM | Errno::NOBUFS => Some(Self::Memory),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the connection failed")]
    struct Outer(#[source] std::io::Error);

    fn failed(number: Errno) -> Outer {
        Outer(number.into())
    }

    #[test]
    fn a_shortage_is_found_behind_other_errors_and_what_the_vendor_did_is_none() {
        let cases = [
            (Errno::MFILE, Some("descriptors")),
            (Errno::NFILE, Some("descriptors")),
            (Errno::ADDRNOTAVAIL, Some("ports")),
            (Errno::NOMEM, Some("memory")),
            (Errno::NOBUFS, Some("memory")),
            (Errno::CONNREFUSED, None),
            (Errno::CONNRESET, None),
            (Errno::TIMEDOUT, None),
            (Errno::HOSTUNREACH, None),
        ];
        for (number, word) in cases {
            let found = Shortage::of(&failed(number)).map(Shortage::as_str);
            assert_eq!(found, word, "{number:?}");
            let inside = std::io::Error::other(failed(number));
            assert_eq!(Shortage::of(&inside).map(Shortage::as_str), word, "{number:?} wrapped");
            let twice = std::io::Error::other(std::io::Error::from(number));
            assert_eq!(Shortage::of(&twice).map(Shortage::as_str), word, "{number:?} twice");
        }
        assert_eq!(Shortage::of(&std::io::Error::other("name not known")), None);
    }
}
