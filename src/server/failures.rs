//! Accepts that fail, and the pause after each.

use std::time::Duration;

use tokio::time::sleep;

use crate::clock::Instant;

/// Accepts that failed. They are logged once a second, with their number.
#[derive(Default)]
pub(super) struct Failures {
    unsaid: u64,
    said: Option<Instant>,
}

impl Failures {
    /// Logs the failure, and pauses if that helps.
    pub(super) async fn happened(&mut self, error: &std::io::Error) {
        if let Some(count) = self.due(Instant::now()) {
            tracing::warn!(cause = %error, count, "accept failed");
        }
        // A client that left before it was accepted is taken out of the queue. Anything else is
        // most likely a lack of descriptors or memory. Without a pause the loop would spin on it.
        if error.kind() != std::io::ErrorKind::ConnectionAborted {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many failures to log now, this one included; `None` if it is too early.
    fn due(&mut self, now: Instant) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| now < said + Duration::from_secs(1)) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_accepts_are_said_once_a_second_with_their_number() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let looks = (0..35).map(|tenth| start + Duration::from_millis(100 * tenth));
        let said: Vec<u64> = looks.filter_map(|now| failures.due(now)).collect();
        assert_eq!(said, [1, 10, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_want_of_descriptors_makes_the_loop_rest_and_a_client_that_left_does_not() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        failures.happened(&std::io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        failures.happened(&std::io::ErrorKind::OutOfMemory.into()).await;
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }
}
