//! Which answer a call ends with, and what is said of its outcome.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_vendors_word_that_trying_again_is_of_no_use_ends_a_call() {
    for (word, asked) in [("false", 1), ("true", 4)] {
        let vendor = Leaf::new(move |_, _| {
            let mut away = reply(503, "");
            away.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static(word));
            now(Ok(away))
        });
        seeded(&vendor, 1).call(get()).await.unwrap();
        assert_eq!(vendor.asked(), asked, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_stays_when_a_later_attempt_is_refused_here() {
    let vendor = Leaf::new(|_, nth| {
        now(match nth {
            0 => Ok(reply(503, "for maintenance")),
            _ => Err(Error::refused(Code::VendorDown, "it is down")),
        })
    });
    let answer = seeded(&vendor, 1).call(get()).await.unwrap();
    assert_eq!((vendor.asked(), answer.status().as_u16()), (2, 503));
    assert_eq!(text(answer).await.unwrap(), "for maintenance");
}

#[tokio::test(start_paused = true)]
async fn a_silence_stays_when_a_later_attempt_says_nothing_of_it() {
    let vendor = Leaf::new(|attempt, nth| {
        now(match nth {
            0 => no_answer(&attempt),
            _ => Ok(reply(409, "the first still runs")),
        })
    });
    let error = seeded(&vendor, 1).call(send(Some("k"))).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::VendorTimeout, Outcome::Unknown));
    assert_eq!(vendor.asked(), 8, "a call with a key has as many attempts");
}

#[tokio::test(start_paused = true)]
async fn an_error_speaks_of_all_attempts_and_not_of_its_own_only() {
    let vendor =
        Leaf::new(|attempt, nth| now(if nth == 0 { no_answer(&attempt) } else { not_sent() }));
    let error = seeded(&vendor, 1).call(send(Some("k"))).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::VendorUnreachable, Outcome::Unknown));
    let never = Leaf::new(|_, _| now(not_sent()));
    let error = seeded(&never, 1).call(send(Some("k"))).await.unwrap_err();
    assert_eq!((never.asked(), error.outcome), (8, Outcome::NotSent));
}

#[tokio::test(start_paused = true)]
async fn a_429_takes_back_that_its_attempt_was_sent() {
    let vendor = Leaf::new(|attempt: Attempt, nth| {
        now(match nth {
            0 => {
                attempt.sending();
                Ok(throttled(true, 1))
            }
            _ => not_sent(),
        })
    });
    let error = seeded(&vendor, 1).call(send(None)).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::VendorUnreachable, Outcome::NotSent));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_send_with_a_key_that_is_cut_is_asked_for_again() {
    let cut = |attempt: Attempt, nth| {
        attempt.sending();
        let mut answer = reply(202, "");
        *answer.status_mut() = http::StatusCode::ACCEPTED;
        let (head, _) = answer.into_parts();
        let end = if nth == 0 { None } else { Some("sent") };
        now(Ok(Reply::from_parts(head, testing::pieces([Some("it is "), end]))))
    };
    let vendor = Leaf::new(cut);
    let answer = seeded(&vendor, 1).call(send(Some("k"))).await.unwrap();
    assert_eq!((vendor.asked(), text(answer).await.unwrap().as_str()), (2, "it is sent"));
    let plain = Leaf::new(cut);
    let answer = seeded(&plain, 1).call(send(None)).await.unwrap();
    assert_eq!(plain.asked(), 1, "without a key it streams");
    assert!(text(answer).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_call_collects_and_that_is_cut_is_asked_for_again() {
    for (limit, asked) in [(100, 2), (5, 1)] {
        let vendor = Leaf::new(|_, nth| {
            let end = if nth == 0 { None } else { Some("list") };
            now(Ok(Reply::new(testing::pieces([Some("all of the "), end]))))
        });
        let mut call = get();
        call.collects = Some(Collects::new(limit, |reply| reply.status().is_success()));
        let answer = seeded(&vendor, 1).call(call).await.unwrap();
        assert_eq!(vendor.asked(), asked, "{limit}");
        assert_eq!(text(answer).await.is_ok(), asked == 2, "a longer one streams");
    }
}
