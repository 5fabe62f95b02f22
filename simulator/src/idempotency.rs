//! Courier's memory of `Idempotency-Key`, per endpoint, key and environment.

use std::collections::{HashMap, VecDeque};

use crate::reply::Reply;
use crate::switches::{EpochUnit, Switches};
use crate::time::{Micros, Wall};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

/// What the memory says about a key.
pub(crate) enum Known {
    /// Never seen, or forgotten.
    No,
    /// The first call is still running: 409.
    Running,
    /// The first answer, to be given again.
    Answered(Box<Reply>),
}

struct Stored {
    reply: Reply,
    /// The caller's time at which the first answer goes out.
    answered: Micros,
    /// The vendor's time at which the key is forgotten.
    expires: Wall,
}

/// Keys and first answers. The oldest are dropped when it is full.
pub(crate) struct Memory {
    /// Only for look-ups. It is never iterated, because its order differs from run to run.
    stored: HashMap<String, Stored>,
    order: VecDeque<String>,
    capacity: usize,
}

impl Memory {
    /// An empty memory for at most `capacity` keys.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { stored: HashMap::new(), order: VecDeque::new(), capacity }
    }

    /// Looks a key up.
    pub(crate) fn find(&self, key: &str, now: Micros, wall: Wall) -> Known {
        match self.stored.get(key).filter(|s| s.expires > wall) {
            None => Known::No,
            Some(s) if s.answered > now => Known::Running,
            Some(s) => Known::Answered(Box::new(s.reply.clone())),
        }
    }

    /// Keeps an answer if it is a 2xx or 5xx. Validation failures and conflicts are not kept (D2).
    pub(crate) fn keep(&mut self, key: String, reply: &Reply, answered: Micros, expires: Wall) {
        if !matches!(reply.status, 200..=299 | 500..=599) {
            return;
        }
        if self
            .stored
            .insert(key.clone(), Stored { reply: reply.clone(), answered, expires })
            .is_none()
        {
            self.order.push_back(key);
        }
        while self.order.len() > self.capacity {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.stored.remove(&oldest);
        }
    }
}

/// When a key is forgotten: after the default time, or at the time that `x-idempotency-expiration`
/// names.
///
/// The header's time is limited to between 24 h and a year.
pub(crate) fn expires(header: Option<&str>, wall: Wall, switches: &Switches) -> Wall {
    let Some(text) = header else {
        return wall.plus_ms(switches.idempotency_hours.saturating_mul(HOUR_MS));
    };
    let number = text.trim().parse::<u64>().ok().map(|n| match switches.idempotency_epoch {
        EpochUnit::Seconds => Wall(n.saturating_mul(1000)),
        EpochUnit::Millis => Wall(n),
        EpochUnit::Either if n > 100_000_000_000 => Wall(n),
        EpochUnit::Either => Wall(n.saturating_mul(1000)),
    });
    let wanted = number.or_else(|| Wall::parse_iso(text)).unwrap_or(wall);
    wanted.clamp(wall.plus_ms(DAY_MS), wall.plus_ms(YEAR_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_is_read_in_both_units_and_bounded() {
        let wall = Wall(1_767_323_045_000);
        let s = Switches::default();
        let two_days = wall.plus_ms(2 * DAY_MS);
        for text in [two_days.iso(), two_days.0.to_string(), (two_days.0 / 1000).to_string()] {
            assert_eq!(expires(Some(&text), wall, &s), two_days, "{text}");
        }
        assert_eq!(expires(None, wall, &s), wall.plus_ms(DAY_MS));
        assert_eq!(expires(Some("1"), wall, &s), wall.plus_ms(DAY_MS));
        assert_eq!(expires(Some("9999-01-01"), wall, &s), wall.plus_ms(YEAR_MS));
    }

    #[test]
    fn only_successes_and_server_errors_are_kept_and_the_oldest_go() {
        let mut m = Memory::new(2);
        let (now, wall) = (Micros::ZERO, Wall(0));
        for (key, status) in [("a", 202), ("b", 400), ("c", 500), ("d", 204)] {
            m.keep(key.into(), &Reply::empty(status), now, Wall(1));
        }
        let known = |key| matches!(m.find(key, now, wall), Known::Answered(_));
        assert_eq!(["a", "b", "c", "d"].map(known), [false, false, true, true]);
        assert!(matches!(m.find("c", now, Wall(1)), Known::No));
    }
}
