//! One exchange: a request arrives, is answered, and ends. The journal hears of each.

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

    /// Notes a request that never became whole: a broken head, or a client that left within its body.
    ///
    /// A vendor may count it all the same, so it is counted, if a call of an accepted token can be seen in it.
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

    /// Notes how an exchange ended, by [`Reply::entry`].
    pub fn note_end(&mut self, now: Micros, entry: u64, ending: Ending, written: u64) {
        if let Some(e) = self.journal.get_mut(entry) {
            (e.ended, e.written) = (Some((now, ending)), written);
        }
    }
}
