//! One request in the journal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::hash::fnv;
use crate::request::Request;
use crate::time::{Micros, Wall};

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything was written.
    Written,
    /// It was cut, reset or held back on purpose.
    Faulted,
    /// The client left first.
    ClientGone,
}

/// One request.
#[derive(Clone)]
pub struct Entry {
    /// Its number, from 1, never reused.
    pub seq: u64,
    /// The request. The journal may cut its body off; `body_len` is the whole length.
    pub request: Request,
    /// A hash (FNV-1a, 64 bits) of the part of the body that was read.
    pub body_hash: u64,
    /// The caller's time of arrival.
    pub arrived: Micros,
    /// The vendor's time of arrival.
    pub wall: Wall,
    /// The bearer token seen.
    pub token: Option<String>,
    /// The matched operation.
    pub operation: Option<String>,
    /// The environment that it belongs to.
    pub environment: Option<String>,
    /// When it took effect. Reads, refusals, replays and faults before the commit have no effect.
    pub committed: Option<Micros>,
    /// Whether the answer came from the memory of idempotency keys.
    pub replayed: bool,
    /// Whether the operation makes messages.
    pub sends: bool,
    /// The answer's status. It is 0 if the request never arrived whole.
    pub status: u16,
    /// When the first byte of the answer was due.
    pub answer_due: Option<Micros>,
    /// When and how the exchange ended, once it has.
    pub ended: Option<(Micros, Ending)>,
    /// Bytes of the answer written.
    pub written: u64,
}

impl Entry {
    /// A new entry for a request.
    pub fn new(request: Request, arrived: Micros, wall: Wall) -> Self {
        Self {
            seq: 0,
            body_hash: fnv(&request.body),
            token: request.bearer().map(str::to_owned),
            request,
            arrived,
            wall,
            operation: None,
            environment: None,
            committed: None,
            replayed: false,
            sends: false,
            status: 0,
            answer_due: None,
            ended: None,
            written: 0,
        }
    }

    /// The entry as `/__admin/requests` shows it.
    pub fn view(&self) -> Value {
        let r = &self.request;
        let mut v = json!({
            "seq": self.seq, "socket": r.socket, "protocol": r.protocol, "arrived_us": self.arrived, "wall": self.wall.iso(),
            "method": r.method, "target": r.target, "headers": r.headers, "raw_head_base64": STANDARD.encode(&r.raw_head),
            "body_bytes": r.body_len, "body_hash": format!("{:016x}", self.body_hash), "token": self.token, "operation": self.operation,
            "environment": self.environment, "committed_us": self.committed, "replayed": self.replayed, "status": self.status,
            "answer_due_us": self.answer_due, "ended_us": self.ended.map(|e| e.0), "ending": self.ended.map(|e| e.1), "written": self.written,
        });
        match std::str::from_utf8(&r.body) {
            Ok(text) => v["body"] = json!(text),
            Err(_) => v["body_base64"] = json!(STANDARD.encode(&r.body)),
        }
        v
    }

    /// The bytes that it takes up.
    pub(super) fn weight(&self) -> usize {
        let headers: usize = self.request.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.request.raw_head.len() + self.request.body.len() + self.request.target.len() + headers
    }
}
