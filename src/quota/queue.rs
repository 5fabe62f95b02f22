//! The waiting calls of one connection: lines first come first served, places, deadlines.
//!
//! One line per app, lane and price, so that a call that waits for a narrow pool stands in nobody's
//! way. Which line is served next is decided elsewhere. Places are indices into one table with a
//! serial number: a place that was left or served means nothing any more. No timers: the earliest
//! deadline of all is known at any time.
//!
//! A call that comes back, since the vendor refused it, stands where it stood: by when it came
//! first.
//!
//! Cost: joining, leaving and serving O(log n) for the deadline, O(1) for the rest.

use std::collections::BTreeSet;

use super::moment::Moment;
pub use crate::catalog::Lane;

const NIL: u32 = u32::MAX;

/// A place in the queue of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FifoPlace {
    index: u32,
    serial: u32,
}

/// Which line a call stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FifoKey {
    /// The app's number in its connection.
    pub app: u32,
    /// The lane.
    pub lane: Lane,
    /// The price's number.
    pub price: u16,
}

impl FifoKey {
    /// The line of an app, lane and price, by their numbers.
    #[must_use]
    pub fn of(app: u32, lane: Lane, price: usize) -> Self {
        Self { app, lane, price: u16::try_from(price).unwrap_or(u16::MAX) }
    }
}

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub struct QueuedCall {
    /// Its line.
    pub key: FifoKey,
    /// When it came.
    pub since: Moment,
    /// The latest moment at which it may start.
    pub latest: Moment,
    /// The caller's own deadline set `latest`, not the operator's longest wait.
    pub by_caller: bool,
}

#[derive(Debug)]
struct Node {
    call: QueuedCall,
    serial: u32,
    before: u32,
    behind: u32,
}

#[derive(Clone, Copy, Debug)]
struct Fifo {
    head: u32,
    tail: u32,
    len: u32,
}

const EMPTY: Fifo = Fifo { head: NIL, tail: NIL, len: 0 };

/// The waiting calls of one connection; its owner bounds how many they are.
#[derive(Debug)]
pub struct Queue {
    prices: usize,
    nodes: Vec<Node>,
    vacant: Vec<u32>,
    lines: Vec<Fifo>,
    lanes: [u32; 2],
    by_price: Vec<u32>,
    deadlines: BTreeSet<(Moment, u32)>,
}

impl Queue {
    /// An empty queue for calls of `prices` different prices.
    #[must_use]
    pub fn new(prices: usize) -> Self {
        Self {
            prices,
            nodes: Vec::new(),
            vacant: Vec::new(),
            lines: Vec::new(),
            lanes: [0; 2],
            by_price: vec![0; prices],
            deadlines: BTreeSet::new(),
        }
    }

    /// Makes room for calls of `prices` different prices, of which there are more than before.
    pub fn grow(&mut self, prices: usize) {
        let before = std::mem::replace(&mut self.prices, prices);
        self.by_price.resize(prices, 0);
        // A line for each price of an app's lane; those of the last one may not be there yet.
        let lines = std::mem::take(&mut self.lines);
        let lanes = lines.chunks(before.max(1));
        let more = |lane: &[Fifo]| {
            let new = std::iter::repeat_n(EMPTY, prices - lane.len());
            lane.iter().copied().chain(new).collect::<Vec<_>>()
        };
        self.lines = lanes.flat_map(more).collect();
    }

    /// Calls waiting in both lanes.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.lanes[0] + self.lanes[1]
    }

    /// Whether nobody waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls waiting in one lane.
    #[must_use]
    pub const fn lane_len(&self, lane: Lane) -> u32 {
        self.lanes[lane.index()]
    }

    /// Calls of all apps that wait, by the number of their price.
    #[must_use]
    pub fn by_price(&self) -> &[u32] {
        &self.by_price
    }

    /// Calls waiting in one line.
    #[must_use]
    pub fn fifo_len(&self, key: FifoKey) -> u32 {
        self.lines.get(self.at(key)).map_or(0, |line| line.len)
    }

    /// Joins a line: at its end, but before those that came later.
    pub fn push(&mut self, call: QueuedCall) -> FifoPlace {
        let at = self.at(call.key);
        if at >= self.lines.len() {
            self.lines.resize(at + 1, EMPTY);
        }
        let (before, behind) = self.neighbours(at, call.since);
        let index = self.store(call, before, behind);
        match before {
            NIL => self.lines[at].head = index,
            _ => self.nodes[before as usize].behind = index,
        }
        match behind {
            NIL => self.lines[at].tail = index,
            _ => self.nodes[behind as usize].before = index,
        }
        self.lines[at].len += 1;
        self.lanes[call.key.lane.index()] += 1;
        self.by_price[usize::from(call.key.price)] += 1;
        self.deadlines.insert((call.latest, index));
        FifoPlace { index, serial: self.nodes[index as usize].serial }
    }

    /// Calls of its own line that stand before a call.
    #[must_use]
    pub fn before(&self, place: FifoPlace) -> u32 {
        let key = self.nodes[place.index as usize].call.key;
        let line = self.lines[self.at(key)];
        if line.tail == place.index {
            return line.len - 1;
        }
        // A call that came back to its place: few stand before it.
        let steps = self.walk(line.head).take_while(|index| *index != place.index).count();
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    /// The call at the head of a line.
    #[must_use]
    pub fn front(&self, key: FifoKey) -> Option<&QueuedCall> {
        let line = self.lines.get(self.at(key))?;
        self.nodes.get(line.head as usize).map(|node| &node.call)
    }

    /// Takes the call at the head of a line out.
    pub fn pop(&mut self, key: FifoKey) -> Option<(FifoPlace, QueuedCall)> {
        let head = self.lines.get(self.at(key))?.head;
        (head != NIL).then(|| self.unlink(head))
    }

    /// Takes a call out, wherever it stands; `None` if it isn't there any more.
    pub fn leave(&mut self, place: FifoPlace) -> Option<QueuedCall> {
        let node = self.nodes.get(place.index as usize)?;
        (node.serial == place.serial).then(|| self.unlink(place.index).1)
    }

    /// The earliest of the latest starts.
    #[must_use]
    pub fn first_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(latest, _)| *latest)
    }

    /// Takes out one call whose latest start is over.
    pub fn expired(&mut self, now: Moment) -> Option<(FifoPlace, QueuedCall)> {
        let &(latest, index) = self.deadlines.first()?;
        (latest < now).then(|| self.unlink(index))
    }

    fn at(&self, key: FifoKey) -> usize {
        (key.app as usize * 2 + key.lane.index()) * self.prices + usize::from(key.price)
    }

    /// The node after which, and the one before which a call stands that came at `since`.
    fn neighbours(&self, line: usize, since: Moment) -> (u32, u32) {
        let Fifo { head, tail, .. } = self.lines[line];
        let came = |index: u32| self.nodes.get(index as usize).map(|node| node.call.since);
        if came(tail).is_none_or(|last| last <= since) {
            return (tail, NIL);
        }
        let behind = self.walk(head).find(|index| came(*index) > Some(since)).unwrap_or(NIL);
        (self.nodes.get(behind as usize).map_or(tail, |node| node.before), behind)
    }

    /// The nodes from one on to the end of its line.
    fn walk(&self, from: u32) -> impl Iterator<Item = u32> {
        std::iter::successors((from != NIL).then_some(from), |index| {
            Some(self.nodes[*index as usize].behind).filter(|behind| *behind != NIL)
        })
    }

    fn store(&mut self, call: QueuedCall, before: u32, behind: u32) -> u32 {
        if let Some(index) = self.vacant.pop() {
            let node = &mut self.nodes[index as usize];
            (node.call, node.before, node.behind) = (call, before, behind);
            return index;
        }
        self.nodes.push(Node { call, serial: 0, before, behind });
        u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
    }

    fn unlink(&mut self, index: u32) -> (FifoPlace, QueuedCall) {
        let node = &mut self.nodes[index as usize];
        let (call, before, behind) = (node.call, node.before, node.behind);
        let place = FifoPlace { index, serial: node.serial };
        node.serial = node.serial.wrapping_add(1);
        let at = self.at(call.key);
        match before {
            NIL => self.lines[at].head = behind,
            _ => self.nodes[before as usize].behind = behind,
        }
        match behind {
            NIL => self.lines[at].tail = before,
            _ => self.nodes[behind as usize].before = before,
        }
        self.lines[at].len -= 1;
        self.lanes[call.key.lane.index()] -= 1;
        self.by_price[usize::from(call.key.price)] -= 1;
        self.deadlines.remove(&(call.latest, index));
        self.vacant.push(index);
        (place, call)
    }
}

#[cfg(test)]
mod tests;
