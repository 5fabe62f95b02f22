//! Which files of the state folder can't be written. Calls go on, so this is no reason to take
//! traffic away. But a restart would lose what those files should hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::State;
use crate::{targets, usage};

impl State {
    /// Looks at the folder from time to time. So a loss is reported even if nobody asks, and files
    /// that can be written again are.
    pub(super) fn watch_folder(&self) {
        let state = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(usage::EVERY).await;
                let Some(state) = state.upgrade().map(State) else { return };
                // The files are small, but their disk may block. A panic in it is logged.
                let _ = tokio::task::spawn_blocking(move || state.unwritten()).await;
            }
        });
    }

    /// Files that can't be written now, by what they keep.
    #[must_use]
    pub fn unwritten(&self) -> [(&'static str, usize); 5] {
        let stands = self.folder_stands();
        let usage = self.0.usage.as_ref().is_some_and(|usage| usage.is_unwritten());
        let revoked = self.revocations();
        let lost = !stands && revoked.keys().load().count() > 0;
        [
            ("slots", self.admission().unwritten()),
            ("made-keys", (self.keys().is_unwritten() || !stands).into()),
            ("overrides", self.overrides().is_unwritten().into()),
            ("usage", usage.into()),
            ("revoked-keys", (revoked.is_unwritten() || (lost && revoked.are_kept())).into()),
        ]
    }

    /// Whether the state folder is still the one of the start. If it is not, that is logged once.
    fn folder_stands(&self) -> bool {
        let stands = self.admission().folder_stands();
        if !stands && !self.0.folder_gone.swap(true, Ordering::Relaxed) {
            tracing::error!(
                target: targets::USAGE,
                "the state folder was removed or replaced: what a restart must know is not kept; restart the gateway with state.assume = \"used\""
            );
        }
        stands
    }

    /// The text of a readiness check that succeeds.
    #[must_use]
    pub fn readiness(&self) -> String {
        let away = self.store().map(crate::shared::SharedStore::status).filter(|it| !it.connected);
        // Calls go on without it.
        let mut further = away.map_or_else(String::new, |status| format!("{status}\n"));
        let cut_off = self.admission().cut_off();
        if cut_off > 0 {
            further +=
                &format!("{cut_off} shared quotas can't be used until the shared store answers\n");
        }
        for (connection, page) in self.tokens().pages() {
            if page.given_up {
                further += &format!(
                    "the token in the file of {connection} was refused: the one before is used until a restart\n"
                );
            }
            if page.unreadable {
                further += &format!(
                    "the token of {connection} can't be read from its {}: the last good one is used until a restart\n",
                    page.source
                );
            }
        }
        let unwritten = self.unwritten().into_iter().filter(|(_, files)| *files > 0);
        let words: Vec<&str> = unwritten.map(|(word, _)| word).collect();
        match words.as_slice() {
            [] => format!("ok\n{further}"),
            words if self.folder_stands() => {
                format!("ok\nthe state folder can't be written: {}\n{further}", words.join(", "))
            }
            words => format!(
                "ok\nthe state folder was removed or replaced, a restart makes it anew: {}\n{further}",
                words.join(", ")
            ),
        }
    }
}
