//! Tells an HTTP/1 client how long its connection may rest.
//!
//! If the connection is closed just when a client sends its next request, the client can't know
//! what became of that request. Clients and load balancers that read `Keep-Alive: timeout=N` (RFC
//! 2068 section 19.7.1) close first. The field is sent only if the connection stays open, and never
//! over HTTP/2 (RFC 9113 section 8.2.2).

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Body;

/// The client is told this much less than the limit, since an answer and the next request take time
/// on their way.
const MARGIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What a connection tells its client; nothing if the time is too short.
#[derive(Clone)]
pub(super) struct KeepAlive(Option<HeaderValue>);

/// What the answer to one request says, if the connection stays open after it.
pub(super) struct Told {
    field: HeaderValue,
    version: Version,
}

impl KeepAlive {
    /// For connections that are closed when they have rested for `limit`.
    pub(super) fn of(limit: Duration) -> Self {
        let seconds = limit.saturating_sub(MARGIN).as_secs();
        let field = (seconds > 0).then(|| HeaderValue::try_from(format!("timeout={seconds}")));
        Self(field.and_then(Result::ok))
    }

    /// `None` if the client does not want its connection to stay open.
    ///
    /// One case can't be seen here. After a request with a length beside its coding hyper closes
    /// the connection, and it removes the length before this code sees it. It adds `close`, which
    /// counts.
    pub(super) fn asked_by<B>(&self, request: &Request<B>) -> Option<Told> {
        let (version, fields) = (request.version(), request.headers());
        let stays = match version {
            Version::HTTP_11 => true,
            Version::HTTP_10 => names(fields, "keep-alive"),
            _ => return None,
        };
        let stays = stays && !names(fields, "close");
        self.0.clone().filter(|_| stays).map(|field| Told { field, version })
    }
}

impl Told {
    /// Writes the field into `response`, unless that is the last answer on its connection.
    pub(super) fn tell<B: Body>(self, response: &mut Response<B>) {
        // Over HTTP/1.0 the end of a body of unknown length is the end of the connection.
        let endless = self.version == Version::HTTP_10 && response.size_hint().exact().is_none();
        let fields = response.headers_mut();
        if endless || names(fields, "close") {
            return;
        }
        // `Connection` names each field that is about the connection (RFC 9110 section 7.6.1).
        fields.append(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        fields.insert(KEEP_ALIVE, self.field);
    }
}

/// Whether `Connection` names `option`.
fn names(fields: &HeaderMap, option: &str) -> bool {
    let lines = fields.get_all(header::CONNECTION).iter();
    let mut options = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    options.any(|name| name.trim().eq_ignore_ascii_case(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit: Duration) -> Option<String> {
        KeepAlive::of(limit).0.map(|field| field.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_time_told_is_whole_and_at_least_a_second_short() {
        assert_eq!(told(Duration::from_secs(75)).as_deref(), Some("timeout=74"));
        assert_eq!(told(Duration::from_millis(3_900)).as_deref(), Some("timeout=2"));
        assert_eq!(told(Duration::from_secs(2)).as_deref(), Some("timeout=1"));
        assert_eq!(told(Duration::from_millis(1_999)), None);
        assert_eq!(told(Duration::ZERO), None);
    }
}
