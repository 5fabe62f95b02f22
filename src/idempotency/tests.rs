//! The layer and the last stage before the vendor, on a clock that stands still.

mod commits;
mod given;
mod made;

use std::sync::Mutex;

use bytes::Bytes;
use tower::{Layer, Service};

use super::*;
use crate::call::testing::{self, Leaf, now, reply, text};
use crate::call::{AdmittedCall, Attempt, Buffered, Room, Uploads};
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};

/// The layer above a vendor that notes the keys it gets, with the last stage in between.
struct World {
    layer: Staged<Idempotency, Leaf<BufferedCall>>,
    vendor: Leaf<AdmittedCall>,
    heard: Arc<Mutex<Vec<Option<String>>>>,
    keys: Arc<SendKeys>,
}

/// A world whose vendor gives `answer` to its n-th call, which was sent.
fn world(answer: impl Fn(AdmittedCall, u32) -> BoxFuture + Send + Sync + 'static) -> World {
    let (heard, keys): (Arc<Mutex<Vec<_>>>, _) = (Arc::default(), Arc::new(SendKeys::new()));
    let hears = heard.clone();
    let vendor = Leaf::new(move |call: AdmittedCall, nth| {
        let key = call.headers.get(KEY).map(|key| key.to_str().unwrap().to_owned());
        hears.lock().unwrap().push(key);
        call.sending();
        answer(call, nth)
    });
    let commit = Commit::layer().layer(vendor.clone());
    let admits = Leaf::new(move |call: BufferedCall, _| {
        let admitted = Attempt::first(Arc::new(call)).admitted(Instant::now());
        Box::pin(commit.clone().call(admitted))
    });
    let layer = layer_on(&keys, &admits);
    World { layer, vendor, heard, keys }
}

fn layer_on(
    keys: &Arc<SendKeys>,
    below: &Leaf<BufferedCall>,
) -> Staged<Idempotency, Leaf<BufferedCall>> {
    let connections = ["acme-prod".parse().unwrap()];
    Idempotency::layer(keys.clone(), connections.iter()).layer(below.clone())
}

/// A world whose vendor always answers with `status`.
fn answering(status: u16) -> World {
    world(move |_, _| now(Ok(reply(status, "it"))))
}

/// The result of a call that the vendor takes and never answers.
fn silence() -> Result {
    Err(Error::refused(Code::VendorTimeout, "silent").with_outcome(Outcome::Unknown))
}

impl World {
    async fn send(&self, call: BufferedCall) -> Result {
        self.layer.clone().call(call).await
    }

    fn heard(&self) -> Vec<Option<String>> {
        self.heard.lock().unwrap().clone()
    }
}

/// A send of `body` without a key.
fn send(body: &'static str) -> BufferedCall {
    let uploads = Uploads::new(Room { total: 100, body: 100, connections: 1 });
    let held = uploads.of(&"acme-prod".parse().unwrap()).begin();
    let mut call = testing::buffered(Method::POST, "/send");
    call.body = Buffered::new(Bytes::from(body), held);
    call
}

/// A send of `body` under `key`.
fn under(key: &'static str, body: &'static str) -> BufferedCall {
    let mut call = send(body);
    call.headers.insert(KEY, HeaderValue::from_static(key));
    call
}

fn is_replayed(reply: &Reply) -> bool {
    reply.headers().get(REPLAYED).is_some_and(|value| value == "true")
}
