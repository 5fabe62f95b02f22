//! Which apps have series of their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::handles::OfApp;
use super::labels::{Labels, Value};
use super::observe::unix;
use super::{MOST_APPS, Metrics};
use crate::ids::{AppId, KeyId, TenantId};

/// The most keys whose ends are shown.
const MOST_KEYS: usize = 200;

/// A key that ends.
pub struct KeyEnd {
    /// Its public part.
    pub id: KeyId,
    /// The app that has it; nothing for an operator's.
    pub app: Option<(TenantId, AppId)>,
    /// When.
    pub end: SystemTime,
}

/// An app of the configuration.
pub struct AppRow {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub app: AppId,
    /// When its last key expires; `None` if a key never expires.
    pub keys_end: Option<SystemTime>,
}

impl Metrics {
    /// Gives the first apps series of their own. An app that was named once stays named, and there
    /// are never more than [`MOST_APPS`] of them.
    pub fn name_apps(&self, rows: &[AppRow]) {
        let mut named = HashMap::clone(&self.handles.apps.load());
        for row in rows {
            if named.len() < MOST_APPS {
                named.entry((row.tenant.clone(), row.app.clone())).or_insert_with(|| {
                    let labels = [Value::id(row.tenant.as_str()), Value::id(row.app.as_str())];
                    Arc::new(OfApp { named: Some(labels), ..OfApp::default() })
                });
            }
        }
        self.handles.apps.store(Arc::new(named));
        // Many apps can share one name.
        let names: HashSet<_> =
            rows.iter().map(|row| self.app_labels(&row.tenant, &row.app)).collect();
        names.iter().for_each(|labels| self.begin_app(labels));
        self.key_expiry.clear();
        let mut ends = HashMap::new();
        for row in rows {
            let Some(end) = row.keys_end else { continue };
            let first = ends.entry(self.app_labels(&row.tenant, &row.app)).or_insert(end);
            *first = end.min(*first);
        }
        for (labels, end) in ends {
            self.key_expiry.get_or_create(&labels).set(unix(end));
        }
    }

    /// Shows when keys end, the first ones of `keys`: the id, the app unless it is an operator's, the
    /// end.
    pub fn show_key_ends(&self, mut keys: Vec<KeyEnd>) {
        self.each_key_expiry.clear();
        keys.sort_by_key(|key| key.end);
        for KeyEnd { id, app, end } in keys.into_iter().take(MOST_KEYS) {
            let none = || Labels([("tenant", Value::Word("")), ("app", Value::Word(""))]);
            let of = app.map_or_else(none, |(tenant, app)| self.app_labels(&tenant, &app));
            let Labels([tenant, app]) = of;
            let labels = Labels([("key", Value::id(id.as_str())), tenant, app]);
            self.each_key_expiry.get_or_create(&labels).set(unix(end));
        }
    }

    /// `tenant` and `app` of an app.
    #[must_use]
    pub fn app_labels(&self, tenant: &TenantId, app: &AppId) -> Labels<2> {
        let apps = self.handles.apps.load();
        let known = apps.get(&(tenant.clone(), app.clone()));
        known.map_or_else(|| self.handles.others.labels(), |app| app.labels())
    }
}
