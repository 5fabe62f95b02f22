//! A gateway whose shared store is away goes on; operators hear of it. `tests/redis` has real stores.

use std::net::TcpListener;

use crate::page::Page;
use crate::rig::Rig;
use crate::support::{Setup, Stack, request};

/// A configuration with a store at a port where nobody is.
fn alone() -> Setup {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Setup::new(&format!("[shared]\nredis = \"redis://127.0.0.1:{port}\"\n"))
}

#[tokio::test]
async fn a_store_that_is_away_costs_no_call_and_is_told() {
    let setup = alone();
    let stack = Stack::new(&setup);
    let store = stack.state.store().unwrap();
    store.becomes(|status| status.cause.is_some()).await;
    let said = stack.state.readiness();
    assert!(stack.state.unready().is_none() && said.starts_with("ok\n"), "{said}");
    assert!(said.contains("the shared store is away for 0 s: connection refused\n"), "{said}");
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answer.status.as_u16(), 200);
    let page = Page::of(&stack.state).await;
    assert_eq!(page.sum("tollgate_shared_store_up", &[("kind", "single")]), 0.0);
    let commands = page.find("tollgate_shared_store_commands_total", &[]);
    assert!(commands.len() == 6 && commands.iter().all(|sample| sample.value == 0.0));
    let key = store.key("0", "a");
    assert!(store.get(&key).await.is_err(), "at once: nothing was sent");
    let page = Page::of(&stack.state).await;
    let away = page.sum("tollgate_shared_store_commands_total", &[("outcome", "away")]);
    assert_eq!(away, 1.0);
}

#[tokio::test]
async fn a_gateway_without_one_has_neither_store_nor_metrics_of_it() {
    let stack = Stack::new(&Setup::new(""));
    assert!(stack.state.store().is_none());
    assert_eq!(stack.state.readiness(), "ok\n");
    assert!(!stack.state.metrics().page().contains("shared_store"));
}

#[tokio::test]
async fn another_store_needs_a_restart() {
    let mut rig = Rig::start("").await;
    let with = format!("[shared]\nredis = \"redis://127.0.0.1:6379\"\n{}", rig.setup.text);
    let config = tollgate::config::Config::parse(&with).unwrap();
    let refused = rig.gateway.reload(&config).unwrap_err();
    assert!(refused.contains("[shared] can't change in a running gateway"), "{refused}");
}
