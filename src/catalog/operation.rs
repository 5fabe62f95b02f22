//! One row of the catalogue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::numbers::OperationIx;

/// The quota that every connection has. Rows pay into it by this name.
pub const CONNECTION_POOL: &str = "connection";

/// The most calls in a window that a quota can count. The books of that many take 24 MB, and a
/// vendor that allows more needs no gateway.
pub const MOST_CALLS: u32 = 1_000_000;
/// The most pools that one call can pay: the connection's and three named ones.
pub const MOST_PAID: usize = 4;
/// The most different prices in one catalogue. The queue of each app has a line for each price.
pub const MOST_PRICES: usize = 100;

/// One operation: its name, the requests that it matches, and what it costs, reads and changes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Unique name, such as `lists.subscriptions.add`; also a scope and a label.
    pub id: Arc<str>,
    /// The scope word that covers the row.
    pub group: String,
    /// The method.
    pub method: MethodPattern,
    /// Template: literals, `{name}` for one segment, `{*name}` at the end for all that remain.
    pub path: String,
    /// Whether it only reads.
    pub access: Access,
    /// What an `Idempotency-Key` does.
    #[serde(default)]
    pub idempotency: KeySupport,
    /// What a call pays: pool name to cost. `connection` is the connection's own quota. A row
    /// without this table pays one slot of it; with an empty table a call costs nothing.
    #[serde(default = "one_slot")]
    pub pools: BTreeMap<String, u32>,
    /// How long an answer may be reused.
    #[serde(default)]
    pub cache: Option<CacheRule>,
    /// Where freshness comes from.
    #[serde(default)]
    pub freshness: Freshness,
    /// The collections that an answer is built from.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The collections that a call changes.
    #[serde(default)]
    pub clears: Vec<String>,
    /// Identical reads in flight at the same time may share one answer.
    #[serde(default)]
    pub share: bool,
    /// The lane of a row that is bulk by nature; else the app's.
    #[serde(default)]
    pub lane: Option<Lane>,
    /// Scopes must name the group: `*` does not reach it.
    #[serde(default)]
    pub named: bool,
    /// A fix for one known client.
    #[serde(default)]
    pub shim: Option<Shim>,
    /// Request fields that reach the vendor on a cacheable read, beyond the default ones. Each of
    /// their values has copies of its own.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Its number in the catalogue.
    #[serde(skip)]
    pub ix: OperationIx,
}

/// A method, or every one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MethodPattern {
    /// This one.
    Only(Method),
    /// `*`: each of [`Self::ALL`].
    Any,
}

impl MethodPattern {
    /// The methods that a row can have. `HEAD` follows the `GET` row.
    pub const ALL: [Method; 5] =
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
}

impl TryFrom<String> for MethodPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        Self::ALL.into_iter().find(|method| method.as_str() == text).map(Self::Only).ok_or_else(
            || format!("'{text}' is no method here: write GET, POST, PUT, PATCH, DELETE or *"),
        )
    }
}

/// Whether an operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It only reads.
    Read,
    /// It may change something.
    Write,
}

/// What an `Idempotency-Key` does on an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySupport {
    /// The vendor honours it and its SDKs expose it: the gateway may add one.
    Make,
    /// The vendor honours the client's; none is made.
    Honor,
    /// There is no evidence that it does anything.
    #[default]
    None,
}

/// How long an answer may be reused when the vendor does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRule {
    /// Seconds.
    pub ttl: u32,
    /// Cached unless configured otherwise.
    #[serde(default)]
    pub on: bool,
}

impl CacheRule {
    /// The time as a duration.
    #[must_use]
    pub fn ttl(self) -> Duration {
        Duration::from_secs(self.ttl.into())
    }
}

/// Where freshness comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// The row's seconds, which the vendor's directives can only shorten.
    #[default]
    Table,
    /// The vendor's header fields alone (RFC 9111).
    Headers,
}

/// Which queue a call waits in.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Somebody is waiting for it.
    #[default]
    Interactive,
    /// It may take its time.
    Bulk,
}

impl Lane {
    /// Both. The first is served first.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// 0 or 1, in the order of [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Interactive => 0,
            Self::Bulk => 1,
        }
    }

    /// The word in labels and lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

/// A fix for one known client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shim {
    /// Moves the query `idempotency`, which the vendor does not know, into `Idempotency-Key`.
    ConnectorIdempotency,
}

/// A quota of the vendor beside the connection's own; it belongs to the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The name that rows pay to.
    pub id: String,
    /// Calls in any one window.
    pub calls: std::num::NonZeroU32,
    /// The window.
    pub window: crate::units::Span,
}

/// What a row pays if it does not say.
fn one_slot() -> BTreeMap<String, u32> {
    BTreeMap::from([(CONNECTION_POOL.into(), 1)])
}

impl Operation {
    /// The row that stands for paths outside the catalogue. It is never cached, and it pays the
    /// connection's quota.
    #[must_use]
    pub fn unlisted() -> Self {
        Self {
            id: "unlisted".into(),
            group: "unlisted".into(),
            method: MethodPattern::Any,
            path: "/{*rest}".into(),
            access: Access::Write,
            idempotency: KeySupport::None,
            pools: one_slot(),
            cache: None,
            freshness: Freshness::Table,
            reads: Vec::new(),
            clears: Vec::new(),
            share: false,
            lane: None,
            named: true,
            shim: None,
            headers: Vec::new(),
            ix: OperationIx::default(),
        }
    }

    /// What a call pays of named pools: name and slots.
    pub fn named_pools(&self) -> impl Iterator<Item = (&str, u32)> {
        let paid = self.pools.iter().map(|(name, cost)| (name.as_str(), *cost));
        paid.filter(|(name, cost)| *name != CONNECTION_POOL && *cost > 0)
    }

    /// What a call pays of the connection's own pool.
    #[must_use]
    pub fn own_cost(&self) -> u32 {
        self.pools.get(CONNECTION_POOL).copied().unwrap_or(0)
    }

    /// The first segment of the template.
    #[must_use]
    pub fn first_segment(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}
