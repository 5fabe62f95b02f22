//! The active faults, and which calls they hit.

use std::collections::BTreeMap;

use crate::fault::{Effect, Fault, When};
use crate::ids::Rng;
use crate::time::Micros;

/// The parts of a call that the conditions look at.
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

/// The most active faults, and the most header faults whose hits are counted.
const KEPT: usize = 1024;

/// The active faults, and how often each has hit.
pub struct Faults {
    rules: Vec<(Fault, u64, u64)>,
    by_header: BTreeMap<String, u64>,
    dice: Rng,
}

impl Faults {
    /// The faults of a script. Their random numbers follow from `seed` alone.
    pub fn new(script: &[Fault], seed: u64) -> Self {
        let mut faults =
            Self { rules: Vec::new(), by_header: BTreeMap::new(), dice: Rng::new(seed ^ 0xFA_017) };
        script.iter().for_each(|f| faults.add(f.clone()));
        faults
    }

    /// Adds a fault. Drops the oldest one if there are too many.
    pub fn add(&mut self, fault: Fault) {
        if self.rules.len() == KEPT {
            self.rules.remove(0);
        }
        self.rules.push((fault, 0, 0));
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.by_header.clear();
    }

    /// Each fault, how many calls matched it, and how many it hit.
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

    /// The effect of a fault that came with the request, if it has not ended.
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

    /// The random numbers for latencies.
    pub const fn dice(&mut self) -> &mut Rng {
        &mut self.dice
    }
}

/// Reads a fault from a request header: a whole [`Fault`], or an [`Effect`] alone.
pub(crate) fn parse_header(text: &str) -> Result<Fault, String> {
    // serde would read a list as a structure, member by member.
    if !text.trim_start().starts_with('{') {
        return Err("an object is needed".into());
    }
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
        let burst = r#"{"when":{"from_ms":500,"until_ms":2050,"every_ms":1000,"for_ms":100},"effect":{"gzip":true}}"#;
        let mut f = Faults::new(&[fault(burst)], 1);
        let mut hit =
            |ms| f.pick(&Candidate { now: Micros::from_millis(ms), ..call("x") }).is_some();
        let times = [0, 499, 500, 999, 1000, 1099, 1100, 2000, 2049, 2050, 3000];
        let hits: Vec<u64> = times.into_iter().filter(|ms| hit(*ms)).collect();
        assert_eq!(hits, [1000, 1099, 2000, 2049]);
    }

    #[test]
    fn each_condition_spares_the_calls_that_it_does_not_name() {
        for (field, fits, other) in [
            ("operation", "lists.put", "lists.puts"),
            ("method", "PUT", "GET"),
            ("path", "/lists", "/brands"),
            ("token", "t", "u"),
        ] {
            for (value, hits) in [(fits, true), (other, false)] {
                let rule =
                    format!(r#"{{"when":{{"{field}":"{value}"}},"effect":{{"gzip":true}}}}"#);
                let mut f = Faults::new(&[fault(&rule)], 1);
                assert_eq!(f.pick(&call("lists.put")).is_some(), hits, "{field} {value}");
            }
        }
    }

    #[test]
    fn a_fault_in_a_header_is_over_after_its_times_whoever_repeats_it() {
        let rule = r#"{"id":"one","when":{"times":2},"effect":{"gzip":true}}"#;
        let mut f = Faults::new(&[], 1);
        let hits = [1, 2, 3].map(|_| f.from_header(fault(rule)).is_some());
        assert_eq!(hits, [true, true, false]);
        assert!(f.from_header(fault(&rule.replace("one", "two"))).is_some());
    }

    #[test]
    fn faults_with_one_seed_always_hit_the_same_calls() {
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
        for text in [r#"{"unheard":1}"#, "[null,null,false]", "", "true"] {
            assert!(parse_header(text).is_err(), "{text}");
        }
    }
}
