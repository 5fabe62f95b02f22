//! Which outcomes are tried again, for which calls.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_read_is_asked_for_four_times_in_all() {
    for status in [500, 502, 503, 504] {
        let vendor = answers(status);
        let answer = seeded(&vendor, 1).call(get()).await.unwrap();
        assert_eq!((vendor.asked(), answer.status().as_u16()), (4, status));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_vendors_word_about_the_call_is_not_asked_for_again() {
    for status in [200, 304, 400, 404, 409, 422, 501] {
        let vendor = answers(status);
        let answer = seeded(&vendor, 1).call(get()).await.unwrap();
        assert_eq!((vendor.asked(), answer.status().as_u16()), (1, status));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_be_done_twice_is_not_asked_for_again_after_a_500() {
    for (status, asked) in [(500, 1), (503, 4)] {
        let vendor = answers(status);
        let call = testing::buffered(Method::PUT, "/brands/b1");
        seeded(&vendor, 1).call(call).await.unwrap();
        assert_eq!(vendor.asked(), asked, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_without_a_key_that_may_have_been_done_is_never_sent_again() {
    for status in [500, 502, 503, 504] {
        let vendor = answers(status);
        seeded(&vendor, 1).call(send(None)).await.unwrap();
        assert_eq!(vendor.asked(), 1, "{status}");
    }
    let vendor = Leaf::new(|attempt, _| now(no_answer(&attempt)));
    let error = seeded(&vendor, 1).call(send(None)).await.unwrap_err();
    assert_eq!((vendor.asked(), error.outcome), (1, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn any_call_of_which_nothing_was_sent_is_tried_again() {
    let vendor = Leaf::new(|_, nth| now(if nth < 2 { not_sent() } else { Ok(reply(202, "sent")) }));
    assert_eq!(seeded(&vendor, 1).call(send(None)).await.unwrap().status(), 202);
    assert_eq!(vendor.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_key_is_sent_again_under_the_same_key() {
    let vendor = Leaf::new(|attempt: Attempt, nth| {
        assert_eq!(attempt.headers[KEY], "k");
        now(if nth == 0 { no_answer(&attempt) } else { Ok(reply(202, "sent")) })
    });
    assert_eq!(seeded(&vendor, 1).call(send(Some("k"))).await.unwrap().status(), 202);
    assert_eq!(vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_vendor_does_not_honour_proves_nothing() {
    let vendor = Leaf::new(|attempt, _| now(no_answer(&attempt)));
    let mut call = testing::buffered(Method::POST, "/broadcasts");
    call.headers.insert(KEY, HeaderValue::from_static("k"));
    assert!(seeded(&vendor, 1).call(call).await.is_err());
    assert_eq!(vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_key_is_sent_once_more_to_a_vendor_that_is_away() {
    for (statuses, asked) in [([503, 503], 2), ([503, 202], 2), ([500, 202], 1)] {
        let vendor = in_turn(statuses);
        let answer = seeded(&vendor, 1).call(send(Some("k"))).await.unwrap();
        assert_eq!(vendor.asked(), asked);
        assert_eq!(answer.status().as_u16(), statuses[asked as usize - 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_our_own_earlier_attempt_is_waited_out() {
    let vendor = Leaf::new(|attempt, nth| {
        now(match nth {
            0 => no_answer(&attempt),
            1 => Ok(reply(409, "the first still runs")),
            _ => Ok(reply(202, "sent")),
        })
    });
    assert_eq!(seeded(&vendor, 1).call(send(Some("k"))).await.unwrap().status(), 202);
    assert_eq!(vendor.asked(), 3);
    let others = answers(409);
    assert_eq!(seeded(&others, 1).call(send(Some("k"))).await.unwrap().status(), 409);
    assert_eq!(others.asked(), 1, "with somebody else's it is an answer");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_gateways_own_is_final() {
    for code in [Code::QuotaExhausted, Code::VendorDown, Code::Overloaded, Code::Stopping] {
        let vendor = Leaf::new(move |_, _| now(Err(Error::refused(code, "no"))));
        assert_eq!(seeded(&vendor, 1).call(get()).await.unwrap_err().code, code);
        assert_eq!(vendor.asked(), 1, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_a_successor_is_tried_once_more_without_the_budget() {
    for (changed, asked) in [(true, 2), (false, 1)] {
        let vendor = Leaf::new(move |attempt: Attempt, nth| {
            assert_eq!(attempt.back_since.is_some(), nth > 0);
            attempt.sending();
            let mut refused = reply(401, "");
            refused.facts_mut().rejected = Some(Rejected { changed });
            now(Ok(refused))
        });
        let mut layer = seeded(&vendor, 1);
        let error = layer.call(send(None)).await.unwrap_err();
        assert_eq!(error.code, Code::VendorCredentialRejected);
        assert_eq!(error.outcome, Outcome::NotSent, "the vendor did nothing");
        assert!(error.headers.contains(&(SHOULD_RETRY, HeaderValue::from_static("false"))));
        assert_eq!(vendor.asked(), asked);
        assert_eq!(layer.stage().pauses.left(Instant::now())[0].1, [3, 10]);
    }
}
