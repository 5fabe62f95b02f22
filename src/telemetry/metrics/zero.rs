//! Counters that stand at 0 before their first event.
//!
//! Prometheus takes the first value of a series that it sees as the start of the series. A counter
//! that appears with 1 has not grown, and no alert fires. So each series is made as soon as its
//! labels are known. Only `tollgate_requests_total` has too many combinations of labels.

use std::sync::Arc;

use super::handles::CLASSES;
use super::labels::{Labels, Value};
use super::observe::{REASONS, of};
use super::{Counters, Metrics};
use crate::catalog::{Access, Operation};
use crate::error::Code;
use crate::ids::ConnectionId;
use crate::quota::QuotaRule;
use crate::record::{Cached, Denied, KeyUse, Shortage};
use crate::telemetry::ENDS;

impl Metrics {
    /// Makes the series whose labels are words of the code only.
    pub(super) fn begin(&self) {
        words(&self.body_bytes, "direction", ["in", "out"]);
        words(&self.keys_refused, "reason", Denied::ALL.map(Denied::as_str));
        words(&self.keys, "outcome", KeyUse::ALL.map(KeyUse::as_str));
        words(&self.keys, "outcome", ["replayed"]);
        words(&self.admin_requests, "outcome", ["done", "refused", "wrong", "failed"]);
        words(&self.reloads, "outcome", ["done", "refused"]);
    }

    /// Makes the series of `connection`.
    pub fn begin_connection(&self, connection: &ConnectionId) {
        let alone = [&self.throttled, &self.rejected, &self.token_replaced];
        for family in alone {
            begin(family, Labels([of(connection)]));
        }
        let rules = QuotaRule::ALL.map(QuotaRule::code);
        of_connection(&self.refusals, connection, "rule", rules);
        of_connection(&self.shadow, connection, "outcome", rules);
        of_connection(&self.shadow, connection, "outcome", ["wait"]);
        of_connection(&self.answers, connection, "status_class", CLASSES);
        of_connection(&self.retries, connection, "reason", REASONS);
        of_connection(&self.shortages, connection, "reason", Shortage::ALL.map(Shortage::as_str));
    }

    /// Makes the series of the operation `row`; `cached` if the cache is used for it,
    /// `shared` if replicas share it.
    pub fn begin_operation(&self, row: &Operation, cached: bool, shared: bool) {
        let operation = || ("operation", Value::Id(Arc::clone(&row.id)));
        begin(&self.attempts, Labels([operation()]));
        if row.access == Access::Write {
            begin(&self.cleared, Labels([operation()]));
            if shared {
                begin(&self.untold, Labels([operation()]));
            }
        }
        if cached && shared {
            begin(&self.unconfirmed, Labels([operation()]));
        }
        if cached {
            begin(&self.quota_saved, Labels([operation()]));
            for outcome in Cached::WORDS {
                begin(&self.cache, Labels([operation(), ("outcome", Value::Word(outcome))]));
            }
        }
    }

    /// Makes the series of the app with these labels `tenant` and `app`.
    pub(super) fn begin_app(&self, Labels([tenant, app]): &Labels<2>) {
        // A call without a key belongs to no app, and nobody logs in on their port.
        let of_none = [Code::Unauthenticated, Code::LoginsLimited];
        let codes = Code::ALL.iter().filter(|code| !of_none.contains(code));
        for word in codes.map(|code| code.as_str()).chain(ENDS) {
            let code = ("code", Value::Word(word));
            begin(&self.app_requests, Labels([tenant.clone(), app.clone(), code]));
        }
    }
}

/// Makes the series of each of `words` under the one label of `family`.
pub fn words(
    family: &Counters<1>,
    label: &'static str,
    words: impl IntoIterator<Item = &'static str>,
) {
    for word in words {
        begin(family, Labels([(label, Value::Word(word))]));
    }
}

fn of_connection(
    family: &Counters<2>,
    connection: &ConnectionId,
    label: &'static str,
    words: impl IntoIterator<Item = &'static str>,
) {
    for word in words {
        begin(family, Labels([of(connection), (label, Value::Word(word))]));
    }
}

fn begin<const N: usize>(family: &Counters<N>, labels: Labels<N>) {
    // A look-up makes the series.
    drop(family.get_or_create_owned(&labels));
}
