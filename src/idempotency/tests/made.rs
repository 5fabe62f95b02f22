//! Keys that the gateway makes, and repetitions that it recognises.

use super::*;

/// A send of `body` by an SDK that says how often it has sent it before.
fn counted(body: &'static str, retries: u32) -> BufferedCall {
    let mut call = send(body);
    call.habits.retries = Some(retries);
    call
}

/// A send of `body` by an SDK that retries and does not count.
fn uncounted(body: &'static str) -> BufferedCall {
    let mut call = send(body);
    call.habits.retries_uncounted = true;
    call
}

#[tokio::test(start_paused = true)]
async fn a_send_without_a_key_gets_one_of_its_own() {
    let world = answering(202);
    for _ in 0..2 {
        let call = send("a");
        let (notes, record) = (call.notes.clone(), call.record.clone());
        assert!(!is_replayed(&world.send(call).await.unwrap()));
        assert_eq!(notes.all().key, Some(KeyUse::Made));
        assert_eq!(record.read(|marks| marks.key_use), Some(KeyUse::Made));
    }
    let heard = world.heard();
    assert!(heard.iter().all(|key| key.as_ref().unwrap().starts_with("tollgate-")));
    assert_ne!(heard[0], heard[1], "nobody said that it is the same send");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_made_only_where_an_sdk_would_make_one_and_the_app_wants_it() {
    let world = answering(200);
    let mut unwanted = send("a");
    unwanted.caller.makes_keys = false;
    let calls = [
        unwanted,
        testing::buffered(Method::POST, "/bulk"),
        testing::buffered(Method::POST, "/broadcasts"),
        testing::buffered(Method::GET, "/brands"),
        testing::buffered(Method::PUT, "/brands/b1"),
    ];
    for call in calls {
        let notes = call.notes.clone();
        world.send(call).await.unwrap();
        assert_eq!(notes.all().key, None);
    }
    assert_eq!(world.heard(), vec![None; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_sent_is_not_said_to_have_a_key() {
    let refuses = Leaf::new(|_, _| now(Err(Error::refused(Code::QuotaExhausted, "no"))));
    let mut layer = layer_on(&Arc::new(SendKeys::new()), &refuses);
    for call in [send("a"), counted("a", 0)] {
        let notes = call.notes.clone();
        assert!(layer.call(call).await.is_err());
        assert_eq!(notes.all().key, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_recognised_by_its_count_and_has_the_same_key() {
    let world = world(|_, nth| now(if nth == 0 { silence() } else { Ok(reply(202, "sent")) }));
    let first = world.send(counted("a", 0)).await;
    assert!(first.is_err());
    let retry = counted("a", 1);
    let notes = retry.notes.clone();
    assert_eq!(text(world.send(retry).await.unwrap()).await.unwrap(), "sent");
    assert_eq!(notes.all().key, Some(KeyUse::Recognised));
    let heard = world.heard();
    assert_eq!(heard[0], heard[1]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_what_was_answered_gets_the_answer_again() {
    let world = answering(202);
    world.send(counted("a", 0)).await.unwrap();
    assert!(is_replayed(&world.send(counted("a", 1)).await.unwrap()));
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_retry_is_a_send_of_its_own() {
    let world = answering(202);
    world.send(counted("a", 0)).await.unwrap();
    let mut elsewhere = counted("a", 1);
    elsewhere.caller.app = "shop".parse().unwrap();
    for other in [counted("a", 0), counted("b", 1), elsewhere] {
        assert!(!is_replayed(&world.send(other).await.unwrap()));
    }
    let mut heard = world.heard();
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 4, "each has a key of its own");
}

#[tokio::test(start_paused = true)]
async fn without_a_count_an_equal_send_is_a_retry_while_its_predecessor_is_in_doubt() {
    let world = world(|_, nth| now(if nth == 0 { silence() } else { Ok(reply(202, "sent")) }));
    let first = uncounted("a");
    let proof = first.proof.clone();
    assert!(world.send(first).await.is_err());
    proof.ends();
    let retry = uncounted("a");
    let (notes, proof) = (retry.notes.clone(), retry.proof.clone());
    world.send(retry).await.unwrap();
    assert_eq!(notes.all().key, Some(KeyUse::Recognised));
    proof.completed(true);
    proof.ends();
    let wanted = uncounted("a");
    let notes = wanted.notes.clone();
    world.send(wanted).await.unwrap();
    assert_eq!(notes.all().key, Some(KeyUse::Made), "what was accepted is over");
    let heard = world.heard();
    assert_eq!(heard[0], heard[1]);
    assert_ne!(heard[1], heard[2]);
}

#[tokio::test(start_paused = true)]
async fn the_connectors_parameter_becomes_the_key_it_means() {
    let world = answering(202);
    let mut call = send("a");
    call.target = "/send?idempotency=k%201&x=1".parse().unwrap();
    let notes = call.notes.clone();
    world.send(call).await.unwrap();
    assert_eq!(world.heard(), [Some("k 1".into())]);
    assert_eq!(notes.all().key, Some(KeyUse::Given));
    let mut both = under("k", "b");
    both.target = "/send?idempotency=other".parse().unwrap();
    world.send(both).await.unwrap();
    assert_eq!(world.heard()[1].as_deref(), Some("k"), "the field goes first");
}
