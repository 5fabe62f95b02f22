//! Problem documents (RFC 9457). What a code alone says is one text; the rest is written behind it.

use super::{Error, millis};
use crate::digits;
use crate::ids::RandomId;

/// Longer than most documents.
const USUAL: usize = 640;

impl Error {
    /// Its problem document. `code` and `retry_after_ms` spare programs a look at `type` and at
    /// header fields; `message` is what Courier's SDKs print. What is no call has no `call_id`, and
    /// nothing of it could have been sent.
    #[must_use]
    pub fn document(&self, call_id: Option<RandomId>) -> Vec<u8> {
        let mut json = Vec::with_capacity(USUAL);
        json.extend_from_slice(self.code.document_start().as_bytes());
        digits::number(&mut json, self.code.status().as_u16());
        json.extend_from_slice(b",\"detail\":");
        let detail = json.len();
        serde_json::to_writer(&mut json, &*self.detail).expect("a string is always JSON");
        let detail = detail..json.len();
        json.extend_from_slice(b",\"message\":");
        json.extend_from_within(detail);
        if let Some(call_id) = call_id {
            let (outcome, call_id) = (self.outcome.as_str(), call_id.digits());
            for part in [",\"outcome\":\"", outcome, "\",\"call_id\":\"", call_id.as_str(), "\""] {
                json.extend_from_slice(part.as_bytes());
            }
        }
        if let Some(after) = self.retry_after {
            json.extend_from_slice(b",\"retry_after_ms\":");
            digits::number(&mut json, millis(after));
        }
        json.push(b'}');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Outcome};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn every_problem_document_has_its_members_and_those_that_apply() {
        let always = ["code", "detail", "message", "status", "title", "type"];
        for code in Code::ALL {
            let plain = Error::refused(*code, "why");
            let timed = Error::refused(*code, "why").with_retry_after(Duration::from_micros(1500));
            for (error, call, extra) in [
                (&plain, None, &[][..]),
                (&plain, Some(RandomId::from_octets([12; 16])), &["call_id", "outcome"]),
                (
                    &timed,
                    Some(RandomId::from_octets([12; 16])),
                    &["call_id", "outcome", "retry_after_ms"],
                ),
            ] {
                let json: serde_json::Value =
                    serde_json::from_slice(&error.document(call)).unwrap();
                let mut wanted: Vec<_> = always.iter().chain(extra).copied().collect();
                wanted.sort_unstable();
                let members: Vec<_> = json.as_object().unwrap().keys().collect();
                assert_eq!(members, wanted, "{}", code.as_str());
                assert_eq!(json["type"], format!("urn:tollgate:{}", code.as_str()));
                assert_eq!(json["code"], code.as_str());
                assert_eq!(json["status"], code.status().as_u16());
                assert_eq!((&json["detail"], &json["message"]), (&"why".into(), &"why".into()));
                if extra.contains(&"retry_after_ms") {
                    assert_eq!(json["retry_after_ms"], 2, "rounded up");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_document_is_what_a_json_library_writes(
            at in 0..Code::ALL.len(),
            detail: String,
            octets: [u8; 16],
            after: Option<u32>,
        ) {
            let (code, call_id) = (Code::ALL[at], RandomId::from_octets(octets));
            let mut error = Error::refused(code, detail.clone()).with_outcome(Outcome::Unknown);
            error.retry_after = after.map(|ms| Duration::from_millis(ms.into()));
            let text = |text: &str| serde_json::to_string(text).unwrap();
            let mut wanted = format!(
                "{{\"type\":\"urn:tollgate:{0}\",\"code\":\"{0}\",\"title\":{1},\"status\":{2},\
                 \"detail\":{3},\"message\":{3},\"outcome\":\"unknown\",\"call_id\":\"{call_id}\"",
                code.as_str(), text(code.title()), code.status().as_u16(), text(&detail),
            );
            if let Some(after) = after {
                wanted += &format!(",\"retry_after_ms\":{after}");
            }
            wanted.push('}');
            prop_assert_eq!(String::from_utf8(error.document(Some(call_id))).unwrap(), wanted);
        }
    }
}
