//! A simulator with a time that the test moves.

use serde_json::Value;
use simulator::{Micros, Options, Reply, Request, Simulator};

/// A simulator with a time that the test moves.
pub(crate) struct Courier {
    pub(crate) sim: Simulator,
    pub(crate) now: Micros,
}

impl Courier {
    pub(crate) fn new() -> Self {
        Self { sim: Simulator::new(Options::seeded(7)), now: Micros::ZERO }
    }

    pub(crate) fn later(&mut self, ms: u64) {
        self.now = self.now + Micros::from_millis(ms);
    }

    pub(crate) fn call(&mut self, method: &str, target: &str, body: Value) -> Reply {
        let request = Request::new(method, target).token("acme");
        let request = if body.is_null() { request } else { request.json(&body) };
        self.sim.handle(self.now, request)
    }

    pub(crate) fn expect(&mut self, status: u16, method: &str, target: &str, body: Value) -> Value {
        let reply = self.call(method, target, body);
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.value());
        reply.value()
    }
}
