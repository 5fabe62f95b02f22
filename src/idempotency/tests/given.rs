//! Keys that clients give.

use std::time::Duration;

use http::StatusCode;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_given_key_is_kept() {
    let world = answering(202);
    let call = under("k", "a");
    let notes = call.notes.clone();
    world.send(call).await.unwrap();
    assert_eq!(world.heard(), [Some("k".into())]);
    assert_eq!(notes.all().key, Some(KeyUse::Given));
}

#[tokio::test(start_paused = true)]
async fn an_empty_key_is_none_and_two_are_refused_unsent() {
    let world = answering(202);
    world.send(under(" ", "a")).await.unwrap();
    assert!(world.heard()[0].as_ref().unwrap().starts_with("tollgate-"));
    let mut twice = under("k", "a");
    twice.headers.append(KEY, HeaderValue::from_static("l"));
    let error = world.send(twice).await.unwrap_err();
    assert_eq!(error.code, Code::MalformedRequest);
    assert_eq!(error.detail, "a request has one Idempotency-Key");
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn twins_are_one_send_and_both_get_its_answer() {
    let world = world(|_, _| {
        Box::pin(async {
            sleep(Duration::from_secs(1)).await;
            Ok(reply(202, "sent"))
        })
    });
    let (one, other) = (under("k", "a"), under("k", "a"));
    let (one, other) = tokio::join!(world.send(one), world.send(other));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((is_replayed(&one), is_replayed(&other)), (false, true));
    assert_eq!(text(one).await.unwrap(), "sent");
    assert_eq!(text(other).await.unwrap(), "sent");
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_it_follows_its_twin_a_call_shares_its_fate() {
    let world = world(|_, _| Box::pin(std::future::pending()));
    let (one, other) = (under("k", "a"), under("k", "a"));
    let proof = other.proof.clone();
    let (one, other) = (world.send(one), world.send(other));
    tokio::select! {
        biased;
        _ = one => panic!("nobody answers"),
        _ = other => panic!("nobody answers"),
        () = sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(world.vendor.asked(), 1);
    assert_eq!((proof.was_sent(), proof.outcome()), (false, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_is_given_again_for_a_day() {
    let world = world(|_, _| {
        let mut answer = reply(202, "sent");
        answer.headers_mut().insert("x-request", HeaderValue::from_static("1"));
        now(Ok(answer))
    });
    assert!(!is_replayed(&world.send(under("k", "a")).await.unwrap()));
    let call = under("k", "a");
    let record = call.record.clone();
    let again = world.send(call).await.unwrap();
    assert!(is_replayed(&again) && record.read(|marks| marks.replayed));
    assert_eq!(
        (again.status(), &again.headers()["x-request"]),
        (StatusCode::ACCEPTED, &"1".parse().unwrap())
    );
    assert_eq!(text(again).await.unwrap(), "sent");
    tokio::time::advance(Duration::from_secs(24 * 3600 + 1)).await;
    assert!(!is_replayed(&world.send(under("k", "a")).await.unwrap()));
    assert_eq!(world.vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_request() {
    let world = answering(202);
    world.send(under("k", "a")).await.unwrap();
    let error = world.send(under("k", "b")).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::KeyReused, Outcome::NotSent));
    assert!(error.detail.starts_with("this Idempotency-Key stands for another"));
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_one_apps_on_a_connection() {
    let world = answering(202);
    world.send(under("k", "a")).await.unwrap();
    let mut other = under("k", "a");
    other.caller.app = "shop".parse().unwrap();
    let error = world.send(other).await.unwrap_err();
    assert_eq!(error.code, Code::KeyInUse);
    assert_eq!(error.detail, "another app uses this Idempotency-Key on the same connection");
    let mut elsewhere = under("k", "b");
    elsewhere.caller.connection = "acme-test".parse().unwrap();
    assert!(world.send(elsewhere).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_request_frees_its_key_and_a_conflict_does_not() {
    for (status, frees) in [(400, true), (422, true), (429, true), (409, false)] {
        let world = answering(status);
        world.send(under("k", "a")).await.unwrap();
        let mended = world.send(under("k", "b")).await;
        assert_eq!(mended.is_ok(), frees, "{status}");
        assert_eq!(world.keys.octets() > 0, !frees, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_outcome_is_unknown_stays_taken() {
    for status in [None, Some(500), Some(503)] {
        let world = world(move |_, nth| {
            now(match status.filter(|_| nth == 0) {
                Some(status) => Ok(reply(status, "")),
                None if nth == 0 => silence(),
                None => Ok(reply(202, "sent")),
            })
        });
        let _ = world.send(under("k", "a")).await;
        assert_eq!(world.send(under("k", "b")).await.unwrap_err().code, Code::KeyReused);
        // The same goes to the vendor again, under the same key.
        assert_eq!(world.send(under("k", "a")).await.unwrap().status(), StatusCode::ACCEPTED);
        assert!(is_replayed(&world.send(under("k", "a")).await.unwrap()));
        assert_eq!(world.vendor.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_under_a_key_in_doubt_is_in_doubt_before_it_is_sent() {
    let world = world(|_, _| now(silence()));
    let _ = world.send(under("k", "a")).await;
    let refuses = Leaf::new(|call: BufferedCall, _| {
        assert!(!call.proof.was_sent());
        now(Err(Error::refused(Code::QuotaExhausted, "no").with_outcome(call.proof.outcome())))
    });
    let again = layer_on(&world.keys, &refuses).call(under("k", "a")).await;
    assert_eq!(again.unwrap_err().outcome, Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn of_a_call_that_was_not_sent_nothing_is_remembered() {
    let world = answering(202);
    let refuses = Leaf::new(|_, _| now(Err(Error::refused(Code::QuotaExhausted, "no"))));
    for call in [under("k", "a"), {
        let mut call = send("a");
        call.habits.retries = Some(0);
        call
    }] {
        assert!(layer_on(&world.keys, &refuses).call(call).await.is_err());
        assert_eq!(world.keys.octets(), 0);
    }
    assert!(world.send(under("k", "b")).await.is_ok(), "the key is free");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_its_call_is_sent_frees_its_key() {
    let world = answering(202);
    let waits = Leaf::new(|call: BufferedCall, _| {
        Box::pin(async move {
            let _call = call;
            std::future::pending().await
        })
    });
    let waiting = layer_on(&world.keys, &waits).call(under("k", "a"));
    let left = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(left.is_err() && waits.asked() == 1);
    assert!(world.send(under("k", "b")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_to_be_kept_is_asked_for_again() {
    let world = world(|_, _| now(Ok(Reply::new(crate::call::full(vec![b'x'; 70_000])))));
    for asked in [1, 2] {
        let answer = world.send(under("k", "a")).await.unwrap();
        assert!(!is_replayed(&answer));
        assert_eq!(text(answer).await.unwrap().len(), 70_000);
        assert_eq!(world.vendor.asked(), asked);
    }
}
