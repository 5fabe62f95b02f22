//! A desk for the tests of single layers.

use std::sync::Arc;
use std::time::Duration;

use super::{Admission, AdmissionPlan, AppPlan, ConnectionQuotaPlan, Cost, Desk, TenantPlan};
use crate::catalog::Catalog;
use crate::quota::{AppSettings, ConnectionSettings};
use crate::secret::VendorToken;

/// A quota of `calls` in 10 s, in which a call may wait for five windows.
pub(crate) fn quota(calls: u32) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("acme-prod", calls, Duration::from_secs(10));
    settings.max_wait = Duration::from_secs(50);
    settings
}

/// The quota of the connection and the app of [`call`](crate::call::testing::call), and its desk.
pub(crate) fn desk(settings: ConnectionSettings) -> (Admission, Arc<Desk>) {
    let admission = Admission::new(None);
    let desk = admission.desk(plan(settings)).unwrap();
    (admission, Arc::new(desk))
}

/// The same as a plan.
pub(crate) fn plan(settings: ConnectionSettings) -> AdmissionPlan {
    let (catalog, connection) = (Catalog::courier(), "acme-prod".parse().unwrap());
    let app = "billing".parse().unwrap();
    let cost = |own| Cost { own, ..Cost::default() };
    AdmissionPlan {
        costs: catalog.all().map(|row| (row.id.clone(), cost(row.own_cost()))).collect(),
        operations: catalog.all().map(|row| row.id.clone()).collect(),
        named: Vec::new(),
        tenants: vec![TenantPlan {
            id: "acme".parse().unwrap(),
            apps: vec![AppPlan {
                connection: "acme-prod".parse().unwrap(),
                app,
                settings: AppSettings::default(),
                paused: false,
            }],
            connections: vec![ConnectionQuotaPlan {
                id: connection,
                workspace: "acme".into(),
                token: VendorToken::parse("pk_prod_first").unwrap(),
                reference: "a test".into(),
                settings,
                share: None,
            }],
        }],
    }
}

/// Slots of the connection that are free, that are in use, and that rest.
pub(crate) fn slots(admission: &Admission) -> (u32, u32, u32) {
    let figures = admission.figures();
    let pool = figures[0].pools.iter().find(|pool| pool.owner.is_some()).unwrap();
    (pool.slots.free, pool.slots.in_use, pool.slots.resting)
}
