//! How a pool opens again after the vendor's pause: a few calls go first, the others follow as
//! answers come back.
//!
//! A 429 says that the vendor has less room than we thought, and not how much: others may use the
//! token. So after the pause calls start one by one, a *gap* apart, and no more than a *window* of
//! them are under way. Each answer that is no refusal widens the window by one and shortens the
//! gap, so that a vendor that has recovered is asked at full rate after two seconds or so. A
//! further 429 closes the pool again; then the gap is what the vendor let through on average since
//! it opened, and shortens slowly, so that the next refusal is far. It is over when the window has
//! grown to the pool's limit or the pool was open for one window of the vendor.
//!
//! Whoever goes first may be a call that takes long: each second without an answer lets one more
//! go.

use std::time::Duration;

use super::moment::Moment;

/// Between two starts, before the vendor's room is known at all.
const FIRST_GAP: Duration = Duration::from_millis(250);
/// A good answer takes so much from the gap: one part in seven, and after a further refusal one in
/// 32.
const FAST: u32 = 7;
const SLOW: u32 = 32;
/// Of the average gap between the calls that the vendor let through, as a part: it is measured with
/// the pause in it, so the vendor has a little more room than that.
const OF_AVERAGE: (u32, u32) = (9, 10);
/// The longest gap. The average says how much was asked for, too: on a quiet connection it is long
/// though the vendor has room. A vendor with less than a call a second is found out by its pauses.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// Without an answer for so long, one more call goes.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pool that the vendor closed and that opens again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// When the pause ends. Calls that were taken before are not its own.
    since: Moment,
    /// Calls that may be under way.
    window: u32,
    /// Its calls that are.
    under_way: u32,
    /// Its calls that were answered without a refusal.
    passed: u32,
    gap: Duration,
    /// What a good answer takes from the gap, as one part in so many.
    part: u32,
    /// Before that no call starts.
    next: Moment,
    /// When it last heard of one of its calls.
    heard: Moment,
}

impl Opening {
    /// After a pause that ends at `since`, of a pool that was open.
    pub(crate) const fn first(since: Moment) -> Self {
        Self {
            since,
            window: 1,
            under_way: 0,
            passed: 0,
            gap: FIRST_GAP,
            part: FAST,
            next: since,
            heard: since,
        }
    }

    /// The same when one of its own calls was refused and the next pause ends at `since`.
    pub(crate) fn again(self, since: Moment) -> Self {
        let (times, of) = OF_AVERAGE;
        let gap = since.since(self.since) / self.passed.max(1) * times / of;
        Self { gap: gap.min(LONGEST_GAP), part: SLOW, ..Self::first(since) }
    }

    /// The same when an older call was refused: the pause ends at `since`, and nothing new is
    /// known.
    pub(crate) const fn later(self, since: Moment) -> Self {
        Self { gap: self.gap, part: self.part, ..Self::first(since) }
    }

    /// Whether a call that was taken at `taken` is one of its own.
    pub(crate) fn owns(&self, taken: Moment) -> bool {
        taken >= self.since
    }

    /// Whether it no longer holds anything back, in a pool of `limit` calls in any `window`.
    pub(crate) fn is_over(&self, limit: u32, window: Duration, now: Moment) -> bool {
        self.window >= limit || now >= self.since + window
    }

    /// When the next call may start, if no answer comes before.
    pub(crate) fn lets_at(&self) -> Moment {
        let too_many = (self.under_way + 1).saturating_sub(self.window);
        self.next.max(self.heard + PATIENCE * too_many)
    }

    /// When a call may start with `before` others before it, if all are answered well.
    pub(crate) fn estimate(&self, before: u32) -> Moment {
        let part = f64::from(self.part);
        let left = (1.0 - 1.0 / part).powf(f64::from(before));
        self.lets_at() + self.gap.mul_f64(part * (1.0 - left))
    }

    /// A call starts.
    pub(crate) fn starts(&mut self, now: Moment) {
        self.under_way = self.under_way.saturating_add(1);
        self.next = now + self.gap;
    }

    /// A call that was taken at `taken` is over; `good` if it was answered and not refused.
    pub(crate) fn ends(&mut self, taken: Moment, good: bool, now: Moment) {
        if !self.owns(taken) {
            return;
        }
        self.under_way = self.under_way.saturating_sub(1);
        if good {
            self.window = self.window.saturating_add(1);
            self.passed = self.passed.saturating_add(1);
            self.next = self.next.before(self.gap / self.part).max(self.since);
            self.gap -= self.gap / self.part;
            self.heard = now;
        }
    }
}

#[cfg(test)]
mod tests;
