//! When a host counts as dead, and which call asks whether it is back. Pure: time is an argument.

use std::time::Duration;

use crate::clock::Instant;

/// Failures in a row after which the host counts as dead.
const FAILURES: u32 = 5;

/// Time before the next probe.
const REST: Duration = Duration::from_secs(2);

/// How long one probe keeps others away. A probe may hang for much longer than a host that is back
/// takes to answer another.
const PROBE: Duration = Duration::from_secs(5);

/// What an attempt says about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CircuitVerdict {
    /// It answered.
    Alive,
    /// No connection, or no answer in time.
    Dead,
    /// Neither: the attempt was refused below or given up, or its socket broke.
    Unclear,
}

/// The right of one call to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitEntry {
    since: Instant,
    /// The number of the probe, if the call is one.
    probe: Option<u64>,
}

/// What is known of one host, or of one connection to it.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    /// When it last answered.
    answered: Option<Instant>,
    /// When the next probe may go; `None` while the host does not count as dead.
    open: Option<Instant>,
    probes: u64,
}

impl CircuitEntry {
    /// Of a call that goes whatever is known of the host.
    pub(super) const fn free(now: Instant) -> Self {
        Self { since: now, probe: None }
    }
}

impl Circuit {
    /// How long nobody may ask whether the host is back; `None` while it does not count as dead.
    pub(super) fn waits(&self, now: Instant) -> Option<Duration> {
        self.open.map(|next| next.saturating_duration_since(now))
    }

    /// Lets a call go on, or says how long to wait before the next try.
    pub(super) fn enter(&mut self, now: Instant) -> Result<CircuitEntry, Duration> {
        match self.open {
            None => Ok(CircuitEntry { since: now, probe: None }),
            Some(next) if now < next => Err(next - now),
            Some(_) => {
                self.open = Some(now + PROBE);
                self.probes += 1;
                Ok(CircuitEntry { since: now, probe: Some(self.probes) })
            }
        }
    }

    /// Takes in how a call that entered ended.
    pub(super) fn leave(&mut self, entry: CircuitEntry, verdict: CircuitVerdict, now: Instant) {
        let latest_probe = entry.probe == Some(self.probes) && entry.probe.is_some();
        match verdict {
            CircuitVerdict::Alive => {
                *self = Self { answered: Some(now), probes: self.probes, ..Self::default() }
            }
            // The host answered others meanwhile, so it is only slow with this call.
            CircuitVerdict::Dead
                if self.answered.is_some_and(|answered| answered > entry.since) => {}
            CircuitVerdict::Dead => {
                self.failures = self.failures.saturating_add(1);
                // A late call from before does not delay the next probe.
                if (self.open.is_none() && self.failures >= FAILURES) || latest_probe {
                    self.open = Some(now + REST);
                }
            }
            // The probe learned nothing, so the next call may ask.
            CircuitVerdict::Unclear if latest_probe && self.open.is_some() => self.open = Some(now),
            CircuitVerdict::Unclear => {}
        }
    }

    /// True while the host counts as dead.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dead(circuit: &mut Circuit, now: Instant, times: u32) {
        for _ in 0..times {
            let entry = circuit.enter(now).unwrap();
            circuit.leave(entry, CircuitVerdict::Dead, now);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        dead(&mut circuit, now, 4);
        let entry = circuit.enter(now).unwrap();
        circuit.leave(entry, CircuitVerdict::Alive, now);
        dead(&mut circuit, now, 4);
        assert!(!circuit.is_open(), "not in a row");
        dead(&mut circuit, now, 1);
        assert_eq!(circuit.enter(now), Err(REST));
        let probe = circuit.enter(now + REST).unwrap();
        assert_eq!(circuit.enter(now + REST), Err(PROBE), "one at a time");
        circuit.leave(probe, CircuitVerdict::Dead, now + REST);
        assert_eq!(circuit.enter(now + REST), Err(REST));
        let probe = circuit.enter(now + REST + REST).unwrap();
        circuit.leave(probe, CircuitVerdict::Alive, now + REST + REST);
        assert!(!circuit.is_open());
        dead(&mut circuit, now, 4);
        assert!(!circuit.is_open(), "it counts from the beginning");
    }

    #[test]
    fn a_probe_that_learned_nothing_leaves_its_place_and_one_that_hangs_does_not_block() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        dead(&mut circuit, now, 5);
        let later = now + REST;
        let probe = circuit.enter(later).unwrap();
        circuit.leave(probe, CircuitVerdict::Unclear, later);
        let hanging = circuit.enter(later).unwrap();
        let second = circuit.enter(later + PROBE).unwrap();
        circuit.leave(hanging, CircuitVerdict::Dead, later + PROBE);
        assert_eq!(circuit.enter(later + PROBE), Err(PROBE), "the second probe is still out");
        circuit.leave(second, CircuitVerdict::Alive, later + PROBE);
        assert!(!circuit.is_open());
    }

    #[test]
    fn calls_that_hang_while_others_are_answered_do_not_open_it() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        let hanging = [(); 100].map(|()| circuit.enter(now).unwrap());
        let answered = circuit.enter(now).unwrap();
        let later = now + Duration::from_secs(50);
        circuit.leave(answered, CircuitVerdict::Alive, later);
        let over = now + Duration::from_secs(55);
        hanging.into_iter().for_each(|entry| circuit.leave(entry, CircuitVerdict::Dead, over));
        assert!(!circuit.is_open());
        dead(&mut circuit, over, 5);
        assert!(circuit.is_open(), "nothing was answered since");
    }

    #[test]
    fn a_broken_connection_is_neither() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        dead(&mut circuit, now, 4);
        let entry = circuit.enter(now).unwrap();
        circuit.leave(entry, CircuitVerdict::Unclear, now);
        dead(&mut circuit, now, 1);
        assert!(circuit.is_open());
    }

    proptest! {
        /// Nobody is told to wait longer than a probe may hang, and a host that answers its probe
        /// is open to all at once. This holds whatever happens.
        #[test]
        fn a_host_that_is_back_is_found_within_a_probe(
            steps in proptest::collection::vec((0_u64..3_000, 0_u8..4), 1..200),
        ) {
            let mut now = Instant::now();
            let (mut circuit, mut inside) = (Circuit::default(), Vec::new());
            for (millis, step) in steps {
                now += Duration::from_millis(millis);
                match (step, inside.pop()) {
                    (0, entry) | (_, entry @ None) => {
                        inside.extend(entry);
                        match circuit.enter(now) {
                            Ok(entry) => inside.push(entry),
                            Err(wait) => prop_assert!(wait <= PROBE),
                        }
                    }
                    (1, Some(entry)) => {
                        circuit.leave(entry, CircuitVerdict::Alive, now);
                        prop_assert!(circuit.enter(now).is_ok());
                    }
                    (2, Some(entry)) => circuit.leave(entry, CircuitVerdict::Dead, now),
                    (_, Some(entry)) => circuit.leave(entry, CircuitVerdict::Unclear, now),
                }
            }
        }
    }
}
