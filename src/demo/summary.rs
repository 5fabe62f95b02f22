//! What the demo says at its end, and whether it was good.

use std::fmt;
use std::sync::Arc;

use super::board::DemoApp;
use super::scenario::STEPS;
use crate::app::Drained;

/// Failures that are printed; the rest is counted.
const FAILURES_SHOWN: usize = 10;

/// The whole demo.
pub(super) struct Summary {
    pub(super) apps: Vec<Arc<DemoApp>>,
    /// What the simulated Courier counted by itself.
    pub(super) vendor: Counted,
    /// What became of the sends, when Courier misbehaved.
    pub(super) sends: Option<Sends>,
    /// Calls that were answered without Courier.
    pub(super) saved: u64,
    /// The same applications without the gateway.
    pub(super) direct: String,
    /// What was cut at the end.
    pub(super) left: Drained,
}

/// The vendor's own count.
pub(super) struct Counted {
    /// Calls that it allows in a window.
    pub(super) allowed: u32,
    /// The most that it saw in any window.
    pub(super) most: f64,
    /// Calls that it refused for its quota.
    pub(super) refused: u64,
}

/// The fate of the sends.
pub(super) struct Sends {
    /// Accepted, as the applications saw it.
    pub(super) accepted: usize,
    /// Tries that arrived at Courier.
    pub(super) attempts: usize,
    /// Tries whose answer never came, or was that Courier is away.
    pub(super) lost: usize,
    /// Sends that took effect more than once.
    pub(super) twice: usize,
}

impl Summary {
    /// Every call came back right, each operation was called, the vendor refused nothing.
    pub(super) fn is_good(&self) -> bool {
        let right = self.apps.iter().all(|app| app.calls().failures().is_empty());
        let whole =
            STEPS.iter().all(|step| self.apps.iter().any(|app| app.calls().did(step.operation)));
        let kept = self.vendor.refused == 0 && self.vendor.most <= f64::from(self.vendor.allowed);
        let once = self.sends.as_ref().is_none_or(|sends| sends.twice == 0);
        right && whole && kept && once && self.left.connections + self.left.flights == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for app in &self.apps {
            writeln!(f, "{app}")?;
        }
        let Counted { allowed, most, refused } = self.vendor;
        writeln!(
            f,
            "     Courier: at most {most:.0} calls in any window, of {allowed}; {refused} refused (429)"
        )?;
        writeln!(f, "   without it: {}", self.direct)?;
        if let Some(Sends { accepted, attempts, lost, twice }) = self.sends {
            writeln!(
                f,
                "       sends: {accepted} accepted in {attempts} tries, {lost} of which were lost; {twice} sent twice"
            )?;
        }
        writeln!(f, "       cache: saved {} calls to Courier", self.saved)?;
        for app in &self.apps {
            for failure in app.calls().failures().iter().take(FAILURES_SHOWN) {
                writeln!(f, "  wrong: {}: {failure}", app.name)?;
            }
        }
        let cut = self.left.connections + self.left.flights;
        if cut > 0 {
            writeln!(f, "  {cut} connections or calls were cut at the end")?;
        }
        f.write_str(if self.is_good() {
            "every call came back right"
        } else {
            "not every call came back right"
        })
    }
}
