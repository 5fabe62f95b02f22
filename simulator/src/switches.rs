//! Behaviours on which the sources disagree or say nothing.
//!
//! Each is a switch. Its comment says what its default is based on.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// How a 429 says when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Not at all. No source documents the field.
    #[default]
    None,
    /// `Retry-After` in seconds, rounded up.
    Seconds,
    /// `Retry-After` as an HTTP date of the vendor's clock.
    Date,
    /// Both `retry-after-ms` and `Retry-After`, which the SDKs read.
    Millis,
}

/// The answer to a read of an unknown id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// 404.
    NotFound,
    /// 200 with an empty value.
    Empty,
}

/// What happens to an unknown query name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownQuery {
    /// It is ignored.
    #[default]
    Ignore,
    /// 400.
    Reject,
}

/// The body of a 413 or a 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalBody {
    /// Courier's error shape.
    #[default]
    Json,
    /// An HTML page, as from a front proxy.
    Html,
    /// Nothing.
    Empty,
}

/// The unit of a numeric `x-idempotency-expiration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochUnit {
    /// The size decides: above 10^11 it is milliseconds.
    #[default]
    Either,
    /// Seconds (SDK 9.x).
    Seconds,
    /// Milliseconds (D2).
    Millis,
}

/// The form of an audit event's `target`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditTarget {
    /// `"brand/B1"` (OA, SDK).
    #[default]
    Text,
    /// `{"id":"brand/B1","email":…}` (D2, C).
    Object,
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        0 => Err(D::Error::custom("a page has at least 1 row")),
        n => Ok(n),
    }
}

/// The switches. The default of each is the choice with the best sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// Status for a missing or bad credential: 403 as PH saw live, or 401 as the docs say.
    pub auth_status: u16,
    /// Success status by operation id, where sources disagree: `{"requests.archive": 204}`. The
    /// default is the first status of the row.
    pub statuses: BTreeMap<String, u16>,
    /// How a 429 says when to come back. Undocumented.
    pub retry_after: RetryAfter,
    /// The status for a bad credential by operation id: `{"messages.send": 401}`. Nobody compared
    /// all endpoints.
    pub auth_statuses: BTreeMap<String, u16>,
    /// The body of a 429. Undocumented.
    pub rate_limit_body: RefusalBody,
    /// `x-ratelimit-limit`, `-remaining` and `-reset` (seconds) on a 429. No source shows them.
    pub rate_limit_headers: bool,
    /// `type` in a 429's JSON body. Undocumented.
    pub rate_limit_type: String,
    /// GET of a profile that nobody wrote. Undocumented; 404 as for the other rows.
    pub unknown_profile: Unknown,
    /// GET or DELETE of an unknown id on the 160 rows beyond the connector. The default is
    /// [`Unknown::Empty`], so that a test can call each row alone.
    pub unknown_generic: Unknown,
    /// Whether PATCH /profiles also takes a bare array, as the connector sends it (C, D2 prose).
    pub patch_bare_array: bool,
    /// What happens to an unknown query name, such as the connector's `idempotency`. Undocumented.
    pub unknown_query: UnknownQuery,
    /// The body of a 413. Undocumented.
    pub too_large: RefusalBody,
    /// Rows of a page without `limit`: about 10.
    #[serde(deserialize_with = "at_least_one")]
    pub page_size: usize,
    /// The largest `limit` that is honoured: a production client uses 100 (PH settings.py).
    #[serde(deserialize_with = "at_least_one")]
    pub max_limit: usize,
    /// Whether a larger `limit` is a 400. Otherwise it counts as the largest. Undocumented.
    pub reject_large_limit: bool,
    /// Whether GET /lists says `results`, as only the connector does (C). OA and every SDK say
    /// `items`.
    pub lists_results: bool,
    /// The form of an audit event's `target`: a text (OA, SDKs) or an object (D2, C).
    pub audit_target: AuditTarget,
    /// Name of an answer header that carries a request id. No source documents one.
    pub request_id_header: Option<String>,
    /// The `Cache-Control` of reads, which then have an `ETag` too. No source documents either.
    pub cache_control: Option<String>,
    /// How long an idempotency key is kept, in hours: 24 (D2, GS) or 25 (SDK docs).
    pub idempotency_hours: u64,
    /// Whether a replayed answer comes without its body, as courier-node#107 reports.
    pub idempotency_empty_replay: bool,
    /// The unit of a numeric expiration. D2 and the SDK docs disagree.
    pub idempotency_epoch: EpochUnit,
    /// Time from a write of a profile or an audience until members are computed, in ms. The
    /// documents only say "a moment".
    pub audience_lag_ms: u64,
    /// Whether reads have `x-simulator-versions`: the version of each collection read, such as
    /// `brands=3,…`. Courier has no such header. It proves that an answer is fresh.
    pub versions_header: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            auth_status: 403,
            statuses: BTreeMap::new(),
            retry_after: RetryAfter::None,
            auth_statuses: BTreeMap::new(),
            rate_limit_body: RefusalBody::Json,
            rate_limit_headers: false,
            rate_limit_type: "rate_limit_error".into(),
            unknown_profile: Unknown::NotFound,
            unknown_generic: Unknown::Empty,
            patch_bare_array: true,
            unknown_query: UnknownQuery::Ignore,
            too_large: RefusalBody::Json,
            page_size: 10,
            max_limit: 100,
            reject_large_limit: false,
            lists_results: false,
            audit_target: AuditTarget::Text,
            request_id_header: None,
            cache_control: None,
            idempotency_hours: 24,
            idempotency_empty_replay: false,
            idempotency_epoch: EpochUnit::Either,
            audience_lag_ms: 1000,
            versions_header: true,
        }
    }
}
