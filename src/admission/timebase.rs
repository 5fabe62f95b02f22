//! The quota's clock beside that of the process.

use std::time::Duration;

use crate::clock::Instant;
use crate::quota::Moment;

/// Where the quota's time begins: so long before this process that no moment of an earlier one is
/// before it.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// `instant` on the quota's clock, which began [`BEFORE`] the `base`.
pub(super) fn moment(base: Instant, instant: Instant) -> Moment {
    Moment::from(BEFORE + instant.saturating_duration_since(base))
}

/// `moment` on the clock of the process; `None` if that does not reach so far.
pub(super) fn instant(base: Instant, moment: Moment) -> Option<Instant> {
    base.checked_add(Duration::from_nanos(moment.as_nanos()).saturating_sub(BEFORE))
}
