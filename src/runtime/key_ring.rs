//! The keys of the moment: whose they are, until when, when they were used, and whether they were
//! revoked.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::State;
use super::reminders::Reminders;
use crate::config::Config;
use crate::identity::{Key, Keys, Revocation, Rights};
use crate::ids::{AppId, KeyId, TenantId};
use crate::revocations::Revocations;
use crate::shared::SharedStore;
use crate::tls;

/// The keys, and what is remembered of them over reloads.
pub(super) struct KeyRing {
    held: ArcSwap<HeldKeys>,
    pub(super) revocations: Revocations,
    /// std, not tokio: each section is one look and never awaits.
    pub(super) reminders: Mutex<Reminders>,
}

/// Every key of one configuration.
struct HeldKeys {
    apps: Arc<Keys>,
    operators: Arc<Keys<Rights>>,
    /// The end of the data port's certificate.
    certificate: Option<SystemTime>,
}

/// What is known of one key.
#[derive(Clone, Debug)]
pub struct KeyFacts {
    /// The key.
    pub key: Key,
    /// The app that has it; nothing for an operator's.
    pub app: Option<(TenantId, AppId)>,
    /// What an operator may do with it; nothing for an app's.
    pub rights: Option<Rights>,
    /// When it was used the last time.
    pub last_used: Option<SystemTime>,
    /// Who revoked it, and why.
    pub revoked: Option<Revocation>,
}

impl KeyRing {
    /// The keys of `config`, without those that were revoked.
    ///
    /// # Errors
    /// The file of revoked keys can't be read.
    pub(super) fn open(config: &Config, store: Option<&SharedStore>) -> Result<Self, String> {
        Ok(Self {
            held: ArcSwap::from_pointee(HeldKeys::of(config)),
            revocations: Revocations::open(config.state_dir().as_deref(), store)?,
            reminders: Mutex::default(),
        })
    }
}

impl HeldKeys {
    fn of(config: &Config) -> Self {
        Self {
            apps: config.keys.clone(),
            operators: config.admin.clone(),
            certificate: config.tls.as_ref().map(tls::Server::expires),
        }
    }
}

impl State {
    /// The keys of `config` go on from those of before.
    pub(super) fn take_keys(&self, config: &Config) {
        let (new, before) = (HeldKeys::of(config), self.0.ring.held.load_full());
        new.apps.go_on_from(&before.apps);
        new.operators.go_on_from(&before.operators);
        self.0.ring.held.store(Arc::new(new));
        self.remind();
    }

    /// When the certificate of the data port ends; nothing without TLS.
    pub(super) fn certificate_end(&self) -> Option<SystemTime> {
        self.0.ring.held.load().certificate
    }

    /// All keys: those of apps, then those of operators, each by their ids.
    #[must_use]
    pub fn key_facts(&self) -> Vec<KeyFacts> {
        let (ring, revoked) = (self.0.ring.held.load(), self.revocations().keys().load());
        let state = |key: &Key, last_used| KeyFacts {
            key: key.clone(),
            app: None,
            rights: None,
            last_used,
            revoked: revoked.of(&key.id, &key.sha256).cloned(),
        };
        let apps = ring.apps.rows().into_iter().map(|row| {
            let app = Some((row.holder.tenant.clone(), row.holder.id.clone()));
            KeyFacts { app, ..state(row.key, row.last_used) }
        });
        let operators = ring.operators.rows().into_iter().map(|row| {
            let rights = Some(*row.holder);
            KeyFacts { rights, ..state(row.key, row.last_used) }
        });
        apps.chain(operators).collect()
    }

    /// What is known of the key `id`, if the configuration has it.
    #[must_use]
    pub fn key_state(&self, id: &KeyId) -> Option<KeyFacts> {
        self.key_facts().into_iter().find(|state| state.key.id == *id)
    }
}

impl KeyFacts {
    /// Whose it is, such as `acme/billing`; `an operator`.
    #[must_use]
    pub fn holder(&self) -> String {
        match &self.app {
            Some((tenant, app)) => format!("{tenant}/{app}"),
            None => "an operator".to_owned(),
        }
    }
}
