//! Where a call stands among traces: what the client sent of them, and the ids of the call's own
//! spans (W3C Trace Context, level 1).
//!
//! The ids are made with the record, so that they can be passed on; whether the spans are kept is
//! known at its end only.
//!
//! `opentelemetry_sdk`'s `TraceContextPropagator` does not read it: that one takes ids of any length,
//! signs and blanks, a version `0`, and the first `traceparent` of two. It also allocates, for clients
//! that have not shown a key yet.

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanId, TraceId, TraceState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Record;
use super::steps::STEPS;
use crate::hex;

/// What the client sent of its trace.
#[derive(Clone, Debug, Default)]
pub struct ClientTrace {
    /// The span that it was in (`traceparent`).
    pub remote: Option<Remote>,
    /// What came with it (`tracestate`).
    pub tracestate: Option<HeaderValue>,
    /// What that counts for, once it is known who the client is.
    pub trust: Option<Trust>,
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `traceparent` of version 00; a later version may be longer.
const PARENT_LEN: usize = 55;

/// The length of `tracestate` that everybody must pass on (section 3.3.1.5); longer ones are left
/// out.
const STATE_MAX: usize = 512;

/// What an app's `traceparent` counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The call belongs to the app's trace.
    Parent,
    /// The call begins a trace of its own that points at the app's.
    #[default]
    Link,
    /// Nothing.
    Ignore,
}

/// The span of somebody else that a call was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its trace.
    pub trace: TraceId,
    /// The span itself.
    pub span: SpanId,
    /// Its trace is being recorded.
    pub sampled: bool,
}

/// The ids of a call's own spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    trace: TraceId,
    first: u64,
}

/// The trace that a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The client's span above the call's, in the same trace.
    pub parent: Option<Remote>,
    /// The client's span in a trace of its own.
    pub link: Option<Remote>,
}

/// Which traces are recorded, told by their ids: every service with the same ratio picks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    below: u64,
    follow: bool,
}

// === impl Remote ===

impl Remote {
    /// Reads a `traceparent`; anything but the form of the standard is nobody's.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let version = octets::<1>(text.get(..2)?)?[0];
        let fits = match version {
            0 => text.len() == PARENT_LEN,
            0xff => false,
            _ => text.get(PARENT_LEN).is_none_or(|next| *next == b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
        if !fits || !dashes {
            return None;
        }
        let trace = TraceId::from_bytes(octets(text.get(3..35)?)?);
        let span = SpanId::from_bytes(octets(text.get(36..52)?)?);
        let [flags] = octets(text.get(53..55)?)?;
        let known = trace != TraceId::INVALID && span != SpanId::INVALID;
        known.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Lower-case hex digits, as the standard demands.
fn octets<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let lower = !digits.iter().any(u8::is_ascii_uppercase);
    hex::octets(digits).filter(|_| lower)
}

// === impl SpanIds ===

impl SpanIds {
    /// The first of them is the call's own; the others follow it by counting, and never reach 0.
    #[must_use]
    pub(super) fn new(random: [u8; 24]) -> Self {
        let [trace, first] = [0, 16].map(|at| {
            random[at..].iter().take(16).fold(0_u128, |id, octet| id << 8 | u128::from(*octet))
        });
        // 63 bits, so that counting on from it stays below 2^64.
        let first = u64::try_from(first >> 1).unwrap_or_default() | 1;
        Self { trace: trace.max(1).into(), first }
    }

    /// The span of the call.
    #[must_use]
    pub fn call(self) -> SpanId {
        self.first.into()
    }

    /// The span of its try `n`, from 0.
    #[must_use]
    pub fn attempt(self, n: usize) -> SpanId {
        (self.first + 1 + n as u64).into()
    }

    /// The span of its wait `n`, from 0.
    #[must_use]
    pub fn wait(self, n: usize) -> SpanId {
        self.attempt(STEPS + n)
    }
}

// === impl Sampling ===

impl Sampling {
    /// Picks `ratio` of all traces, from 0 to 1. With `follow` a parent's word goes before that.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of 2^63, and a cast of a float saturates"
    )]
    pub fn new(ratio: f64, follow: bool) -> Self {
        Self { below: (ratio * (1_u64 << 63) as f64) as u64, follow }
    }

    /// True when `trace` is recorded, whatever becomes of the call.
    #[must_use]
    pub fn picks(self, trace: &Trace) -> bool {
        match trace.parent {
            Some(parent) if self.follow => parent.sampled,
            _ => {
                let [.., a, b, c, d, e, f, g, h] = trace.id.to_bytes();
                u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.below
            }
        }
    }
}

// === impl ClientTrace ===

impl ClientTrace {
    /// Notes the trace context of a request; what is there twice is nobody's.
    pub fn came_with(&mut self, headers: &HeaderMap) {
        let mut parents = headers.get_all(&TRACEPARENT).iter();
        let only = parents.next().filter(|_| parents.next().is_none());
        self.remote = only.and_then(|value| Remote::parse(value.as_bytes()));
        if self.remote.is_some() {
            self.tracestate = state(headers);
        }
    }

    /// The client's trace, if the client may name one.
    #[must_use]
    pub fn named(&self) -> Option<Remote> {
        self.remote.filter(|_| matches!(self.trust, Some(Trust::Parent | Trust::Link)))
    }

    /// What other services along a parent's trace have to say.
    #[must_use]
    pub fn state(&self) -> TraceState {
        let text = self.tracestate.as_ref().filter(|_| self.trust == Some(Trust::Parent));
        text.and_then(|text| text.to_str().ok()?.parse().ok()).unwrap_or_default()
    }
}

/// The field as one value, in the order of its lines.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(&TRACESTATE).iter();
    let first = lines.next()?.clone();
    let rest: Vec<_> = lines.map(HeaderValue::as_bytes).collect();
    let value = if rest.is_empty() {
        first
    } else {
        let lines: Vec<_> = [first.as_bytes()].into_iter().chain(rest).collect();
        HeaderValue::from_bytes(&lines.join(&b","[..])).ok()?
    };
    (value.len() <= STATE_MAX).then_some(value)
}

// === impl Record ===

impl Record {
    /// The trace that the call belongs to, as far as is known who made it.
    #[must_use]
    pub fn trace(&self, client: &ClientTrace) -> Trace {
        let own = Trace { id: self.spans.trace, parent: None, link: None };
        match (client.trust, client.remote) {
            (Some(Trust::Parent), Some(parent)) => {
                Trace { id: parent.trace, parent: Some(parent), link: None }
            }
            (Some(Trust::Link), link @ Some(_)) => Trace { link, ..own },
            _ => own,
        }
    }

    /// Writes the span of the try that began last into `headers`, for who is asked next.
    pub fn pass_on(&self, sampling: Sampling, headers: &mut HeaderMap) {
        let (trace, state, begun) = self.read(|marks| {
            (self.trace(&marks.trace), marks.trace.state(), marks.timeline.tries().len())
        });
        let Some(last) = begun.checked_sub(1) else { return };
        let (id, span, flags) =
            (trace.id, self.spans.attempt(last), u8::from(sampling.picks(&trace)));
        let fields = [
            ("traceparent", format!("00-{id}-{span}-{flags:02x}")),
            ("tracestate", state.header()),
        ];
        for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn marks(trust: Option<Trust>, fields: &[(&'static str, &str)]) -> ClientTrace {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut marks = ClientTrace { trust, ..ClientTrace::default() };
        marks.came_with(&headers);
        marks
    }

    fn record() -> std::sync::Arc<Record> {
        struct Nobody;
        impl super::super::Observer for Nobody {
            fn finished(&self, _: &Record, _: &crate::record::Marks) {}
        }
        Record::open(std::sync::Arc::new(Nobody))
    }

    #[test]
    fn a_traceparent_is_read_to_the_letter() {
        let remote = Remote::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(remote.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(remote.span.to_string(), "b7ad6b7169203331");
        assert!(remote.sampled);
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = GOOD.replace("-01", &format!("-{flags}"));
            assert_eq!(Remote::parse(text.as_bytes()).map(|r| r.sampled), Some(sampled), "{flags}");
        }
        for later in
            [GOOD.replacen("00", "01", 1), format!("{}-more", GOOD.replacen("00", "fe", 1))]
        {
            assert!(Remote::parse(later.as_bytes()).is_some(), "{later}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_nobodys() {
        let zeros = |n| "0".repeat(n);
        for bad in [
            String::new(),
            "00".into(),
            "-".repeat(55),
            "é".repeat(28),
            format!("{GOOD}-more"),
            format!("{GOOD} "),
            format!(" {GOOD}"),
            GOOD[..54].into(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "0x", 1),
            format!("{}x", GOOD.replacen("00", "01", 1)),
            GOOD.replace('-', "_"),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &zeros(32)),
            GOOD.replace("b7ad6b7169203331", &zeros(16)),
            GOOD.replace("0af7", "+af7"),
            GOOD.replace("-01", "-0g"),
        ] {
            assert_eq!(Remote::parse(bad.as_bytes()), None, "{bad}");
        }
        let twice = marks(Some(Trust::Parent), &[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(twice.remote, None);
    }

    #[test]
    fn the_sdks_propagator_takes_what_is_nobodys() {
        use opentelemetry::propagation::TextMapPropagator as _;
        use opentelemetry::trace::TraceContextExt as _;
        use opentelemetry_http::HeaderExtractor;
        use opentelemetry_sdk::propagation::TraceContextPropagator;
        let taken = |lines: &[&str]| {
            let line = |line: &&str| (TRACEPARENT, HeaderValue::from_str(line).unwrap());
            let headers: HeaderMap = lines.iter().map(line).collect();
            let context = TraceContextPropagator::new().extract(&HeaderExtractor(&headers));
            let mut ours = ClientTrace::default();
            ours.came_with(&headers);
            (context.span().span_context().is_valid(), ours.remote.is_some())
        };
        assert_eq!(taken(&[GOOD]), (true, true));
        let later = format!("{}-more", GOOD.replacen("00", "fe", 1));
        assert_eq!(taken(&[&later]), (true, true));
        for bad in [GOOD.replacen("00", "ff", 1), GOOD.to_uppercase(), format!("{GOOD}-more")] {
            assert_eq!(taken(&[&bad]), (false, false), "{bad}");
        }
        let [signed, short] = [GOOD.replace("0af7", "+af7"), "0-a-b-1".to_owned()];
        for bad in [&signed, &short, &format!("{GOOD}-"), &format!(" {GOOD}")] {
            assert_eq!(taken(&[bad]), (true, false), "if both refuse it, take theirs: {bad}");
        }
        assert_eq!(taken(&[GOOD, GOOD]), (true, false));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_break_the_reader(text: Vec<u8>) {
            let _ = Remote::parse(&text);
        }
    }

    #[test]
    fn only_a_trusted_app_puts_a_call_into_its_own_trace() {
        let record = record();
        let fields = [("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")];
        let of = |trust| {
            let marks = marks(trust, &fields);
            (record.trace(&marks), marks.named().is_some(), marks.state().header())
        };
        let theirs = Remote::parse(GOOD.as_bytes());
        let (trace, named, state) = of(Some(Trust::Parent));
        assert_eq!((trace.id, trace.parent, trace.link), (theirs.unwrap().trace, theirs, None));
        assert_eq!((named, &*state), (true, "a=1,b=2"));
        let (trace, named, state) = of(Some(Trust::Link));
        assert_eq!((trace.id, trace.parent, trace.link), (record.spans.trace, None, theirs));
        assert_eq!((named, &*state), (true, ""));
        for nobody in [Some(Trust::Ignore), None] {
            let (trace, named, state) = of(nobody);
            let own = Trace { id: record.spans.trace, parent: None, link: None };
            assert_eq!((trace, named, &*state), (own, false, ""));
        }
    }

    #[test]
    fn noting_a_context_costs_no_allocation() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("traceparent", GOOD), ("tracestate", "a=1")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let (mut marks, record) = (marks(Some(Trust::Link), &[]), record());
        let cost = allocation_counter::measure(|| {
            marks.came_with(&headers);
            assert!(marks.named().is_some() && record.trace(&marks).link.is_some());
        });
        assert_eq!(cost.count_total, 0);
    }

    #[test]
    fn a_state_that_is_too_long_or_broken_is_left_out() {
        for bad in ["x".repeat(513), "no-equals-sign".into(), "KEY=1".into(), "a=1,a".into()] {
            let fields = [("traceparent", GOOD), ("tracestate", bad.as_str())];
            assert_eq!(marks(Some(Trust::Parent), &fields).state().header(), "", "{bad}");
        }
        assert_eq!(marks(Some(Trust::Parent), &[("tracestate", "a=1")]).state().header(), "");
    }

    #[test]
    fn a_ratio_picks_its_part_and_a_parent_is_followed_if_told() {
        let parent = |sampled| Trace {
            id: TraceId::from(1 << 62),
            parent: Some(Remote { trace: TraceId::from(1), span: SpanId::from(1), sampled }),
            link: None,
        };
        for ratio in [0.0, 1.0] {
            let (all, follows) = (Sampling::new(ratio, false), Sampling::new(ratio, true));
            assert_eq!(all.picks(&parent(true)), ratio > 0.5);
            assert_eq!(all.picks(&parent(false)), ratio > 0.5);
            assert!(follows.picks(&parent(true)) && !follows.picks(&parent(false)));
        }
        let own = |id: u64| Trace { id: u128::from(id).into(), parent: None, link: None };
        assert!(Sampling::new(1.0, true).picks(&own(u64::MAX)));
        assert!(!Sampling::new(0.0, true).picks(&own(0)));
        assert!(Sampling::new(0.25, true).picks(&own(u64::MAX / 4 - 1)));
        assert!(!Sampling::new(0.25, true).picks(&own(u64::MAX / 4 + 1)));
    }

    #[test]
    fn every_span_of_a_call_has_an_id_of_its_own() {
        for random in [[0; 24], [0xff; 24]] {
            let ids = SpanIds::new(random);
            assert_ne!(ids.trace, TraceId::INVALID);
            let steps = (0..STEPS).flat_map(|n| [ids.attempt(n), ids.wait(n)]);
            let all: std::collections::HashSet<_> = steps.chain([ids.call()]).collect();
            assert_eq!(all.len(), 2 * STEPS + 1);
            assert!(!all.contains(&SpanId::INVALID));
        }
    }

    #[test]
    fn who_is_asked_next_gets_the_span_of_the_try() {
        let record = record();
        let mut headers = HeaderMap::new();
        record.pass_on(Sampling::new(1.0, true), &mut headers);
        assert!(headers.is_empty(), "no try, no span");
        for n in 0..2 {
            record.mark(|marks| marks.timeline.try_begins(record.started));
            record.pass_on(Sampling::new(1.0, true), &mut headers);
            let (id, span) = (record.spans.trace, record.spans.attempt(n));
            assert_eq!(headers["traceparent"], format!("00-{id}-{span}-01"));
        }
        let theirs = [("traceparent", GOOD), ("tracestate", "a=1")];
        let trace = marks(Some(Trust::Parent), &theirs);
        record.mark(|now| *now = crate::record::Marks { trace, ..Default::default() });
        record.mark(|marks| marks.timeline.try_begins(record.started));
        record.pass_on(Sampling::new(0.0, false), &mut headers);
        let span = record.spans.attempt(0);
        assert_eq!(
            headers["traceparent"],
            format!("00-0af7651916cd43dd8448eb211c80319c-{span}-00")
        );
        assert_eq!(headers["tracestate"], "a=1");
    }
}
