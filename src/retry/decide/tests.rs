//! The table, row by row, and what holds for every course.

use super::*;
use proptest::prelude::*;

const KINDS: [Repeatable; 4] =
    [Repeatable::Read, Repeatable::Idempotent, Repeatable::Keyed, Repeatable::Other];

fn status(code: u16) -> Known {
    Known::Answered(StatusCode::from_u16(code).unwrap(), None)
}

/// Which kinds are tried again after a first attempt that taught `known`.
fn first(known: Known) -> [bool; 4] {
    KINDS.map(|kind| decide(kind, known, Course::default()) != Decision::Done)
}

#[test]
fn the_table() {
    // GET HEAD, PUT DELETE, POST with a key, other POST and PATCH.
    let rows = [
        (Known::NotSent, [true, true, true, true]),
        (status(429), [true, true, true, true]),
        (Known::Throttled, [true, true, true, true]),
        (Known::NoAnswer, [true, true, true, false]),
        (status(502), [true, true, true, false]),
        (status(503), [true, true, true, false]),
        (status(504), [true, true, true, false]),
        (status(500), [true, false, false, false]),
        (status(409), [false; 4]),
        (Known::Refused, [false; 4]),
        (Known::Rejected { changed: true }, [true; 4]),
        (Known::Rejected { changed: false }, [false; 4]),
    ];
    for (known, again) in rows {
        assert_eq!(first(known), again, "{known:?}");
    }
    for code in (200..600).filter(|code| ![429, 500, 502, 503, 504].contains(code)) {
        assert_eq!(first(status(code)), [false; 4], "{code}");
    }
}

#[test]
fn methods_have_their_kind_and_a_key_counts_on_post_only() {
    for (method, plain, keyed) in [
        (Method::GET, Repeatable::Read, Repeatable::Read),
        (Method::HEAD, Repeatable::Read, Repeatable::Read),
        (Method::PUT, Repeatable::Idempotent, Repeatable::Idempotent),
        (Method::DELETE, Repeatable::Idempotent, Repeatable::Idempotent),
        (Method::POST, Repeatable::Other, Repeatable::Keyed),
        (Method::PATCH, Repeatable::Other, Repeatable::Other),
    ] {
        assert_eq!(
            (Repeatable::of(&method, false), Repeatable::of(&method, true)),
            (plain, keyed),
            "{method}"
        );
    }
}

#[test]
fn a_keyed_post_is_tried_again_once_after_502_503_504() {
    let second = Course::default().then(status(503));
    assert!(second.open && second.unavailable);
    assert_eq!(decide(Repeatable::Keyed, status(502), second), Decision::Done);
    assert_ne!(decide(Repeatable::Keyed, Known::NoAnswer, second), Decision::Done);
    assert_ne!(decide(Repeatable::Idempotent, status(502), second), Decision::Done);
}

#[test]
fn a_409_means_that_the_first_still_runs_only_if_there_was_one() {
    let open = Course::default().then(Known::NoAnswer);
    assert_ne!(decide(Repeatable::Keyed, status(409), open), Decision::Done);
    assert_eq!(decide(Repeatable::Idempotent, status(409), open), Decision::Done);
    let harmless = Course::default().then(Known::NotSent);
    assert_eq!(decide(Repeatable::Keyed, status(409), harmless), Decision::Done);
}

#[test]
fn a_429_is_waited_for_as_long_as_it_asks_but_not_for_ever() {
    let asked = |seconds| {
        let time = Some(Duration::from_secs(seconds));
        let known = Known::Answered(StatusCode::TOO_MANY_REQUESTS, time);
        decide(Repeatable::Other, known, Course::default())
    };
    assert_eq!(asked(7), Decision::Again(Duration::from_secs(7)));
    assert_eq!(asked(11), Decision::Done);
}

#[test]
fn a_call_goes_back_to_its_line_for_every_429_and_once_for_another_token() {
    let mut course = Course::default();
    for returns in 0..RETURNS {
        assert_eq!(course.returns, returns);
        assert_eq!(decide(Repeatable::Other, Known::Throttled, course), Decision::Back);
        course = course.then(Known::Throttled);
    }
    assert_eq!(decide(Repeatable::Other, Known::Throttled, course), Decision::Done);
    assert_eq!(course.attempts, 0, "they are no attempts of its own");
    let changed = Known::Rejected { changed: true };
    assert_eq!(decide(Repeatable::Other, changed, Course::default()), Decision::Back);
    assert_eq!(decide(Repeatable::Other, changed, Course::default().then(changed)), Decision::Done);
}

#[test]
fn what_a_later_refusal_says_does_not_hide_what_an_earlier_attempt_may_have_done() {
    let open = Course::default().then(Known::NoAnswer);
    let rejected = Known::Rejected { changed: false };
    for known in [status(409), status(429), Known::Refused, Known::Throttled, rejected] {
        assert!(is_inconclusive(known, open), "{known:?}");
        assert!(!is_inconclusive(known, Course::default()), "{known:?}");
    }
    let harmless = Course::default().then(Known::NotSent);
    assert!(is_inconclusive(Known::Refused, harmless) && !is_inconclusive(status(409), harmless));
    for known in [status(202), status(400), status(500)] {
        assert!(!is_inconclusive(known, open), "{known:?}");
    }
}

fn any_known() -> impl Strategy<Value = Known> {
    prop_oneof![
        Just(Known::NotSent),
        Just(Known::NoAnswer),
        Just(Known::Refused),
        Just(Known::Throttled),
        any::<bool>().prop_map(|changed| Known::Rejected { changed }),
        prop_oneof![200_u16..600, Just(409), Just(429), Just(500), Just(503)].prop_map(status),
    ]
}

proptest! {
    #[test]
    fn no_course_repeats_what_may_have_been_done_unless_that_is_harmless(
        lessons in proptest::collection::vec(any_known(), 1..40), kind in 0_usize..4,
    ) {
        let (kind, mut course) = (KINDS[kind], Course::default());
        for known in lessons {
            if decide(kind, known, course) == Decision::Done {
                break;
            }
            course = course.then(known);
            prop_assert!(course.returns <= RETURNS);
            prop_assert!(course.attempts < 8 && (kind == Repeatable::Keyed || course.attempts < 4));
            prop_assert!(!course.open || kind != Repeatable::Other);
        }
    }
}
