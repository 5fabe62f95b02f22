//! Whether the store can be used, for readiness, metrics and the log.

use std::fmt;
use std::sync::Arc;

use crate::clock::Instant;

/// The state of the connection.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether commands are sent.
    pub connected: bool,
    /// Whether they were ever sent.
    pub was_connected: bool,
    /// Since when that is so.
    pub since: Instant,
    /// Why the last try to connect failed, or why the connection was given up. It holds no secret.
    pub cause: Option<Arc<str>>,
}

impl Status {
    /// Before the first try.
    pub(super) fn new() -> Self {
        Self { connected: false, was_connected: false, since: Instant::now(), cause: None }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.connected {
            return f.write_str("the shared store is connected");
        }
        write!(f, "the shared store is away for {} s", self.since.elapsed().as_secs())?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_for_how_long_the_store_is_away_and_why() {
        let mut status = Status::new();
        tokio::time::advance(std::time::Duration::from_secs(12)).await;
        assert_eq!(status.to_string(), "the shared store is away for 12 s");
        status.cause = Some("connection refused".into());
        assert!(status.to_string().ends_with("12 s: connection refused"));
        status.connected = true;
        assert_eq!(status.to_string(), "the shared store is connected");
    }
}
