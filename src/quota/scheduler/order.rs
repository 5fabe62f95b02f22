//! Who waits and who is next in each lane, and whose claim has to be looked at again: kept as calls come and go.

use super::super::moment::Moment;
use super::super::queue::{FifoKey, FifoPlace, Lane, QueuedCall};
use super::Scheduler;

impl Scheduler {
    /// Lets a call wait.
    pub(crate) fn push(&mut self, call: QueuedCall) -> FifoPlace {
        let FifoKey { app, lane, .. } = call.key;
        let now = self.books.clock(lane);
        let in_lane = &mut self.apps[app as usize].lanes[lane.index()];
        if in_lane.waiting == 0 {
            in_lane.start = in_lane.finish.max(now);
        }
        in_lane.waiting += 1;
        if lane == Lane::Interactive {
            self.list(app);
        }
        let place = self.queue.push(call);
        self.reorder(app, lane);
        place
    }

    /// Takes a waiting call out that left; `false` if it waits no more.
    pub(crate) fn leave(&mut self, place: FifoPlace) -> bool {
        let call = self.queue.leave(place);
        call.inspect(|call| self.left(call.key)).is_some()
    }

    pub(super) fn left(&mut self, key: FifoKey) {
        self.apps[key.app as usize].lanes[key.lane.index()].waiting -= 1;
        self.touch(key.app);
        self.reorder(key.app, key.lane);
    }

    /// Notes that what an app holds or wants may have changed.
    pub(super) fn touch(&mut self, app: u32) {
        if !std::mem::replace(&mut self.apps[app as usize].changed, true) {
            self.changed.push(app);
        }
    }

    /// Notes that of all apps.
    pub(super) fn touch_all(&mut self) {
        for app in (0..).take(self.apps.len()) {
            self.touch(app);
        }
    }

    /// Puts an app in the list of those to look at.
    pub(super) fn list(&mut self, app: u32) {
        self.touch(app);
        if !std::mem::replace(&mut self.apps[app as usize].listed, true) {
            self.listed.push(app);
        }
    }

    /// Takes it off that list.
    pub(super) fn unlist(&mut self, app: u32) {
        self.apps[app as usize].listed = false;
        if let Some(at) = self.listed.iter().position(|listed| *listed == app) {
            self.listed.swap_remove(at);
        }
    }

    /// Puts an app where it belongs in the order of a lane, after its tag or its calls changed.
    pub(super) fn reorder(&mut self, app: u32, lane: Lane) {
        let place = self.place_of(app, lane);
        let before =
            std::mem::replace(&mut self.apps[app as usize].lanes[lane.index()].place, place);
        if place == before {
            return;
        }
        let order = &mut self.order[lane.index()];
        if let Some((tag, since)) = before {
            order.remove(&(tag, since, app));
        }
        if let Some((tag, since)) = place {
            order.insert((tag, since, app));
        }
    }

    /// Where an app belongs: by its start tag, then by its call that waits longest.
    pub(super) fn place_of(&self, app: u32, lane: Lane) -> Option<(u64, Moment)> {
        let lines = (0..self.prices.len()).map(|price| FifoKey::of(app, lane, price));
        let oldest = lines.filter_map(|key| self.queue.front(key)).map(|call| call.since).min()?;
        Some((self.apps[app as usize].lanes[lane.index()].start, oldest))
    }

    /// Keeps the list of apps that have a limit of their own.
    pub(super) fn note_limit(&mut self, app: u32) {
        self.limited.retain(|limited| *limited != app);
        if self.apps[app as usize].pace.is_some() {
            self.limited.push(app);
        }
    }
}
