//! One exchange: a request arrives, is answered and ends. The journal records each of them.

use crate::admin;
use crate::caller::Caller;
use crate::catalogue::CATALOGUE;
use crate::journal::{Ending, Entry};
use crate::pipeline::Trace;
use crate::reply::Reply;
use crate::request::Request;
use crate::simulator::Simulator;
use crate::target;
use crate::time::Micros;

impl Simulator {
    /// Answers one request that is whole at `now`.
    pub fn handle(&mut self, now: Micros, request: Request) -> Reply {
        if let Some(path) = request.target.strip_prefix("/__admin/") {
            return admin::handle(self, now, path, &request);
        }
        let mut trace = Trace::default();
        let arrived = self.clock.wall(now);
        let mut reply = self.answer(now, &request, &mut trace);
        let mut entry = Entry::new(request, now, arrived);
        entry.operation = trace.operation;
        entry.environment = trace.environment;
        entry.committed = trace.committed.then_some(now);
        entry.replayed = trace.replayed;
        entry.sends = trace.sends;
        entry.status = reply.status;
        entry.answer_due = Some(now + reply.delivery.first_byte);
        reply.entry = Some(self.journal.add(entry));
        reply
    }

    /// Records a request that never arrived whole: its head was broken, or its client left early.
    ///
    /// A vendor may count such a request. So it is counted if it carries an accepted token.
    pub fn note_broken(&mut self, now: Micros, request: Request) {
        let (path, _) = target::split(&request.target);
        let row = CATALOGUE.find(&request.method, path).map_or("", |(row, _)| &row.id);
        if let Ok(caller) = Caller::of(&request, row, &self.options) {
            let at = self.counting(now);
            self.counters.record(&caller.token, row, at.0, at.0);
        }
        let entry = Entry::new(request, now, self.clock.wall(now));
        self.journal.add(entry);
    }

    /// Records how an exchange ended. [`Reply::entry`] names it.
    pub fn note_end(&mut self, now: Micros, entry: u64, ending: Ending, written: u64) {
        if let Some(e) = self.journal.get_mut(entry) {
            (e.ended, e.written) = (Some((now, ending)), written);
        }
    }
}
