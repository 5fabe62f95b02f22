//! A gateway whose shared store is away from the start: nothing is called without a quota that is
//! sure, and operators hear of it. `tests/redis` has real stores.

use std::net::TcpListener;

use crate::page::Page;
use crate::rig::Rig;
use crate::support::{Setup, Stack, request};
use crate::zero::WITH_A_STORE;

/// A configuration with a store at a port where nobody is.
fn alone() -> Setup {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Setup::new(&format!("[shared]\nredis = \"redis://127.0.0.1:{port}\"\n"))
}

#[tokio::test]
async fn without_its_store_from_the_start_a_gateway_is_not_ready_and_calls_nothing() {
    let setup = alone();
    let stack = Stack::new(&setup);
    let store = stack.state.store().unwrap();
    store.becomes(|status| status.cause.is_some()).await;
    let unready = stack.state.unready().unwrap();
    assert!(unready.starts_with("waiting for the shared store"), "{unready}");
    let said = stack.state.readiness();
    assert!(said.contains("the shared store is away for 0 s: connection refused\n"), "{said}");
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "ledger-away"));
    assert_eq!(answer.headers["retry-after"], "10");
    assert!(stack.arrived().is_empty());
    let said = stack.state.readiness();
    assert!(said.contains("1 shared quotas can't be used"), "{said}");
    let page = Page::of(&stack.state).await;
    assert_eq!(page.sum("tollgate_shared_store_up", &[("kind", "single")]), 0.0);
    let commands = page.find("tollgate_shared_store_commands_total", &[]);
    assert_eq!(commands.len(), 6);
    let sent = commands.iter().filter(|sample| sample.labels["outcome"] != "away");
    assert_eq!(sent.map(|sample| sample.value).sum::<f64>(), 0.0);
    assert_eq!(page.sum("tollgate_shared_quotas", &[("state", "away")]), 1.0);
    for name in WITH_A_STORE {
        assert!(!page.find(name, &[]).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_gateway_without_one_has_neither_store_nor_metrics_of_it() {
    let stack = Stack::new(&Setup::new(""));
    assert!(stack.state.store().is_none());
    assert_eq!(stack.state.readiness(), "ok\n");
    assert!(!stack.state.metrics().page().contains("tollgate_shared_"));
}

#[tokio::test]
async fn another_store_needs_a_restart() {
    let mut rig = Rig::start("").await;
    let with = format!("[shared]\nredis = \"redis://127.0.0.1:6379\"\n{}", rig.setup.text);
    let config = tollgate::config::Config::parse(&with).unwrap();
    let refused = rig.gateway.reload(&config).unwrap_err();
    assert!(refused.contains("[shared] can't change in a running gateway"), "{refused}");
}
