//! Several commands in one round trip.

use std::time::Duration;

use bytes::Bytes;
use redis::Pipeline;

use super::commands::{bytes, get, put};
use super::{SharedStore, StoreError, StoreKey};

/// Commands that are sent together. They don't exclude others between them. In a cluster all keys
/// are of one group.
#[derive(Default)]
pub struct Batch(Pipeline);

impl Batch {
    /// Asks for the value of `key`.
    #[must_use]
    pub fn get(mut self, key: &StoreKey) -> Self {
        self.0.add_command(get(key));
        self
    }

    /// Gives `key` a value, for `life`. Its answer is `OK`.
    #[must_use]
    pub fn put(mut self, key: &StoreKey, value: &[u8], life: Duration) -> Self {
        self.0.add_command(put(key, value, life));
        self
    }
}

impl SharedStore {
    /// The answers to `batch`, in order.
    ///
    /// # Errors
    /// When one of them is a refusal, or not all are here in time. Any of the commands may have been
    /// carried out.
    pub async fn run(&self, batch: &Batch) -> Result<Vec<Option<Bytes>>, StoreError> {
        let run = async {
            let answers = self.keeper.link()?.send_all(&batch.0).await?;
            answers.into_iter().map(bytes).collect()
        };
        self.keeper.within(run).await
    }
}
