//! What became of each request: counted, and in the audit if it was refused.
//!
//! Who may not come in, or may not do what it wants, is in the audit whatever it asked for. So is
//! each change that was not made, whatever was wrong. What was done says the view that did it.

use std::net::IpAddr;

use http::{Method, StatusCode};

use super::routes;
use crate::admin::door::NotLetIn;
use crate::audit::Deed;
use crate::call::Reply;
use crate::runtime::State;
use crate::telemetry::metrics::{Labels, Value};

/// Says what became of the request `asked` of a client at `peer`.
pub(super) fn tell(
    state: &State,
    peer: Option<IpAddr>,
    asked: (&Method, &str),
    page: &Result<Reply, NotLetIn>,
) {
    let Err(refused) = page else { return count(state, "done") };
    let outcome = outcome(refused.error.code.status());
    count(state, outcome);
    let (method, path) = asked;
    let looks = [Method::GET, Method::HEAD].contains(method);
    if outcome == "refused" || !looks {
        let (act, what) = routes::named(method, path);
        let act = Deed { act, what, key: refused.key.clone(), peer, ..Deed::default() };
        state.audit().refused(act, &refused.error.detail);
    }
}

/// A client at `peer` may not connect.
pub(super) fn turned_away(state: &State, peer: IpAddr) {
    count(state, "refused");
    let what = "a connection".to_owned();
    let act = Deed { act: "connect", what, peer: Some(peer), ..Deed::default() };
    state.audit().refused(act, "admin.clients does not list this address");
}

fn outcome(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            "refused"
        }
        status if status.is_server_error() => "failed",
        _ => "wrong",
    }
}

fn count(state: &State, outcome: &'static str) {
    let outcome = Labels([("outcome", Value::Word(outcome))]);
    state.metrics().admin_requests.get_or_create(&outcome).inc();
}
