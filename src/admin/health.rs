//! `/.tollgate/health` on the data port: for load balancers, without key, record or quota.

use http::{Request, Response, StatusCode};

use crate::call::StreamBody;
use crate::ingress::validate;
use crate::local_reply::{self, PLAIN, get_or_head};

/// The path that never reaches the stack.
pub const PATH: &str = "/.tollgate/health";

/// 200 while new requests are welcome, else 503 and why not.
#[must_use]
pub fn answer<B>(request: &Request<B>, unready: Option<&'static str>) -> Response<StreamBody> {
    let method = request.method();
    let asks = validate::message(request).and_then(|()| get_or_head(method, "GET or HEAD\n"));
    let reply = match (asks, unready) {
        (Ok(()), None) => local_reply::text(StatusCode::OK, PLAIN, "ok\n"),
        (Ok(()), Some(why)) => local_reply::text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why),
        (Err(error), _) => local_reply::plain(error),
    };
    local_reply::answer(local_reply::no_store(reply), method)
}
