//! The options of a simulator. A script file has the same form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::ClockOptions;
use crate::counters::CountersOptions;
use crate::fault::Fault;
use crate::journal::JournalOptions;
use crate::latency::Latency;
use crate::limits::{LimitRule, documented};
use crate::model::Release;
use crate::switches::Switches;

/// What a token stands for.
///
/// A token that isn't listed has a workspace of its own, in production, and sees what is published.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credential {
    /// The workspace. Tokens of one workspace and environment see each other's writes.
    pub workspace: String,
    /// Test or production. They share no data (EK).
    pub environment: Environment,
    /// Which brands and templates it sees (EK).
    pub release: Release,
    /// Whether it is a `mock` key: no provider is called, and messages end as `SIMULATED` (EK).
    pub mock: bool,
}

/// An environment of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Production.
    #[default]
    Production,
    /// Test.
    Test,
}

/// Limits on what is held.
///
/// Beyond them the oldest messages, runs, events, keys and journal entries are dropped. Other
/// writes answer 507.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capacity {
    /// Rows of each collection of an environment.
    pub rows: usize,
    /// Environments.
    pub environments: usize,
    /// Idempotency keys.
    pub keys: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { rows: 50_000, environments: 1000, keys: 100_000 }
    }
}

/// The options. `Default` behaves like Courier, as far as its behaviour is known.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The seed of all random numbers: ids, faults, latencies.
    pub seed: u64,
    /// The vendor's clock.
    pub clock: ClockOptions,
    /// Disputed behaviours.
    pub switches: Switches,
    /// Known tokens.
    pub tokens: BTreeMap<String, Credential>,
    /// Tokens that are refused.
    pub rejected_tokens: BTreeSet<String>,
    /// Limits that answer 429. By default these are the ones that Courier documents.
    pub limits: Vec<LimitRule>,
    /// What is counted, without ever refusing.
    pub counters: CountersOptions,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// Time to the first byte of every answer.
    pub latency: Option<Latency>,
    /// Bounds on what is held.
    pub capacity: Capacity,
    /// Bounds of the journal.
    pub journal: JournalOptions,
    /// Whether an environment begins with a default brand and three templates.
    pub seed_data: bool,
    /// Closes a socket that was idle for this many ms, as a front proxy does. Absent: never.
    pub idle_close_ms: Option<u64>,
    /// How many sockets one `serve` serves at once. Further ones wait.
    pub sockets: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            clock: ClockOptions::default(),
            switches: Switches::default(),
            tokens: BTreeMap::new(),
            rejected_tokens: BTreeSet::new(),
            limits: documented(),
            counters: CountersOptions::default(),
            faults: Vec::new(),
            latency: None,
            capacity: Capacity::default(),
            journal: JournalOptions::default(),
            seed_data: true,
            idle_close_ms: None,
            sockets: 4096,
        }
    }
}

/// Shows only the seed, because the rest may hold tokens.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Options {
    /// Options with this seed, and the defaults.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Reads a script. The error says what is wrong and in which line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_may_be_partial_and_a_misspelling_is_refused_with_its_place() {
        let o = Options::from_json(
            r#"{"switches":{"auth_status":401},"faults":[],"clock":{"mode":"step"}}"#,
        )
        .unwrap();
        assert_eq!((o.switches.auth_status, o.limits.len()), (401, 4));
        assert!(Options::from_json(r#"{"swiches":{}}"#).unwrap_err().contains("line 1"));
        let noon = Options::from_json(r#"{"clock":{"epoch":"noon"}}"#).unwrap_err();
        assert!(noon.contains("\"noon\" is neither") && noon.contains("line 1"), "{noon}");
        assert!(Options::from_json(r#"{"switches":{"page_size":0}}"#).is_err());
    }

    #[test]
    fn printing_options_shows_no_token() {
        let mut o = Options::seeded(3);
        o.rejected_tokens.insert("hidden-one".into());
        assert!(!format!("{o:?}").contains("hidden-one"));
    }
}
