//! The apps of a connection: who has which number.

use super::super::app::{AppBooks, AppMemory, AppSettings};
use super::super::moment::Moment;
use super::super::queue::{FifoKey, Lane};
use super::super::settings::MOST_APPS;
use super::super::ticket::{AdmissionRequest, AppNo};
use super::Scheduler;

/// Apps that have numbers at a time: those of a configuration, and those that earlier ones had and
/// of which a call waits, runs or rests.
const MOST_NUMBERS: usize = 4 * MOST_APPS as usize;

impl Scheduler {
    /// Gives an app a number; `None` if there is none left.
    pub(crate) fn add_app(&mut self, settings: AppSettings, now: Moment) -> Option<AppNo> {
        let app = AppBooks::new(settings, now);
        let vacant = self.vacant_apps().next();
        let at = match vacant {
            Some(number) => {
                self.removed.remove(&number);
                let at = number as usize;
                // The number is another app's from now on, which nobody paused.
                self.paused.retain(|paused| *paused != number);
                let AppBooks { listed, changed, claim, standing, .. } = self.apps[at];
                self.apps[at] = AppBooks { listed, changed, claim, standing, ..app };
                at
            }
            None if self.apps.len() < MOST_NUMBERS => {
                self.apps.push(app);
                self.apps.len() - 1
            }
            None => return None,
        };
        let number = u32::try_from(at).ok()?;
        self.touch(number);
        self.note_limit(number);
        Some(AppNo(number))
    }

    /// Apps that could be added now.
    pub(crate) fn spare_apps(&self) -> usize {
        MOST_NUMBERS.saturating_sub(self.apps.len()) + self.vacant_apps().count()
    }

    /// Numbers of removed apps that can be given to others, the lowest first.
    fn vacant_apps(&self) -> impl Iterator<Item = u32> {
        let removed = self.removed.iter().copied();
        removed.filter(|number| self.apps[*number as usize].is_idle())
    }

    /// Lets an app remember what it did before somebody looked by way of trial.
    pub(crate) fn put_back(&mut self, app: AppNo, memory: AppMemory) -> Option<&AppBooks> {
        let app = self.apps.get_mut(app.0 as usize)?;
        app.recall(memory);
        Some(app)
    }

    /// The line of a call, if its app and its price are known.
    pub(super) fn key_of(&self, ticket: &AdmissionRequest) -> Option<FifoKey> {
        let app = self.app(ticket.app.0)?;
        let known = usize::from(ticket.price.0) < self.prices.len();
        let lane = if ticket.bulk { Lane::Bulk } else { app.settings.lane };
        known.then_some(FifoKey { app: ticket.app.0, lane, price: ticket.price.0 })
    }
}
