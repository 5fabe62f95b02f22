//! A question or an order, once it is known who sent it.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::admin::Door;
use crate::admin::door::Operator;
use crate::audit::Deed;
use crate::document::veiled;
use crate::error::{Code, Error};
use crate::server::RequestBody;

/// The largest document that is taken, in octets.
const DOCUMENT: usize = 64 * 1024;
/// Time for it to arrive.
const IN_TIME: Duration = Duration::from_secs(5);

/// What was sent, without its fields.
pub(super) struct Ask {
    /// What stands in the path where the route has `{…}`.
    pub(super) part: String,
    /// What stands behind the path.
    pub(super) query: Query,
    /// The document, empty with a GET.
    pub(super) document: Bytes,
    /// Who sent it.
    pub(super) operator: Operator,
    /// The door that it came in at.
    pub(super) door: Door,
    /// Where it came from.
    pub(super) peer: Option<IpAddr>,
}

/// The part of the target behind `?`.
pub(super) struct Query(pub(super) String);

impl Ask {
    /// What its sender does, for the audit.
    pub(super) fn deed(&self, act: &'static str, what: impl Into<String>) -> Deed {
        let key = Some(self.operator.key.clone());
        Deed { act, what: what.into(), key, peer: self.peer, ..Deed::default() }
    }

    /// The document, as JSON.
    ///
    /// # Errors
    /// It is not what is taken here; the detail says where.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.document).map_err(|error| {
            Error::refused(
                Code::MalformedRequest,
                // It may repeat what was sent, which may be a secret in the wrong place.
                veiled(format!("the document is not understood: {error}")),
            )
        })
    }
}

impl Query {
    /// Names and values, as they were sent.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// `value` as a name of the configuration.
    ///
    /// # Errors
    /// No name could be like that.
    pub(super) fn name<T: FromStr<Err: Display>>(&self, value: &str) -> Result<T, Error> {
        value.parse().map_err(|_| {
            Error::malformed("tenant, app and connection are names of the configuration")
        })
    }

    /// The values of `names`, in their order; each may be left out.
    ///
    /// # Errors
    /// Another name is there, or one is there twice.
    pub(super) fn only<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<&str>; N], Error> {
        let mut values = [None; N];
        for (name, value) in self.pairs() {
            let at = names.iter().position(|known| *known == name);
            let twice = at.is_some_and(|at| values[at].replace(value).is_some());
            if at.is_none() || twice {
                let takes = match N {
                    0 => "takes nothing".to_owned(),
                    _ => format!("takes each of these once: {}", names.join(", ")),
                };
                return Err(Error::refused(Code::MalformedRequest, format!("the query {takes}")));
            }
        }
        Ok(values)
    }
}

/// All of `body`, which must be JSON as its field says: a form of a page elsewhere can't say that.
///
/// # Errors
/// It is something else, too large, too slow or cut.
pub(super) async fn document(
    media_type: Option<&header::HeaderValue>,
    body: RequestBody,
) -> Result<Bytes, Error> {
    let is_json = media_type.and_then(|value| value.to_str().ok()).is_some_and(|text| {
        text.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    let reading = Limited::new(body, DOCUMENT).collect();
    let read = tokio::time::timeout(IN_TIME, reading)
        .await
        .map_err(|_| Error::refused(Code::RequestTimeout, "the document did not arrive in 5 s"))?;
    let bytes = read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        match error.is::<http_body_util::LengthLimitError>() {
            true => Error::refused(Code::BodyTooLarge, "a document has at most 64 KiB"),
            false => Error::malformed("the document was cut"),
        }
    })?;
    match bytes.is_empty() || is_json {
        true => Ok(bytes),
        false => Err(Error::malformed("documents are sent with Content-Type: application/json")),
    }
}
