//! What is done to a fleet.

use std::time::Duration;

use rustix::process::Signal;
use tokio::task::block_in_place;

use crate::proxy::Line;
use crate::rig::Fleet;

/// One deed. Gateways are named by their number.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Ends it as a crash does.
    Kill(usize),
    /// Starts it again.
    Start(usize),
    /// Asks it to end, waits for that, and starts it again.
    Renew(usize),
    Freeze(usize),
    Thaw(usize),
    /// Has it read a configuration that is good, or broken.
    Reload(usize, bool),
    /// Sets its wall clock.
    SetClock(usize, &'static str),
    /// Sets its line to the store: cut or not.
    Cut(usize, bool),
    /// What the store says comes so many ms later, to all.
    Delay(u64),
    Flush,
    /// Ends the store, or its primary, as a crash does.
    KillStore,
    /// Starts it again, without data.
    StartStore,
    FreezeStore,
    ThawStore,
    /// The replica of the store hears nothing of its primary any more.
    HoldReplica,
    /// The replica of the store loses all that it has.
    EmptyReplica,
}

impl Fleet {
    pub async fn perform(&mut self, act: Act) {
        match act {
            Act::Kill(seat) => block_in_place(|| self.seats[seat].take().kill()),
            Act::Start(seat) => self.seats[seat].start(),
            Act::Renew(seat) => {
                let gateway = self.seats[seat].take();
                gateway.signal(Signal::TERM);
                gateway.ended().await;
                self.seats[seat].start();
            }
            Act::Freeze(seat) => self.signal(seat, Signal::STOP),
            Act::Thaw(seat) => self.signal(seat, Signal::CONT),
            Act::Reload(seat, good) => self.reload(seat, good).await,
            Act::SetClock(seat, by) => self.seats[seat].clock.set(by),
            Act::Cut(seat, cut) => {
                self.store.lines[seat].set(Line { cut, ..Line::default() });
            }
            Act::Delay(ms) => {
                let line = Line { delay: Duration::from_millis(ms), ..Line::default() };
                self.store.lines.iter().for_each(|proxy| proxy.set(line));
            }
            other => block_in_place(|| self.store.perform(other)),
        }
    }

    fn signal(&self, seat: usize, signal: Signal) {
        self.seats[seat].gateway.as_ref().expect("it runs").signal(signal);
    }

    async fn reload(&mut self, seat: usize, good: bool) {
        let seat = &mut self.seats[seat];
        let (text, heard) = if good {
            (seat.started.replace("[logs]", "[logs]\nformat = \"json\""), "configuration reloaded")
        } else {
            ("[server]\nlisten = 1\n".to_owned(), "configuration not reloaded; the old one stays")
        };
        seat.configure(&text);
        let gateway = seat.gateway.as_mut().expect("it runs");
        let before = gateway.said(heard);
        gateway.signal(Signal::HUP);
        gateway.says(heard, before).await;
    }
}

impl crate::store::Store {
    fn perform(&mut self, act: Act) {
        let first = &mut self.servers[0];
        match act {
            Act::Flush => drop(first.ask(&["FLUSHALL"]).unwrap()),
            Act::KillStore => first.kill(),
            Act::StartStore => first.again(),
            Act::FreezeStore => first.freeze(),
            Act::ThawStore => first.thaw(),
            Act::HoldReplica => {
                let line = self.following.as_ref().expect("there is a replica");
                line.set(Line { held: true, ..Line::default() });
            }
            Act::EmptyReplica => {
                let replica = &self.servers[1];
                for words in [
                    &["CONFIG", "SET", "replica-read-only", "no"][..],
                    &["FLUSHALL"],
                    &["CONFIG", "SET", "replica-read-only", "yes"],
                ] {
                    replica.ask(words).unwrap();
                }
            }
            other => unreachable!("{other:?} is done to gateways"),
        }
    }
}
