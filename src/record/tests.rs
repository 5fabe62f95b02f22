//! The record: who gets it, and what is known of its attempts.

use super::*;

struct Seen(Mutex<Vec<u32>>);

impl Observer for Seen {
    fn finished(&self, _: &Record, marks: &Marks) {
        self.0.lock().unwrap().push(marks.timeline.attempts());
    }
}

#[test]
fn the_observer_gets_a_record_once_when_its_last_holder_lets_go() {
    let seen = Arc::new(Seen(Mutex::default()));
    let record = Record::open(seen.clone());
    let flight = record.clone();
    flight.mark(|marks| marks.timeline.try_begins(flight.started));
    flight.sending();
    drop(record);
    assert!(seen.0.lock().unwrap().is_empty());
    drop(flight);
    assert_eq!(*seen.0.lock().unwrap(), [1]);
}

#[test]
fn an_attempt_that_was_given_back_is_none() {
    let record = Record::open(Arc::new(Seen(Mutex::default())));
    record.mark(|marks| marks.timeline.try_begins(record.started));
    record.sending();
    assert_eq!(record.read(|marks| marks.timeline.attempts()), 1);
    record.not_sent();
    assert_eq!(record.read(|marks| marks.timeline.attempts()), 0);
}
