//! The table `[shared]`: the Redis that replicas share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::TokenSource;
use crate::shared::{Kind, RedisUrl, StoreSettings};
use crate::tls;
use crate::units::Span;

/// What replicas of this gateway share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharedTable {
    /// Where Redis (7 or later) is: `"redis://host:6379"`, or `"rediss://…"` for TLS. The number of a
    /// database may follow, such as `/1`. Several hosts have commas between them; they are sentinels
    /// (`sentinel`) or nodes of a cluster (`cluster`). User and password don't stand in it. Without it
    /// nothing is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisUrl>,
    /// The name under which sentinels know the primary. The hosts of `redis` are then sentinels, and a
    /// failover is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<String>,
    /// True if the hosts of `redis` are nodes of a cluster; a few lead to all.
    pub cluster: bool,
    /// The user of Redis. Without it, the default user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where the password is: `{ file = "…" }` or `{ env = "…" }`. It is read again for each new
    /// connection.
    #[serde(skip_serializing)]
    pub password: Option<TokenSource>,
    /// Where the sentinels' own password is, if they have one.
    #[serde(skip_serializing)]
    pub sentinel_password: Option<TokenSource>,
    /// The root certificates to trust for `rediss://`, as a PEM file. It stands in place of the web's
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Allows `redis://` to hosts other than this machine. The password is then sent in clear text.
    pub allow_plain: bool,
    /// Time for one command. No request waits that long.
    pub timeout: Span,
    /// For how long a replica uses the slots that it has when Redis does not answer. It is also how
    /// long the slots of a replica that died are out of use, beside their rest. All replicas need the
    /// same, and `timeout` must be under a quarter of it.
    pub lease: Span,
    /// What all keys and channels begin with. Gateways that share nothing need different ones.
    pub prefix: String,
}

impl Default for SharedTable {
    fn default() -> Self {
        Self {
            redis: None,
            sentinel: None,
            cluster: false,
            user: None,
            password: None,
            sentinel_password: None,
            ca_file: None,
            allow_plain: false,
            timeout: Span::secs(2),
            lease: Span::secs(20),
            prefix: "tg".into(),
        }
    }
}

/// A key of the table and what is wrong with it.
type Problem = (&'static str, String);

impl SharedTable {
    /// What is wrong with the table alone.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems_of_values();
        match &self.redis {
            Some(url) => problems.extend(self.problems_with(url)),
            None => problems.extend(self.idle().map(|key| {
                let message = format!(
                    "shared.{key} needs shared.redis: write where Redis is, or leave it out"
                );
                (key, message)
            })),
        }
        problems
    }

    /// A key that means nothing without a Redis.
    fn idle(&self) -> Option<&'static str> {
        let keys = [
            ("sentinel", self.sentinel.is_some()),
            ("cluster", self.cluster),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("sentinel_password", self.sentinel_password.is_some()),
            ("ca_file", self.ca_file.is_some()),
        ];
        keys.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }

    fn problems_of_values(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let empty =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        for (key, text) in [("sentinel", &self.sentinel), ("user", &self.user)] {
            if empty(text) {
                problems
                    .push((key, format!("shared.{key} is empty: write a name, or leave it out")));
            }
        }
        for (key, source) in
            [("password", &self.password), ("sentinel_password", &self.sentinel_password)]
        {
            if source.as_ref().is_some_and(TokenSource::is_nameless) {
                problems.push((
                    key,
                    format!("shared.{key}: what holds it has no name: name a variable or a file"),
                ));
            }
        }
        if self.ca_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            problems
                .push(("ca_file", "shared.ca_file is empty: name a file, or leave it out".into()));
        }
        let limits = Duration::from_millis(10)..=Duration::from_secs(10);
        if !limits.contains(&self.timeout.get()) {
            problems.push(("timeout", "shared.timeout must be 10ms to 10s".into()));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&self.lease.get()) {
            problems.push(("lease", "shared.lease must be 1s to 60s".into()));
        } else if self.timeout.get() * 4 > self.lease.get() {
            problems.push((
                "timeout",
                format!(
                    "shared.timeout = \"{}\" is over a quarter of shared.lease = \"{}\": a command that fails must leave time for further ones",
                    self.timeout, self.lease
                ),
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.chars().all(plain) {
            problems.push((
                "prefix",
                "shared.prefix must be 1 to 64 of a-z, A-Z, 0-9, '-', '_', '.' and ':'".into(),
            ));
        }
        problems
    }

    /// What does not go together.
    fn problems_with(&self, url: &RedisUrl) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |is: bool, key, message: &str| {
            if is {
                problems.push((key, message.to_owned()));
            }
        };
        let alone = self.sentinel.is_none() && !self.cluster;
        wrong(
            self.sentinel.is_some() && self.cluster,
            "cluster",
            "shared.cluster and shared.sentinel exclude each other: leave one of them out",
        );
        wrong(
            alone && url.nodes.len() > 1,
            "redis",
            "shared.redis names several hosts: say shared.sentinel = \"NAME\" if they are sentinels, or shared.cluster = true, or leave one host",
        );
        wrong(
            self.cluster && url.database.is_some_and(|database| database > 0),
            "redis",
            "shared.redis names a database, and a cluster has only database 0: leave it out",
        );
        wrong(
            self.user.is_some() && self.password.is_none(),
            "user",
            "shared.user needs shared.password: write { file = \"…\" } or { env = \"…\" } there, or leave the user out",
        );
        wrong(
            self.sentinel_password.is_some() && self.sentinel.is_none(),
            "sentinel_password",
            "shared.sentinel_password needs shared.sentinel: write the primary's name there, or leave it out",
        );
        wrong(
            self.ca_file.is_some() && !url.tls,
            "ca_file",
            "shared.ca_file needs TLS: write \"rediss://…\" in shared.redis, or leave it out",
        );
        if let Some(host) = url.remote().filter(|_| !url.tls && !self.allow_plain) {
            let message = format!(
                "{url} would carry the password in clear text to '{host}': use rediss, or say shared.allow_plain = true"
            );
            problems.push(("redis", message));
        }
        problems
    }

    /// Reads what the table refers to. The passwords are only tried, since each connection reads them
    /// anew.
    pub(super) fn store(&self) -> Result<Option<StoreSettings>, Vec<Problem>> {
        let Some(url) = &self.redis else { return Ok(None) };
        let mut problems = Vec::new();
        for (key, source) in
            [("password", &self.password), ("sentinel_password", &self.sentinel_password)]
        {
            let source = source.iter().find(|source| !source.is_nameless());
            if let Some(Err(reason)) = source.map(TokenSource::password) {
                problems.push((key, format!("shared.{key}: {reason}")));
            }
        }
        let roots = self.roots().map_err(|reason| problems.push(("ca_file", reason)));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Some(StoreSettings {
            url: url.clone(),
            kind: match &self.sentinel {
                Some(name) => Kind::Sentinel(name.clone()),
                None if self.cluster => Kind::Cluster,
                None => Kind::Single,
            },
            user: self.user.clone(),
            password: self.password.clone(),
            sentinel_password: self.sentinel_password.clone(),
            roots: roots.unwrap_or_default(),
            timeout: self.timeout.get(),
            prefix: self.prefix.clone(),
        }))
    }

    fn roots(&self) -> Result<Option<Arc<[u8]>>, String> {
        let file = self.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let Some(file) = file else { return Ok(None) };
        // This says what is wrong with the file.
        tls::client(Some(file))?;
        let pem = std::fs::read(file).map_err(|error| {
            format!(
                "certificate file '{}' cannot be read: {}; name a file in PEM form",
                file.display(),
                error.kind()
            )
        })?;
        Ok(Some(pem.into()))
    }
}
