//! Keys that are found, and those that are refused.

use super::*;
use crate::identity::{Revocation, Scopes};
use crate::record::Denied;
use std::time::Duration;

fn id(text: &str) -> KeyId {
    KeyId::try_from(text.to_owned()).unwrap()
}

fn keys(expires: Option<SystemTime>) -> (Keys, String) {
    let app = Arc::new(App {
        id: "billing".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        scopes: Scopes::default(),
        connections: Vec::new(),
        makes_keys: true,
        asks_cache: true,
        trust: crate::record::Trust::default(),
    });
    let new = NewKey::generate(&id("k1"));
    let mut keys = Keys::default();
    assert!(keys.add(Key { id: id("k1"), sha256: new.sha256, expires }, app));
    (keys, new.text)
}

#[test]
fn a_key_is_found_and_nothing_like_it() {
    let (keys, text) = keys(None);
    let now = SystemTime::UNIX_EPOCH;
    assert!(keys.find(text.as_bytes(), now, &Revoked::default()).is_ok());
    let last = if text.ends_with('A') { 'B' } else { 'A' };
    let other = format!("{}{last}", &text[..text.len() - 1]);
    let renamed = text.replace("tg_k1_", "tg_k2_");
    for wrong in [&other, &renamed, &text[..text.len() - 1], "tg_k1_", "", "Bearer"] {
        assert!(keys.find(wrong.as_bytes(), now, &Revoked::default()).is_err(), "{}", wrong.len());
    }
}

#[test]
fn an_expired_key_is_none() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
    let (keys, text) = keys(Some(end));
    assert!(keys.find(text.as_bytes(), end - Duration::from_secs(1), &Revoked::default()).is_ok());
    assert!(keys.find(text.as_bytes(), end, &Revoked::default()).is_err());
}

#[test]
fn a_refusal_says_why_and_names_no_part_of_a_secret() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
    let (keys, text) = keys(Some(end));
    let secret = text.strip_prefix("tg_k1_").unwrap();
    let others = format!("tg_k1_{}", "A".repeat(SECRET_LEN));
    for (presented, why, id) in [
        ("", Denied::None, None),
        ("Basic dXNlcjpwYXNz", Denied::Foreign, None),
        ("pk_prod_ABC", Denied::Foreign, None),
        (secret, Denied::Foreign, None),
        (&text.replace("tg_k1_", "tg_k2_"), Denied::Unknown, Some("k2")),
        // Not a whole key, so the text in the place of the id may be anything.
        (&text.replace("tg_k1_", "tg_K2_"), Denied::Unknown, None),
        ("tg_k2_short", Denied::Unknown, None),
        (&format!("tg_{}", secret.to_lowercase()), Denied::Unknown, None),
        (&text[..text.len() - 1], Denied::Wrong, Some("k1")),
        ("tg_k1", Denied::Wrong, Some("k1")),
        (&others, Denied::Wrong, Some("k1")),
        (&text, Denied::Expired, Some("k1")),
    ] {
        let refusal = keys.find(presented.as_bytes(), end, &Revoked::default()).unwrap_err();
        let named = refusal.key.as_ref().map(KeyId::as_str);
        assert_eq!((refusal.why, named), (why, id), "{}", presented.len());
    }
}

#[test]
fn only_who_has_the_secret_hears_when_the_key_expired() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    let (keys, text) = keys(Some(end));
    let told = |presented: &str| {
        keys.find(presented.as_bytes(), end, &Revoked::default())
            .unwrap_err()
            .detail("a gateway key")
            .into_owned()
    };
    let send = told("tg_k2_x");
    assert!(send.starts_with("send a gateway key as "), "{send}");
    let told_of_ids = ["", "Basic dXNlcjpwYXNz", "tg_k1_x", &text[..text.len() - 1]].map(told);
    assert!(told_of_ids.iter().all(|detail| *detail == send), "{told_of_ids:?}");
    assert!(told(&text).starts_with("the key expired on 2026-01-02;"), "{}", told(&text));
    for token in ["pk_prod_A", "dk_test_A", "token_A"] {
        assert_eq!(told(token), format!("that is a Courier token; {send}"));
    }
}

#[test]
fn a_digest_is_read_as_it_is_written() {
    let digest = NewKey::generate(&id("k1")).sha256;
    assert!(Digest::try_from(digest.to_string()).unwrap() == digest);
    for bad in ["", "zz", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
        assert!(Digest::try_from((*bad).to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_may_hold_the_separator() {
    assert_eq!(public_id(format!("tg_k1_{}", "_".repeat(43)).as_bytes()), Some("k1"));
}

#[test]
fn a_revoked_key_is_refused_until_its_id_has_another_secret() {
    let (one, text) = keys(None);
    let sha256 = one.get(&id("k1")).unwrap().key.sha256.clone();
    let revocation = Revocation {
        key: id("k1"),
        print: sha256.print(),
        at_ms: 0,
        by: "ops1".into(),
        because: "leaked".into(),
    };
    let revoked = Revoked::default().with([revocation]).unwrap();
    let now = SystemTime::UNIX_EPOCH;
    let refusal = one.find(text.as_bytes(), now, &revoked).unwrap_err();
    assert_eq!((refusal.why, refusal.key.clone()), (Denied::Revoked, Some(id("k1"))));
    assert!(refusal.detail("a gateway key").starts_with("the key 'k1' was revoked"));
    let wrong = format!("tg_k1_{}", "A".repeat(SECRET_LEN));
    let refusal = one.find(wrong.as_bytes(), now, &revoked).unwrap_err();
    assert_eq!(refusal.why, Denied::Wrong, "only who has the secret hears it");
    let (another, text) = keys(None);
    assert!(another.find(text.as_bytes(), now, &revoked).is_ok());
}

#[test]
fn the_last_use_of_a_key_is_known_over_a_reload() {
    let (one, text) = keys(None);
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let used = |keys: &Keys| keys.get(&id("k1")).unwrap().last_used;
    assert_eq!(used(&one), None);
    let wrong = format!("tg_k1_{}", "A".repeat(SECRET_LEN));
    let nothing = Revoked::default();
    assert!(one.find(wrong.as_bytes(), at(7), &nothing).is_err());
    assert_eq!(used(&one), None, "a refused try is no use");
    let half = at(9) + Duration::from_millis(500);
    assert!(one.find(text.as_bytes(), half, &nothing).is_ok());
    assert_eq!(used(&one), Some(at(9)));
    let key = one.get(&id("k1")).unwrap();
    let mut same = Keys::default();
    same.add(key.key.clone(), key.holder.clone());
    same.go_on_from(&one);
    assert_eq!(used(&same), Some(at(9)));
    let (other, _) = keys(None);
    other.go_on_from(&one);
    assert_eq!(used(&other), None, "it is another key");
}
