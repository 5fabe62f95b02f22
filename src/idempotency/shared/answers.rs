//! A kept answer as octets, with whose it is and what was asked. Pure.

use bytes::{Buf, BufMut, Bytes};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::memory::{Id, KeptAnswer, KeyState, Purpose, id};

/// The first octet. Another form is another number, and is not read.
const FORM: u8 = 1;

/// The octets of `answer`, which was given for `purpose`.
pub(super) fn write(purpose: &Purpose, answer: &KeptAnswer) -> Vec<u8> {
    let mut octets = vec![FORM];
    octets.put_slice(&app(purpose));
    octets.put_slice(&purpose.print);
    octets.put_u16(answer.status.as_u16());
    octets.put_u32(length(answer.headers.len()));
    for (name, value) in &answer.headers {
        put(&mut octets, name.as_str().as_bytes());
        put(&mut octets, value.as_bytes());
    }
    octets.put_slice(&answer.body);
    octets
}

/// What `octets` say of a key that is used for `purpose`; nothing if they can't be read.
pub(super) fn read(octets: Bytes, purpose: &Purpose) -> KeyState {
    parse(octets, purpose).unwrap_or(KeyState::Nothing)
}

fn parse(mut octets: Bytes, purpose: &Purpose) -> Option<KeyState> {
    if octets.try_get_u8().ok()? != FORM {
        return None;
    }
    if take(&mut octets, 32)? != app(purpose)[..] {
        return Some(KeyState::OtherApp);
    }
    if take(&mut octets, 32)? != purpose.print[..] {
        return Some(KeyState::OtherRequest);
    }
    let status = StatusCode::from_u16(octets.try_get_u16().ok()?).ok()?;
    let mut headers = HeaderMap::new();
    for _ in 0..octets.try_get_u32().ok()? {
        let name = HeaderName::from_bytes(&sized(&mut octets)?).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(sized(&mut octets)?).ok()?);
    }
    Some(KeyState::Answered(KeptAnswer { status, headers, body: octets }.into()))
}

fn app(purpose: &Purpose) -> Id {
    id(&[purpose.app.as_str().as_bytes()])
}

fn put(octets: &mut Vec<u8>, part: &[u8]) {
    octets.put_u32(length(part.len()));
    octets.put_slice(part);
}

/// No part is near the bound: heads and kept bodies are bounded far below.
fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

fn sized(octets: &mut Bytes) -> Option<Bytes> {
    let length = octets.try_get_u32().ok()?;
    take(octets, usize::try_from(length).ok()?)
}

fn take(octets: &mut Bytes, length: usize) -> Option<Bytes> {
    (octets.len() >= length).then(|| octets.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn used_by(app: &str, print: u8) -> Purpose {
        Purpose { owner: [0; 16], app: app.parse().unwrap(), print: [print; 32] }
    }

    prop_compose! {
        fn answers()(
            status in 200..300_u16,
            fields in prop::collection::vec(("[a-z][a-z-]{0,9}", "[ -~]{0,20}"), 0..6),
            body in prop::collection::vec(any::<u8>(), 0..99),
        ) -> KeptAnswer {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_str(&value).unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            KeptAnswer { status, headers, body: body.into() }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(answer in answers()) {
            let purpose = used_by("one", 1);
            let octets = write(&purpose, &answer);
            let KeyState::Answered(read) = read(octets.into(), &purpose) else { panic!("read") };
            prop_assert_eq!((read.status, &read.headers), (answer.status, &answer.headers));
            prop_assert_eq!(&read.body, &answer.body);
        }

        #[test]
        fn another_app_or_request_gets_no_answer(answer in answers()) {
            let octets: Bytes = write(&used_by("one", 1), &answer).into();
            let other = read(octets.clone(), &used_by("two", 1));
            prop_assert!(matches!(other, KeyState::OtherApp));
            let other = read(octets, &used_by("one", 2));
            prop_assert!(matches!(other, KeyState::OtherRequest));
        }

        #[test]
        fn octets_that_are_no_answer_are_none(mut octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let purpose = used_by("one", 1);
            let told = read(octets.clone().into(), &purpose);
            prop_assert!(!matches!(told, KeyState::Answered(_)));
            // With the right head the rest still has to be whole, and nothing panics.
            let head = [&[FORM][..], &app(&purpose), &purpose.print, &[0, 200, 0, 0, 255, 0]].concat();
            octets.splice(0..0, head);
            prop_assert!(matches!(read(octets.into(), &purpose), KeyState::Nothing));
        }
    }
}
