//! The layer on a clock that stands still.

mod by_headers;
mod kept;
mod shared;
mod stale;
mod writes;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower::{Layer, Service};

use super::*;
use crate::cache::{Cache, ConnectionPlan, Plan, RowPlan};
use crate::call::testing::{self, Leaf, now, pieces, reply, text};
use crate::catalog::{Catalog, Freshness, Operation};
use crate::error::Code;

const SECOND: Duration = Duration::from_secs(1);

/// Connections in the order of their numbers, with their workspaces.
const CONNECTIONS: [(&str, &str); 3] =
    [("acme-prod", "acme"), ("acme-test", "acme"), ("umbrella-prod", "umbrella")];

/// The octets of the largest body that is kept here.
const LARGEST: usize = 9280;

/// The layer on a vendor that notes the fields it hears.
struct World {
    layer: Staged<Caching, Leaf<BufferedCall>>,
    vendor: Leaf<BufferedCall>,
    heard: Arc<Mutex<Vec<HeaderMap>>>,
    flights: Flights,
}

/// An answer, and what the cache says of it.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
    cached: Option<Cached>,
}

/// A world whose vendor answers its n-th call, which was sent, in this way.
fn world(answer: impl Fn(BufferedCall, u32) -> BoxFuture + Send + Sync + 'static) -> World {
    world_of(|_| {}, answer)
}

/// The same whose rows go by the vendor's fields alone.
fn by_fields(answer: impl Fn(BufferedCall, u32) -> BoxFuture + Send + Sync + 'static) -> World {
    world_of(|row| row.freshness = Freshness::Headers, answer)
}

fn world_of(
    change: impl Fn(&mut Operation),
    answer: impl Fn(BufferedCall, u32) -> BoxFuture + Send + Sync + 'static,
) -> World {
    let rows = Catalog::courier();
    let rows = rows.all().map(|row| {
        let mut operation = Operation::clone(row);
        let on = operation.cache.is_some_and(|rule| rule.on);
        if on {
            change(&mut operation);
        }
        RowPlan { operation: Arc::new(operation), on }
    });
    let connections = CONNECTIONS.map(|(name, workspace)| ConnectionPlan {
        id: name.parse().unwrap(),
        workspace: workspace.into(),
        base_url: "https://courier.example".into(),
    });
    let capacity = 10_000_000;
    let shelf = Cache::new(capacity).shelf(Plan {
        capacity,
        stale_if_error: 600 * SECOND,
        settle: 3 * SECOND,
        hard_limit: 60 * SECOND,
        bound: Duration::ZERO,
        rows: rows.collect(),
        connections: connections.into(),
        tokens: HashMap::new(),
    });
    let heard: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let hears = heard.clone();
    let vendor = Leaf::new(move |call: BufferedCall, nth| {
        hears.lock().unwrap().push(call.headers.clone());
        call.sending();
        answer(call, nth)
    });
    let flights = Flights::new();
    let layer = Caching::layer(Arc::new(shelf), flights.clone()).layer(vendor.clone());
    World { layer, vendor, heard, flights }
}

/// A vendor whose answers have these fields and say which one they are, from 1.
fn numbered(fields: &'static [(&'static str, &'static str)]) -> World {
    world(move |_, nth| now(Ok(with(reply(200, nth_body(nth)), fields))))
}

fn nth_body(nth: u32) -> &'static str {
    ["one", "two", "three"].get(nth as usize).copied().unwrap_or("more")
}

/// `reply` with these fields.
fn with(mut reply: Reply, fields: &[(&'static str, &'static str)]) -> Reply {
    for (name, value) in fields {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        reply.headers_mut().append(name, value);
    }
    reply
}

impl World {
    async fn send(&self, call: BufferedCall) -> Result {
        self.layer.clone().call(call).await
    }

    async fn get(&self, call: BufferedCall) -> Got {
        let notes = call.notes.clone();
        let reply = self.send(call).await.unwrap();
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let body = text(reply).await.unwrap();
        Got { status, headers, body, cached: notes.all().cached }
    }

    /// The answer to a read of the brands without fields.
    async fn brands(&self) -> Got {
        self.get(brands(&[])).await
    }

    /// The fields of the n-th call that the vendor heard.
    fn heard(&self, nth: usize) -> HeaderMap {
        self.heard.lock().unwrap()[nth].clone()
    }
}

impl Got {
    /// The word in access lines.
    fn word(&self) -> Option<&str> {
        self.cached.map(Cached::as_str)
    }

    /// `Cache-Status`, behind the gateway's name.
    fn says(&self) -> String {
        let status = self.cached.expect("the cache has a part in it").status().to_string();
        status.strip_prefix("tollgate; ").unwrap().to_owned()
    }
}

/// A read of the brands with these fields.
fn brands(fields: &[(&'static str, &'static str)]) -> BufferedCall {
    asks("/brands", fields)
}

fn asks(target: &'static str, fields: &[(&'static str, &'static str)]) -> BufferedCall {
    let mut call = testing::buffered(Method::GET, target);
    for (name, value) in fields {
        call.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    call
}

/// A change of a brand.
fn change() -> BufferedCall {
    testing::buffered(Method::PUT, "/brands/b1")
}

/// `call` on another connection.
fn on(connection: usize, mut call: BufferedCall) -> BufferedCall {
    call.caller.ix = connection.into();
    call.caller.connection = CONNECTIONS[connection].0.parse().unwrap();
    call
}

async fn pass(seconds: u32) {
    tokio::time::advance(seconds * SECOND).await;
}
