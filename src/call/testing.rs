//! Calls for the tests of single layers.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::{Buffered, BufferedCall, Call, Caller, Notes, Unread};
use crate::catalog::{Catalog, Match};
use crate::clock::Instant;
use crate::headers::Habits;
use crate::numbers::{AppIx, ConnectionIx};
use crate::proof::SendProof;
use crate::record::{Marks, Observer, Record};

/// Hears nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A call of Courier's catalogue without a body, with 50 s to its deadline.
pub(crate) fn call(method: Method, target: &'static str) -> Call {
    let catalog = Catalog::courier();
    let path = target.split('?').next().unwrap_or_default();
    let Match::Operation(operation) = catalog.find(&method, path) else {
        panic!("no operation: {method} {path}")
    };
    let operation = operation.clone();
    Call {
        caller: Caller {
            tenant: "acme".parse().unwrap(),
            app: "billing".parse().unwrap(),
            key: "k1".to_owned().try_into().unwrap(),
            connection: "acme-prod".parse().unwrap(),
            ix: ConnectionIx::default(),
            app_ix: AppIx::default(),
            makes_keys: true,
            asks_cache: true,
        },
        operation,
        method,
        target: target.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Unread(None),
        deadline: Instant::now() + Duration::from_secs(50),
        own_deadline: false,
        wait_until: None,
        collects: None,
        before_send: None,
        habits: Habits::default(),
        proof: Arc::new(SendProof::default()),
        notes: Arc::new(Notes::default()),
        record: Record::open(Arc::new(Nobody)),
    }
}

/// The same once its body, which is empty, is here.
pub(crate) fn buffered(method: Method, target: &'static str) -> BufferedCall {
    call(method, target).with_body(Buffered::default()).1
}
