//! Audit events, newest first.

use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::table::Order;

/// GET /audit-events.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let page = call.state.audit.page(Order::Newest, call.cursor(), call.limit()?, |_, _| true)?;
    let (rows, cursor) = rows_of(page, |_, event| event.clone());
    Ok(call.wrap(rows, cursor))
}

/// GET /audit-events/{audit_event_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let event = call.state.audit.get(&call.param(0)).ok_or_else(Failure::not_found)?;
    Ok(Success::Json(event.clone()))
}
