//! Limits that answer 429: those of Courier per operation, or any others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::windows::{Algorithm, Window};

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of one token.
    Token,
    /// Those of one environment of a workspace, for all its tokens.
    #[default]
    Workspace,
}

/// One limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// The operations that it counts. An empty list means all.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Calls per window.
    pub calls: u64,
    /// The window in ms.
    pub window_ms: u64,
    /// Whose calls are counted together.
    #[serde(default)]
    pub scope: Scope,
    /// How they are counted.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Shifts the edges of fixed windows, in ms.
    #[serde(default)]
    pub phase_ms: u64,
    /// Whether a refused call counts, too.
    #[serde(default)]
    pub count_refused: bool,
}

impl LimitRule {
    /// `calls` a minute for one operation.
    pub fn per_minute(operation: &str, calls: u64) -> Self {
        Self { operations: vec![operation.to_owned()], ..Self::global(calls, 60_000) }
    }

    /// `calls` in any window, over all operations of a token.
    pub const fn global(calls: u64, window_ms: u64) -> Self {
        Self {
            operations: Vec::new(),
            calls,
            window_ms,
            scope: Scope::Token,
            algorithm: Algorithm::Sliding,
            phase_ms: 0,
            count_refused: false,
        }
    }
}

/// The limits that Courier documents (GS).
///
/// 20/min on lists, their subscriptions and events, 200/min on brands.
pub fn documented() -> Vec<LimitRule> {
    let rule = |operation, calls| LimitRule {
        scope: Scope::Workspace,
        ..LimitRule::per_minute(operation, calls)
    };
    vec![
        rule("lists.put", 20),
        rule("lists.subscriptions.add", 20),
        rule("brands.put", 200),
        rule("events.put", 20),
    ]
}

/// A call that a limit refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// After how many µs it would fit, if no other call comes before.
    pub(crate) wait: u64,
    /// Calls per window of the limit that refuses it.
    pub(crate) calls: u64,
}

/// How many counts are kept. Beyond that all counts start again.
const KEPT: usize = 10_000;

/// The active limits and their counts.
pub(crate) struct Limits {
    rules: Vec<LimitRule>,
    windows: BTreeMap<(usize, String), Window>,
}

impl Limits {
    /// Limits with empty windows.
    pub(crate) const fn new(rules: Vec<LimitRule>) -> Self {
        Self { rules, windows: BTreeMap::new() }
    }

    /// The active limits.
    pub(crate) fn rules(&self) -> &[LimitRule] {
        &self.rules
    }

    /// Counts a call at `at` (µs) in every limit that applies to it, or says when it would fit.
    ///
    /// A call that one limit refuses is not counted by the others.
    pub(crate) fn take(
        &mut self,
        operation: &str,
        token: &str,
        workspace: &str,
        at: u64,
    ) -> Result<(), Refused> {
        let Self { rules, windows } = self;
        let counting: Vec<(usize, String)> = (rules.iter().enumerate())
            .filter(|(_, r)| r.operations.is_empty() || r.operations.iter().any(|o| o == operation))
            .map(|(n, r)| (n, if r.scope == Scope::Token { token } else { workspace }.to_owned()))
            .collect();
        if windows.len() + counting.len() > KEPT {
            windows.clear();
        }
        let mut refused: Option<Refused> = None;
        for key in &counting {
            let rule = &rules[key.0];
            let fresh = || {
                Window::new(
                    rule.algorithm,
                    rule.window_ms.saturating_mul(1000),
                    rule.phase_ms.saturating_mul(1000),
                )
            };
            let window = windows.entry(key.clone()).or_insert_with(fresh);
            if window.count(at) + 1.0 > rule.calls as f64 {
                let wait = window.wait(at, rule.calls).max(1);
                if refused.as_ref().is_none_or(|r| wait > r.wait) {
                    refused = Some(Refused { wait, calls: rule.calls });
                }
            }
        }
        for key in &counting {
            if refused.is_none() || rules[key.0].count_refused {
                windows.entry(key.clone()).and_modify(|w| w.add(at));
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_first_put_of_a_minute_waits_for_the_first_to_leave() {
        let mut l = Limits::new(documented());
        for i in 0..20 {
            l.take("lists.put", "t", "w", i * 1000).unwrap();
        }
        assert_eq!(
            l.take("lists.put", "other token", "w", 20_000),
            Err(Refused { wait: 60_000_000 - 20_000, calls: 20 })
        );
        l.take("lists.put", "t", "other", 20_000).unwrap();
        l.take("lists.get", "t", "w", 20_000).unwrap();
        l.take("lists.put", "t", "w", 60_000_000).unwrap();
    }

    #[test]
    fn refused_calls_count_where_the_rule_says_so() {
        for (count_refused, last) in [(false, Ok(())), (true, Err(Refused { wait: 40, calls: 1 }))]
        {
            let rule = LimitRule { count_refused, ..LimitRule::global(1, 0) };
            let mut l = Limits::new(vec![LimitRule { window_ms: 1, ..rule }]);
            l.take("a", "t", "w", 0).unwrap();
            l.take("a", "t", "w", 100).unwrap_err();
            assert_eq!(l.take("a", "t", "w", 1060), last);
        }
    }

    #[test]
    fn of_two_limits_that_refuse_the_longer_wait_is_told() {
        let rules = [(1, 10), (1, 50), (1, 20)].map(|(calls, ms)| LimitRule::global(calls, ms));
        let mut l = Limits::new(rules.to_vec());
        l.take("a", "t", "w", 0).unwrap();
        assert_eq!(l.take("a", "t", "w", 0), Err(Refused { wait: 50_000, calls: 1 }));
    }

    #[test]
    fn a_call_that_one_limit_refuses_costs_the_other_nothing() {
        let mut l = Limits::new(vec![LimitRule::per_minute("a", 1), LimitRule::global(2, 60_000)]);
        l.take("a", "t", "w", 0).unwrap();
        l.take("a", "t", "w", 1).unwrap_err();
        l.take("b", "t", "w", 2).unwrap();
        l.take("b", "t", "w", 3).unwrap_err();
    }
}
