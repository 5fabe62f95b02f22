//! The layer on a clock that stands still.

use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use tower::{Layer, Service};

use super::*;
use crate::call::{self, testing};

/// The service below. It answers as it is set, and counts.
#[derive(Clone, Default)]
struct Vendor(Arc<State>);

#[derive(Default)]
struct State {
    asked: AtomicU32,
    fails: Mutex<Option<Evidence>>,
}

impl Vendor {
    fn fails(&self, how: impl Into<Option<Evidence>>) {
        *self.0.fails.lock().unwrap() = how.into();
    }

    fn asked(&self) -> u32 {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl Service<Attempt> for Vendor {
    type Response = Reply;
    type Error = Error;
    type Future = Ready<Result>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Attempt) -> Self::Future {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let fails = *self.0.fails.lock().unwrap();
        ready(match fails {
            None => Ok(Reply::new(call::empty())),
            Some(evidence) => {
                Err(Error::refused(Code::VendorUnreachable, "not there").with_evidence(evidence))
            }
        })
    }
}

type Layered = Staged<Guard, Vendor>;

/// Two connections to one host, the first of which is called.
fn guarded(vendor: &Vendor) -> (Layered, Arc<Breaker>) {
    let breaker = Arc::new(Breaker::default());
    let names = ["acme-prod", "acme-test"].map(|name| name.parse().unwrap());
    let hosts = names.iter().map(|name| breaker.guards(name)).collect();
    (Guard::layer(hosts).layer(vendor.clone()), breaker)
}

async fn ask(layer: &mut Layered, connection: usize) -> Result {
    let mut call = testing::buffered(Method::GET, "/brands");
    call.caller.ix = connection.into();
    layer.call(Attempt::first(Arc::new(call))).await
}

async fn fail(layer: &mut Layered, times: u32) {
    for _ in 0..times {
        assert!(ask(layer, 0).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn after_five_failures_to_connect_no_connection_of_the_host_is_asked() {
    let vendor = Vendor::default();
    let (mut layer, breaker) = guarded(&vendor);
    vendor.fails(Evidence::Unreachable);
    fail(&mut layer, 5).await;
    assert!(breaker.is_open());
    for connection in [0, 1] {
        let refused = ask(&mut layer, connection).await.unwrap_err();
        assert_eq!(refused.code, Code::VendorDown);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(2)));
    }
    assert_eq!(vendor.asked(), 5);
}

#[tokio::test(start_paused = true)]
async fn silence_closes_the_way_of_its_own_connection_only() {
    let vendor = Vendor::default();
    let (mut layer, _) = guarded(&vendor);
    vendor.fails(Evidence::Silent);
    fail(&mut layer, 5).await;
    assert_eq!(ask(&mut layer, 0).await.unwrap_err().code, Code::VendorDown);
    vendor.fails(None);
    assert!(ask(&mut layer, 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_probe_finds_the_host_back_and_opens_the_way_for_all() {
    let vendor = Vendor::default();
    let (mut layer, breaker) = guarded(&vendor);
    vendor.fails(Evidence::Unreachable);
    fail(&mut layer, 5).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    vendor.fails(None);
    assert!(ask(&mut layer, 0).await.is_ok());
    assert!(!breaker.is_open());
    assert!(ask(&mut layer, 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_the_way_closed() {
    let vendor = Vendor::default();
    let (mut layer, _) = guarded(&vendor);
    vendor.fails(Evidence::Unreachable);
    fail(&mut layer, 5).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(ask(&mut layer, 0).await.unwrap_err().code, Code::VendorUnreachable);
    assert_eq!(ask(&mut layer, 0).await.unwrap_err().code, Code::VendorDown);
    assert_eq!(vendor.asked(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_the_host_opens_nothing() {
    for evidence in [Evidence::Nothing, Evidence::Alive] {
        let vendor = Vendor::default();
        let (mut layer, breaker) = guarded(&vendor);
        vendor.fails(evidence);
        fail(&mut layer, 20).await;
        assert!(!breaker.is_open(), "{evidence:?}");
        assert_eq!(vendor.asked(), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn four_failures_and_an_answer_begin_anew() {
    let vendor = Vendor::default();
    let (mut layer, breaker) = guarded(&vendor);
    for _ in 0..3 {
        vendor.fails(Evidence::Unreachable);
        fail(&mut layer, 4).await;
        vendor.fails(None);
        assert!(ask(&mut layer, 0).await.is_ok());
    }
    assert!(!breaker.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_reload_finds_what_is_known_of_its_connections() {
    let vendor = Vendor::default();
    let (mut layer, breaker) = guarded(&vendor);
    vendor.fails(Evidence::Silent);
    fail(&mut layer, 5).await;
    let same = ["acme-test", "acme-prod"].map(|name| breaker.guards(&name.parse().unwrap()));
    let mut after = Guard::layer(same.into_iter().collect()).layer(vendor.clone());
    vendor.fails(None);
    assert!(ask(&mut after, 0).await.is_ok(), "it has another number now");
    assert_eq!(ask(&mut after, 1).await.unwrap_err().code, Code::VendorDown);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_makes_room_for_the_next_one() {
    let vendor = Vendor::default();
    let (mut layer, _) = guarded(&vendor);
    vendor.fails(Evidence::Unreachable);
    fail(&mut layer, 5).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let call = testing::buffered(Method::GET, "/brands");
    drop(layer.call(Attempt::first(Arc::new(call))));
    vendor.fails(None);
    assert!(ask(&mut layer, 0).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_host_stands_as_for_the_connection_for_which_it_is_worst() {
    let vendor = Vendor::default();
    let (mut layer, breaker) = guarded(&vendor);
    assert_eq!(breaker.of_host(), "closed");
    vendor.fails(Evidence::Silent);
    fail(&mut layer, 5).await;
    let other = "acme-test".parse().unwrap();
    assert_eq!((breaker.of_host(), breaker.standing(&other)), ("open", "closed"));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(breaker.of_host(), "probing");
    vendor.fails(None);
    ask(&mut layer, 0).await.unwrap();
    assert_eq!(breaker.of_host(), "closed");
}
