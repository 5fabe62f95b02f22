//! Turns a fault's effect into an answer, and into instructions for the server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::fault::{Answer, Effect, Wire};
use crate::reply::{Body, End, Framing, Pace, Reply};
use crate::time::Micros;
use crate::{broken, gzip, refusal};

/// Replaces the answer by that of the effect. A call without effect gets a 500 by default.
pub(crate) fn substitute(reply: &mut Reply, effect: &Effect, token: &str) {
    let Some(answer) = &effect.answer else {
        if !effect.commits() {
            *reply = Reply::error(500, "internal_error", "Internal Server Error");
        }
        return;
    };
    *reply = match answer {
        Answer::Status { status, body, content_type, retry_after } => {
            let mut reply = status_answer(*status, body.as_deref(), content_type.as_deref());
            retry_after.iter().for_each(|v| reply.set("retry-after", v));
            reply
        }
        Answer::RateLimited { retry_after } => {
            let mut reply = Reply::error(429, "rate_limit_error", "Rate limit exceeded");
            retry_after.iter().for_each(|v| reply.set("retry-after", v));
            reply
        }
        Answer::Credential { status } => refusal::credential(*status),
        Answer::Forbidden => Reply::error(403, "authorization_error", "Not allowed on this plan"),
        Answer::Redirect { status, location } => {
            let mut reply = Reply::empty(*status);
            reply.set("location", location);
            reply
        }
        // A 204 has neither type nor body, so the answer becomes a 200.
        Answer::EmptyJson => {
            let status = if reply.status == 204 { 200 } else { reply.status };
            Reply::text(status, "application/json", "")
        }
        Answer::Large { bytes } => Reply {
            body: Body::Filler((*bytes).max(16)),
            ..Reply::text(200, "application/json", "")
        },
    };
    if effect.echo_token {
        echo(reply, token);
    }
}

fn status_answer(status: u16, body: Option<&str>, content_type: Option<&str>) -> Reply {
    match body {
        Some(body) => {
            Reply::text(status, content_type.unwrap_or("application/json"), body.to_owned())
        }
        None if status < 300 || status == 304 => Reply::empty(status),
        None => {
            let (kind, message) = match status {
                401 | 403 => ("authentication_error", "Unauthorized"),
                402 => ("authorization_error", "Limit Exceeded"),
                404 => ("invalid_request_error", "Not Found"),
                409 => ("invalid_request_error", "Already Exists"),
                429 => ("rate_limit_error", "Rate limit exceeded"),
                500.. => ("internal_error", "Internal Server Error"),
                _ => ("invalid_request_error", "Simulated"),
            };
            Reply::error(status, kind, message)
        }
    }
}

/// Puts the token into a header and, if the body is an error, into its message.
fn echo(reply: &mut Reply, token: &str) {
    reply.set("x-echo-token", token);
    if reply.status >= 400 {
        let mut value = reply.value();
        if let Some(message) = value.get("message").and_then(Value::as_str) {
            value["message"] = Value::from(format!("{message} (token {token})"));
            reply.body = Body::Bytes(value.to_string().into());
        }
    }
}

/// Applies the rest of the effect: headers, encoding, framing and what happens on the wire.
pub(crate) fn apply(reply: &mut Reply, effect: &Effect, token: &str) {
    if effect.echo_token && reply.field("x-echo-token").is_none() {
        echo(reply, token);
    }
    if let (true, Body::Bytes(body)) = (effect.gzip, &reply.body) {
        reply.body = Body::Bytes(gzip::stored(body).into());
        reply.set("content-encoding", "gzip");
    }
    effect.headers.iter().for_each(|(name, value)| reply.set(&name.to_ascii_lowercase(), value));
    (0..effect.many_headers.min(10_000)).for_each(|n| {
        reply.headers.push((format!("x-filler-{n}"), "filler".into()));
    });
    if effect.chunked {
        reply.delivery.framing = Framing::Chunked;
    }
    let pace =
        |bytes: usize, ms: u64| Some(Pace { bytes: bytes.max(1), every: Micros::from_millis(ms) });
    match &effect.wire {
        None => {}
        Some(Wire::SlowHead { bytes, every_ms }) => reply.delivery.head = pace(*bytes, *every_ms),
        Some(Wire::SlowBody { bytes, every_ms }) => reply.delivery.body = pace(*bytes, *every_ms),
        Some(Wire::Cut { after }) => reply.delivery.end = End::Cut(*after),
        Some(Wire::Reset { after }) => reply.delivery.end = End::Reset(*after),
        Some(Wire::BlackHole) => reply.delivery.end = End::BlackHole,
        Some(Wire::RefusedStream) => reply.delivery.end = End::Refused,
        Some(Wire::GoAway) => reply.delivery.last = true,
        Some(Wire::CloseDelimited) => reply.delivery.framing = Framing::Close,
        Some(Wire::MalformedHead { form }) => reply.delivery.raw = Some(broken::head(*form).into()),
        Some(Wire::ConflictingFraming { form }) => {
            reply.delivery.raw = Some(broken::framing(*form).into());
        }
        Some(Wire::SwitchingProtocols) => {
            reply.delivery.raw = Some(Bytes::from_static(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n"));
        }
        Some(Wire::Raw { base64 }) => {
            reply.delivery.raw = Some(STANDARD.decode(base64).unwrap_or_default().into());
        }
    }
}
