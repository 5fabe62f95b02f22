//! Misbehaviour on demand: what may go wrong, and which calls it hits. See the table in README.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Rng;
use crate::latency::Latency;
use crate::time::Micros;

/// One fault: whom it hits, and what happens then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A name, so that a fault sent in a request header can have `times`.
    #[serde(default)]
    pub id: Option<String>,
    /// Whom it hits; by default every call.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// Which calls a fault hits: all conditions hold at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// An operation id, such as `messages.send`, or a group with a dot and a star: `lists.*`.
    pub operation: Option<String>,
    /// A method.
    pub method: Option<String>,
    /// How the target begins.
    pub path: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// So many fitting calls pass unharmed first.
    pub skip: u64,
    /// After so many hits the fault is over.
    pub times: Option<u64>,
    /// The part of fitting calls that is hit, 0…1, drawn from the seed. Absent: all.
    pub probability: Option<f64>,
    /// Not before this time since the start, in ms.
    pub from_ms: Option<u64>,
    /// Not from this time since the start on, in ms.
    pub until_ms: Option<u64>,
    /// Bursts: every so many ms …
    pub every_ms: Option<u64>,
    /// … for so many ms.
    pub for_ms: Option<u64>,
}

/// What happens to a call. Parts that are absent stay as they would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effect {
    /// Time to the first byte, on top of the general one.
    pub latency: Option<Latency>,
    /// Reads see the state from before this write for so many ms: an effect that is finished only after the answer.
    pub late_effect_ms: Option<u64>,
    /// Whether the call takes effect. By default yes, unless `answer` is an error or a redirect.
    pub commit: Option<bool>,
    /// Another answer.
    pub answer: Option<Answer>,
    /// Further answer headers.
    pub headers: BTreeMap<String, String>,
    /// So many further header fields, `x-filler-0` and on.
    pub many_headers: u32,
    /// The token seen, in `x-echo-token` and in the error message: what a careless vendor may do.
    pub echo_token: bool,
    /// `Content-Encoding: gzip`.
    pub gzip: bool,
    /// Chunks in place of a length.
    pub chunked: bool,
    /// What happens on the wire.
    pub wire: Option<Wire>,
}

/// An answer in place of the real one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Any status, in Courier's error shape unless a body is given.
    Status {
        /// The status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: Option<String>,
        /// The body's type; JSON by default.
        #[serde(default)]
        content_type: Option<String>,
        /// `Retry-After`, as it stands.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 429 with or without `Retry-After`.
    RateLimited {
        /// `Retry-After`, as it stands.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The credential is refused: 401 or 403 with the authentication type.
    Credential {
        /// 401 or 403.
        status: u16,
    },
    /// 403 that isn't about the credential.
    Forbidden,
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// `Location`.
        location: String,
    },
    /// The real status with a JSON content type and no body (courier.md 3.4).
    EmptyJson,
    /// 200 with a JSON document of so many bytes.
    Large {
        /// The size.
        bytes: u64,
    },
}

/// What happens on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wire {
    /// The head comes in pieces.
    SlowHead {
        /// Bytes per piece.
        bytes: usize,
        /// Pause between, in ms.
        every_ms: u64,
    },
    /// The body comes in pieces.
    SlowBody {
        /// Bytes per piece.
        bytes: usize,
        /// Pause between, in ms.
        every_ms: u64,
    },
    /// FIN after so many bytes of head and body; 0: no answer at all.
    Cut {
        /// The offset.
        after: u64,
    },
    /// RST after so many bytes of head and body.
    Reset {
        /// The offset.
        after: u64,
    },
    /// Nothing, ever.
    BlackHole,
    /// The body ends with the connection.
    CloseDelimited,
    /// A head that breaks the grammar.
    MalformedHead {
        /// How.
        form: Malformed,
    },
    /// A head or body whose framing contradicts itself.
    ConflictingFraming {
        /// How.
        form: Conflict,
    },
    /// 101, unasked.
    SwitchingProtocols,
    /// These bytes, base64, then FIN.
    Raw {
        /// The bytes.
        base64: String,
    },
}

/// How a head is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// Not HTTP at all.
    Garbage,
    /// `HTTP/9.9`.
    Version,
    /// A status that is no number.
    Status,
    /// A field without a colon.
    NoColon,
    /// A NUL in a field's value.
    Nul,
    /// A space in a field's name.
    SpaceInName,
    /// A field folded over two lines.
    Folded,
    /// 1 MiB of head.
    Huge,
}

/// How the framing contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Two different lengths.
    TwoLengths,
    /// A length and chunks.
    LengthAndChunks,
    /// A length that is no number.
    BadLength,
    /// A chunk size that is no number.
    BadChunk,
    /// Chunks without the last one.
    Unfinished,
    /// Bytes after the body, as if they were the next answer.
    Trailing,
}

impl Effect {
    /// Whether the call takes effect.
    pub fn commits(&self) -> bool {
        self.commit.unwrap_or(match &self.answer {
            None | Some(Answer::EmptyJson | Answer::Large { .. }) => true,
            Some(Answer::Status { status, .. }) => *status < 300,
            Some(
                Answer::RateLimited { .. }
                | Answer::Credential { .. }
                | Answer::Forbidden
                | Answer::Redirect { .. },
            ) => false,
        })
    }
}

/// A call, as far as the conditions look at it.
pub struct Candidate<'a> {
    /// The operation.
    pub operation: &'a str,
    /// The method.
    pub method: &'a str,
    /// The raw target.
    pub target: &'a str,
    /// The token.
    pub token: &'a str,
    /// The caller's time.
    pub now: Micros,
}

impl When {
    fn fits(&self, call: &Candidate<'_>) -> bool {
        let ms = call.now.as_millis();
        let operation = |wanted: &str| match wanted.strip_suffix('*') {
            Some(group) => call.operation.starts_with(group),
            None => call.operation == wanted,
        };
        self.operation.as_deref().is_none_or(operation)
            && self.method.as_deref().is_none_or(|m| m == call.method)
            && self.path.as_deref().is_none_or(|p| call.target.starts_with(p))
            && self.token.as_deref().is_none_or(|t| t == call.token)
            && self.from_ms.is_none_or(|from| ms >= from)
            && self.until_ms.is_none_or(|until| ms < until)
            && self.every_ms.is_none_or(|every| ms % every.max(1) < self.for_ms.unwrap_or(every))
    }
}

/// The most faults in force, and the most header faults whose hits are remembered.
const KEPT: usize = 1024;

/// The faults in force, and how often each has hit.
pub struct Faults {
    rules: Vec<(Fault, u64, u64)>,
    by_header: BTreeMap<String, u64>,
    dice: Rng,
}

impl Faults {
    /// The faults of a script; its dice follow from `seed` alone.
    pub fn new(script: &[Fault], seed: u64) -> Self {
        let mut faults =
            Self { rules: Vec::new(), by_header: BTreeMap::new(), dice: Rng::new(seed ^ 0xFA_017) };
        script.iter().for_each(|f| faults.add(f.clone()));
        faults
    }

    /// Adds a fault; the oldest makes room.
    pub fn add(&mut self, fault: Fault) {
        if self.rules.len() == KEPT {
            self.rules.remove(0);
        }
        self.rules.push((fault, 0, 0));
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.by_header.clear();
    }

    /// Each fault with how many calls it fitted and how many it hit.
    pub fn list(&self) -> impl Iterator<Item = (&Fault, u64, u64)> {
        self.rules.iter().map(|(f, seen, hits)| (f, *seen, *hits))
    }

    /// The effect of the first fault that hits this call.
    pub fn pick(&mut self, call: &Candidate<'_>) -> Option<Effect> {
        let Self { rules, dice, .. } = self;
        for (fault, seen, hits) in rules.iter_mut().filter(|(f, ..)| f.when.fits(call)) {
            *seen += 1;
            let open =
                *seen > fault.when.skip && fault.when.times.is_none_or(|times| *hits < times);
            if open && fault.when.probability.is_none_or(|p| dice.unit() < p) {
                *hits += 1;
                return Some(fault.effect.clone());
            }
        }
        None
    }

    /// The effect of a fault that came with the request, if it isn't over.
    pub fn from_header(&mut self, fault: Fault) -> Option<Effect> {
        if let (Some(id), Some(times)) = (fault.id, fault.when.times) {
            if self.by_header.len() == KEPT {
                self.by_header.clear();
            }
            let hits = self.by_header.entry(id).or_insert(0);
            if *hits >= times {
                return None;
            }
            *hits += 1;
        }
        Some(fault.effect)
    }

    /// The dice, for latencies.
    pub const fn dice(&mut self) -> &mut Rng {
        &mut self.dice
    }
}

/// Reads a fault from a request header: a whole [`Fault`], or an [`Effect`] alone.
pub(crate) fn parse_header(text: &str) -> Result<Fault, String> {
    if let Ok(fault) = serde_json::from_str::<Fault>(text) {
        return Ok(fault);
    }
    serde_json::from_str::<Effect>(text)
        .map(|effect| Fault { id: None, when: When::default(), effect })
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str) -> Candidate<'_> {
        Candidate {
            operation,
            method: "PUT",
            target: "/lists/a",
            token: "t",
            now: Micros::from_millis(500),
        }
    }

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn skip_and_times_bound_the_hits() {
        let mut f = Faults::new(
            &[fault(
                r#"{"when":{"operation":"lists.*","skip":1,"times":2},"effect":{"gzip":true}}"#,
            )],
            1,
        );
        let hits: Vec<bool> = (0..5).map(|_| f.pick(&call("lists.put")).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(f.pick(&call("brands.list")).is_none());
    }

    #[test]
    fn bursts_come_and_go_with_time() {
        let mut f = Faults::new(
            &[fault(
                r#"{"when":{"every_ms":1000,"for_ms":100},"effect":{"answer":{"kind":"rate_limited"}}}"#,
            )],
            1,
        );
        assert!(f.pick(&call("x")).is_none());
        assert!(f.pick(&Candidate { now: Micros::from_millis(3050), ..call("x") }).is_some());
    }

    #[test]
    fn one_seed_hits_the_same_calls() {
        let script = [fault(r#"{"when":{"probability":0.3},"effect":{"gzip":true}}"#)];
        let run = |seed| {
            let mut f = Faults::new(&script, seed);
            (0..64).map(|_| f.pick(&call("x")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    #[test]
    fn an_error_answer_means_no_effect_unless_said_otherwise() {
        let effect = |json: &str| serde_json::from_str::<Effect>(json).unwrap().commits();
        assert!(effect(r#"{"wire":{"kind":"cut","after":0}}"#));
        assert!(!effect(r#"{"answer":{"kind":"status","status":500}}"#));
        assert!(effect(r#"{"answer":{"kind":"status","status":500},"commit":true}"#));
        assert!(parse_header(r#"{"unheard":1}"#).is_err());
    }
}
