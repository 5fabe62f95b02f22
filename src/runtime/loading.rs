//! Which configuration is in use, and how the last reload ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::State;
use crate::clock;
use crate::config::Config;
use crate::live::details::{ConfigurationView, ReloadView};
use crate::live::documents::epoch_ms;

/// See the module text.
pub(super) struct Loading(
    /// std, not tokio: changed by a reload only.
    Mutex<Loaded>,
);

struct Loaded {
    file: Option<String>,
    at: SystemTime,
    /// As JSON, without secrets and what could be tried against them.
    settings: Value,
    warnings: Vec<String>,
    last_reload: Option<ReloadView>,
}

impl Loading {
    pub(super) fn new(config: &Config) -> Self {
        let loading = Self(Mutex::new(Loaded {
            file: None,
            at: clock::wall(),
            settings: Value::Null,
            warnings: Vec::new(),
            last_reload: None,
        }));
        loading.loaded(config);
        loading
    }

    pub(super) fn loaded(&self, config: &Config) {
        let settings = serde_json::to_value(&config.settings).unwrap_or_default();
        let mut state = self.state();
        state.at = clock::wall();
        state.settings = settings;
        state.warnings = config.warnings.iter().map(ToString::to_string).collect();
    }

    fn state(&self) -> MutexGuard<'_, Loaded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The configuration is read from `file`.
    pub fn configured_by(&self, file: &std::path::Path) {
        self.0.live.loading.state().file = Some(file.display().to_string());
    }

    /// A reload ended: without `problems` it was done.
    pub fn reload_ended(&self, problems: Vec<String>) {
        let outcome = if problems.is_empty() { "done" } else { "refused" };
        let ended = ReloadView { at_ms: epoch_ms(clock::wall()), outcome, problems };
        self.0.live.loading.state().last_reload = Some(ended);
    }

    /// The configuration that is in use.
    #[must_use]
    pub fn configuration(&self) -> ConfigurationView {
        let expiring = self.0.live.facts.load().expiring();
        let loaded = self.0.live.loading.state();
        ConfigurationView {
            file: loaded.file.clone(),
            loaded_at_ms: epoch_ms(loaded.at),
            settings: loaded.settings.clone(),
            warnings: loaded.warnings.clone(),
            last_reload: loaded.last_reload.clone(),
            expiring,
        }
    }
}
