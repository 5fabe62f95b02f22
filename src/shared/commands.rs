//! The commands: each ends within its time-out.

use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Value};

use super::{SharedStore, StoreError, StoreKey, Subscription};

/// A Lua script, which Redis knows by the hash of its text.
#[derive(Clone, Debug)]
pub struct Script {
    text: String,
    hash: String,
}

impl Script {
    /// The script `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

impl SharedStore {
    /// Runs `script` with `keys` of one group. A Redis that doesn't know the script, as after a
    /// restart, gets its text in the same call.
    ///
    /// # Errors
    /// After [`StoreError::TimedOut`] and [`StoreError::Lost`] it may have run. In a cluster it may
    /// run twice, if a node is lost while it runs there.
    pub async fn eval(
        &self,
        script: &Script,
        keys: &[&StoreKey],
        arguments: &[&[u8]],
    ) -> Result<Bytes, StoreError> {
        let call = |name: &str, script: &str| {
            let mut call = redis::cmd(name);
            call.arg(script).arg(keys.len());
            for key in keys {
                call.arg(key.as_str());
            }
            for argument in arguments {
                call.arg(argument);
            }
            call
        };
        let run = async {
            let mut link = self.keeper.link()?;
            match link.send(&call("EVALSHA", &script.hash)).await {
                // Nothing of it ran.
                Err(error) if error.is_unknown_script() => {
                    link.send(&call("EVAL", &script.text)).await
                }
                answer => answer,
            }
        };
        let answer = self.keeper.within(async { bytes(run.await?) }).await;
        answer?.ok_or(StoreError::Unreadable)
    }

    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// When no answer can be had in time.
    pub async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>, StoreError> {
        self.ask(&get(key)).await
    }

    /// Gives `key` a value, for `life`.
    ///
    /// # Errors
    /// After [`StoreError::TimedOut`] and [`StoreError::Lost`] it may have it.
    pub async fn put(
        &self,
        key: &StoreKey,
        value: &[u8],
        life: Duration,
    ) -> Result<(), StoreError> {
        self.ask(&put(key, value, life)).await.map(drop)
    }

    /// Gives `key` a value unless it has one; without `life`, for good. True if it was given.
    ///
    /// # Errors
    /// After [`StoreError::TimedOut`] and [`StoreError::Lost`] it may have it.
    pub async fn put_new(
        &self,
        key: &StoreKey,
        value: &[u8],
        life: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let mut command = redis::cmd("SET");
        command.arg(key.as_str()).arg(value).arg("NX");
        if let Some(life) = life {
            command.arg("PX").arg(millis(life));
        }
        Ok(self.ask(&command).await?.is_some())
    }

    /// Says `message` to all who listen to `channel` now.
    ///
    /// # Errors
    /// After [`StoreError::TimedOut`] and [`StoreError::Lost`] it may have been heard.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.channel(channel)).arg(message);
        self.ask(&command).await.map(drop)
    }

    /// Listens to `channel`, over every loss of the connection. What is missed meanwhile is a
    /// [`Notice::Gap`](super::Notice::Gap), and so is the beginning.
    pub fn subscribe(&self, channel: &str) -> Subscription {
        let subscription = self.keeper.notices.listen(self.channel(channel));
        // The keeper asks for it now, or on the next connection.
        self.keeper.notices.changed();
        subscription
    }

    /// The channel as Redis knows it, for scripts that say something there.
    #[must_use]
    pub fn channel(&self, name: &str) -> String {
        format!("{}:{name}", self.keeper.settings.prefix)
    }

    async fn ask(&self, command: &Cmd) -> Result<Option<Bytes>, StoreError> {
        self.keeper.within(async { bytes(self.keeper.link()?.send(command).await?) }).await
    }
}

pub(super) fn get(key: &StoreKey) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key.as_str());
    command
}

pub(super) fn put(key: &StoreKey, value: &[u8], life: Duration) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(key.as_str()).arg(value).arg("PX").arg(millis(life));
    command
}

/// Redis takes no life of 0.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// An answer that is text, a number or nothing.
pub(super) fn bytes(value: Value) -> Result<Option<Bytes>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(octets) => Ok(Some(octets.into())),
        Value::SimpleString(text) => Ok(Some(text.into())),
        Value::Okay => Ok(Some(Bytes::from_static(b"OK"))),
        Value::Int(number) => Ok(Some(number.to_string().into())),
        _ => Err(StoreError::Unreadable),
    }
}
