//! What a call is told that can't start at once: to wait, or why not and when to come back.
//!
//! On arrival the earliest start is computed from the rests of the slots and the calls that would
//! be served before. It is exact for one app alone; with several, newcomers and shares move it, so
//! an accepted call can still be refused at its deadline, but none starts late.

use std::time::Duration;

use super::super::arrival::ArrivalVerdict;
use super::super::choose::{choose, choose_any};
use super::super::estimate::estimate;
use super::super::judge::{is_full, starts_easily};
use super::super::moment::Moment;
use super::super::pools::{Pools, SlotPool};
use super::super::position::position;
use super::super::queue::{FifoKey, Lane, QueuedCall};
use super::super::queue_position::{LimitedBy, QueuePosition};
use super::super::scheduler_view::DemandSnapshot;
use super::super::settings::Mode;
use super::super::slots::Slots;
use super::super::ticket::{
    AdmissionRequest, QueueEvent, QueuePlace, QuotaRefusal, QuotaRule, QuotaUsage, Would,
};
use super::Scheduler;

impl Scheduler {
    /// Judges a call that came first at `since`; changes nothing that another call could notice.
    pub(crate) fn arrive(
        &mut self,
        pools: &Pools,
        ticket: &AdmissionRequest,
        since: Moment,
        now: Moment,
    ) -> ArrivalVerdict {
        let Some(key) = self.key_of(ticket) else {
            return ArrivalVerdict::Refuse(QuotaRefusal::paused(self.usage(pools, ticket.app.0)));
        };
        if self.apps[key.app as usize].paused {
            return ArrivalVerdict::Refuse(QuotaRefusal::paused(self.usage(pools, key.app)));
        }
        self.came(key, now);
        if starts_easily(&self.view(pools, now), key) {
            return ArrivalVerdict::Start(key, Would::Start);
        }
        let call = self.queued(key, ticket, since);
        let place = self.push(call);
        let mine = self.queue.fifo_len(key) == 1;
        let snapshot = self.snapshot(pools, now);
        let enforced = self.settings.mode == Mode::Enforce;
        self.apps[key.app as usize].promises.forget(self.rest.window, now);
        let leaves = snapshot.free >= self.cost(key) + self.promised(key, now, now);
        if enforced && mine && leaves && choose(&self.view(pools, now), &snapshot) == Some(key) {
            self.queue.leave(place);
            self.left(key);
            return ArrivalVerdict::Start(key, Would::Start);
        }
        let before = self.queue.before(place);
        let verdict = self.judge(pools, &call, before, &snapshot, now);
        self.queue.leave(place);
        self.left(key);
        match verdict {
            Ok((_, standing)) if enforced => ArrivalVerdict::Wait(call, standing),
            Err(refusal) if enforced => ArrivalVerdict::Refuse(refusal),
            Ok((at, _)) if at <= now => ArrivalVerdict::Start(key, Would::Start),
            Ok((at, _)) => ArrivalVerdict::Start(key, Would::Wait(at.since(now))),
            Err(refusal) => ArrivalVerdict::Start(key, Would::Refuse(refusal.rule)),
        }
    }

    fn queued(&self, key: FifoKey, ticket: &AdmissionRequest, since: Moment) -> QueuedCall {
        let longest = since
            + match key.lane {
                Lane::Interactive if ticket.asked => {
                    self.settings.max_wait.max(self.settings.max_wait_bulk)
                }
                Lane::Interactive => self.settings.max_wait,
                Lane::Bulk => self.settings.max_wait_bulk,
            };
        QueuedCall {
            key,
            since,
            latest: ticket.latest.min(longest),
            by_caller: ticket.by_caller && ticket.latest < longest,
        }
    }

    /// Whether a call that stands in the queue by way of trial, with `before` others of its line
    /// before it, may stay, when it could start, and where it stands. One that comes back had its
    /// place.
    fn judge(
        &mut self,
        pools: &Pools,
        call: &QueuedCall,
        before: u32,
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> Result<(Moment, QueuePosition), QuotaRefusal> {
        let key = call.key;
        let promised = self.promised(key, call.latest, now);
        let estimate = estimate(&self.view(pools, now), key, (before, promised), snapshot);
        let standing = position(&self.view(pools, now), key, &estimate);
        let rule = if call.since == now && is_full(&self.view(pools, now), key) {
            QuotaRule::QueueFull
        } else if estimate.at <= call.latest {
            return Ok((estimate.at, standing));
        } else if estimate.away {
            QuotaRule::LedgerAway
        } else if estimate.opens > call.latest.max(now) {
            QuotaRule::VendorThrottled
        } else if estimate.limited > call.latest.max(now) {
            QuotaRule::AppLimited
        } else if call.by_caller {
            QuotaRule::DeadlineTooNear
        } else {
            QuotaRule::QuotaExhausted
        };
        let hint = self.hint(pools, key, before, snapshot, now);
        let refusal = QuotaRefusal::new(rule, hint.since(now), self.usage(pools, key.app));
        self.turned_away(pools, key, &refusal, estimate.bound, now);
        Err(QuotaRefusal { standing: Some(standing), ..refusal })
    }

    /// Notes that a call is refused, if that is for want of a slot of the own pool: it is demand,
    /// and its client is owed a slot.
    fn turned_away(
        &mut self,
        pools: &Pools,
        key: FifoKey,
        refusal: &QuotaRefusal,
        bound: LimitedBy,
        now: Moment,
    ) {
        let lacks = [QuotaRule::QuotaExhausted, QuotaRule::DeadlineTooNear, QuotaRule::QueueFull];
        let for_slots = bound == LimitedBy::Slot(self.main) || bound == LimitedBy::Share;
        if for_slots && lacks.contains(&refusal.rule) && key.lane == Lane::Interactive {
            self.miss(pools, key.app, now);
            let promises = &mut self.apps[key.app as usize].promises;
            promises.came(self.rest.window, now);
            let whole = now + Duration::from_secs(refusal.seconds());
            promises.promise(now + refusal.after, whole);
        }
    }

    /// Slots that clients of the same app are owed until then, who came before and were refused.
    fn promised(&self, key: FifoKey, by: Moment, now: Moment) -> u32 {
        let owed = || self.apps[key.app as usize].promises.others(by, self.rest.window, now);
        if key.lane == Lane::Bulk || self.cost(key) == 0 { 0 } else { owed() }
    }

    /// A call is let in: it may be of a client that was told to come back now.
    pub(crate) fn kept_its_promise(&mut self, key: FifoKey, now: Moment) {
        if key.lane == Lane::Interactive {
            self.apps[key.app as usize].promises.came(self.rest.window, now);
        }
    }

    /// How much of the connection's own pool is used, and by an app.
    pub(crate) fn usage(&self, pools: &Pools, app: u32) -> QuotaUsage {
        let slots = pools.get(self.main).map(|pool| &pool.slots);
        let app = self.app(app);
        QuotaUsage {
            calls: slots.map_or(0, Slots::limit),
            window: self.rest.window,
            held: slots.map_or(0, |slots| slots.in_use() + slots.resting()),
            own: app.map_or(0, |app| app.lanes.iter().map(|lane| lane.held).sum()),
        }
    }

    /// What a call is told whose latest start is over.
    pub(crate) fn expired(
        &mut self,
        pools: &Pools,
        call: &QueuedCall,
        now: Moment,
    ) -> QuotaRefusal {
        let snapshot = self.snapshot(pools, now);
        let before = self.queue.fifo_len(call.key);
        let estimate = estimate(&self.view(pools, now), call.key, (before, 0), &snapshot);
        let rule = if estimate.away {
            QuotaRule::LedgerAway
        } else if estimate.opens > now {
            QuotaRule::VendorThrottled
        } else if call.by_caller {
            QuotaRule::DeadlineTooNear
        } else {
            QuotaRule::QuotaExhausted
        };
        let hint = self.hint(pools, call.key, before, &snapshot, now);
        let refusal = QuotaRefusal::new(rule, hint.since(now), self.usage(pools, call.key.app));
        self.turned_away(pools, call.key, &refusal, estimate.bound, now);
        refusal
    }

    /// When a refused client shall come back: not before its slot, and not together with those of
    /// its app that were refused before it.
    fn hint(
        &mut self,
        pools: &Pools,
        key: FifoKey,
        before: u32,
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> Moment {
        // Beside other apps it is not known well enough whose the slots will be.
        let alone = self.claims.apps() <= 1;
        let promised = if alone { self.promised(key, Moment::NEVER, now) } else { 0 };
        let at = estimate(&self.view(pools, now), key, (before, promised), snapshot).at;
        let weights = self.claims.weights();
        let app = &mut self.apps[key.app as usize];
        let part = f64::from(app.settings.weight.max(1)) / weights.max(1.0);
        let reach = pools.get(self.main).map_or(0, SlotPool::reach);
        let rate = (f64::from(reach) * part.min(1.0)).max(1.0);
        // Behind those that are waited for the slots are apart, if they don't come back together.
        let rate = if promised > 0 { 8.0 * rate } else { rate };
        let next = app.told.hint + self.rest.window.div_f64(rate);
        let hint = if app.told.hint > now && next > at { next } else { at };
        // As many slots as it has come back within a window: then round the circle again.
        app.told.hint = if hint.since(at) > self.rest.window { at } else { hint };
        app.told.hint
    }

    /// A waiting call that is to be sent away: its app was paused or its latest start is over.
    pub(crate) fn dismiss(&mut self, pools: &Pools, now: Moment) -> Option<QueueEvent> {
        while let Some(&app) = self.paused.last() {
            let lines = Lane::ALL.iter().flat_map(|lane| {
                (0..self.prices.len()).map(|price| FifoKey::of(app, *lane, price))
            });
            let line = lines.into_iter().find(|key| self.queue.fifo_len(*key) > 0);
            let Some((place, call)) = line.and_then(|key| self.queue.pop(key)) else {
                self.paused.pop();
                continue;
            };
            self.left(call.key);
            return Some(QueueEvent::Refused {
                place: self.place(place),
                refusal: QuotaRefusal::paused(self.usage(pools, app)),
                since: call.since,
            });
        }
        let (place, call) = self.queue.expired(now)?;
        self.left(call.key);
        let refusal = self.expired(pools, &call, now);
        Some(QueueEvent::Refused { place: self.place(place), refusal, since: call.since })
    }

    /// The call that starts next, if one can start now. Slots whose time is over are free by now.
    pub(crate) fn choose(&mut self, pools: &Pools, now: Moment) -> Option<FifoKey> {
        if self.queue.is_empty() {
            return None;
        }
        if self.settings.mode == Mode::Shadow {
            return choose_any(&self.view(pools, now));
        }
        let snapshot = self.snapshot(pools, now);
        choose(&self.view(pools, now), &snapshot)
    }

    /// Starts the call at the head of a line.
    pub(crate) fn serve(
        &mut self,
        pools: &mut Pools,
        key: FifoKey,
        now: Moment,
    ) -> Option<QueueEvent> {
        let grant = self.start(pools, key, Would::Start, now)?;
        let (place, call) = self.queue.pop(key)?;
        self.left(key);
        Some(QueueEvent::Start { place: self.place(place), grant, since: call.since })
    }

    fn place(&self, place: super::super::queue::FifoPlace) -> QueuePlace {
        QueuePlace { connection: self.number, place }
    }
}
