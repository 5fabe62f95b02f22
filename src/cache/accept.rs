//! What a client accepts, written in one way only (RFC 9110, section 12.5). Pure.
//!
//! `Accept`, `Accept-Encoding` and `Accept-Language` are sets with weights, and every HTTP library
//! spells its own: in another order and case, with other spaces and other digits. Reads are keyed
//! and sent with one text a set, so that a set is one copy. What is not surely such a set stays as
//! it is: a member that has no place in the grammar, a quoted string, one name with two weights.

use std::cmp::Reverse;
use std::fmt::Write;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::policy::LISTED;

/// The weight of a member that says none, in thousandths.
const FULL: u16 = 1000;

/// Members of a set: a longer one is nobody's choice, and stays as it is.
const MOST: usize = 64;

/// One member of a set, its name as it is written here.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    /// The heaviest come first, as people write them.
    weight: Reverse<u16>,
    name: String,
}

/// Writes what `headers` accept in the one way.
pub fn normalise(headers: &mut HeaderMap) {
    for field in &LISTED {
        if let Some(text) = rewritten(headers, field)
            && let Ok(value) = HeaderValue::try_from(text)
        {
            headers.insert(field, value);
        }
    }
}

/// True when a client that sent `request` reads the codings of an `answer`. One that says nothing
/// of codings may be given any (RFC 9110, section 12.5.3), but most such clients read none.
#[must_use]
pub fn reads(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let field = &header::ACCEPT_ENCODING;
    let weighs = |line: &HeaderValue| line.as_bytes().contains(&b';');
    if !answer.contains_key(header::CONTENT_ENCODING) && !request.get_all(field).iter().any(weighs)
    {
        return true;
    }
    let Some(accepted) = set(request, field) else { return false };
    let weight = |coding: &str| accepted.iter().find(|m| m.name == coding).map(|m| m.weight.0);
    let takes = |coding: &str| match weight(coding) {
        Some(weight) => weight > 0,
        None => weight("*").map_or(coding == "identity", |weight| weight > 0),
    };
    let mut coded = false;
    for line in answer.get_all(header::CONTENT_ENCODING) {
        let Ok(line) = line.to_str() else { return false };
        for coding in line.split(',').map(str::trim).filter(|coding| !coding.is_empty()) {
            coded = true;
            if !takes(&coding.to_ascii_lowercase()) {
                return false;
            }
        }
    }
    coded || takes("identity")
}

/// The one text of a field; `None`: it is that already, or may not be touched.
fn rewritten(headers: &HeaderMap, field: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(field).iter();
    let first = lines.next()?;
    if lines.next().is_none() && first.as_bytes().iter().all(|byte| is_plain(*byte)) {
        return None;
    }
    let text = text(&set(headers, field)?);
    (headers.get_all(field).iter().count() > 1 || first != text.as_str()).then_some(text)
}

/// An octet of which, alone, no second spelling is made: most fields have one short member.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'*' | b'+' | b'.')
}

fn text(set: &[Member]) -> String {
    let mut text = String::new();
    for Member { name, weight: Reverse(weight) } in set {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = match *weight {
            FULL => write!(text, "{comma}{name}"),
            0 => write!(text, "{comma}{name};q=0"),
            some => {
                let digits = format!("{some:03}");
                write!(text, "{comma}{name};q=0.{}", digits.trim_end_matches('0'))
            }
        };
    }
    text
}

/// The members of a field in their order; none if it is not there.
fn set(headers: &HeaderMap, field: &HeaderName) -> Option<Vec<Member>> {
    let mut set = Vec::new();
    for line in headers.get_all(field) {
        let words = line.to_str().ok()?.split(',').map(str::trim).filter(|word| !word.is_empty());
        for word in words {
            set.push(member(word, field)?);
        }
    }
    set.sort_unstable();
    set.dedup();
    let mut names: Vec<&str> = set.iter().map(|member| &*member.name).collect();
    names.sort_unstable();
    let clear = set.len() <= MOST && names.windows(2).all(|pair| pair[0] != pair[1]);
    clear.then_some(set)
}

/// One member, if it can be read in one way only.
fn member(word: &str, field: &HeaderName) -> Option<Member> {
    let mut parts = word.split(';').map(|part| part.trim_matches([' ', '\t']));
    let name = parts.next()?;
    let mut name = match *field {
        header::ACCEPT_LANGUAGE => language(name)?,
        header::ACCEPT => {
            let (kind, part) = name.split_once('/')?;
            (is_token(kind) && is_token(part)).then(|| name.to_ascii_lowercase())?
        }
        _ => is_token(name).then(|| name.to_ascii_lowercase())?,
    };
    let mut weight = None;
    for part in parts {
        let (parameter, value) = part.split_once('=')?;
        // Nothing has a place behind the weight.
        if weight.is_some() || !is_token(parameter) {
            return None;
        }
        if parameter.eq_ignore_ascii_case("q") {
            weight = Some(thousandths(value)?);
        } else if *field == header::ACCEPT && is_token(value) {
            // Whether case means something, its type says.
            let _ = write!(name, ";{}={value}", parameter.to_ascii_lowercase());
        } else {
            return None;
        }
    }
    Some(Member { weight: Reverse(weight.unwrap_or(FULL)), name })
}

/// A range of languages in the case that people write (RFC 5646, section 2.1.1).
fn language(range: &str) -> Option<String> {
    let mut name = String::with_capacity(range.len());
    let mut own = false;
    for (at, part) in range.split('-').enumerate() {
        let fits = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits && part != "*" {
            return None;
        }
        if at > 0 {
            name.push('-');
        }
        let from = name.len();
        name.push_str(part);
        name[from..].make_ascii_lowercase();
        match part.len() {
            2 if at > 0 && !own => name[from..].make_ascii_uppercase(),
            4 if at > 0 && !own => name[from..=from].make_ascii_uppercase(),
            _ => {}
        }
        own |= part.len() == 1 && part != "*";
    }
    Some(name)
}

/// A weight in thousandths (RFC 9110, section 12.4.2).
fn thousandths(value: &str) -> Option<u16> {
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{digits:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

fn is_token(text: &str) -> bool {
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(literal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::collections::BTreeMap;

    fn fields(field: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(field, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    /// What becomes of the lines of one field.
    fn written(field: &HeaderName, lines: &[&str]) -> Vec<String> {
        let mut headers = fields(field, lines);
        normalise(&mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(field).iter().map(text).collect()
    }

    #[test]
    fn twelve_spellings_of_a_set_are_one_text() {
        for lines in [
            &["gzip, deflate"][..],
            &["deflate, gzip"],
            &["gzip,deflate"],
            &["GZIP, Deflate"],
            &["gzip;q=1.0, deflate;q=1"],
            &["gzip ; q=1.000 ,deflate"],
            &["deflate;Q=1., gzip"],
            &["gzip", "deflate"],
            &["deflate", "gzip;q=1"],
            &["gzip, gzip, deflate"],
            &[",gzip,, deflate ,"],
            &["gzip\t,\tdeflate"],
        ] {
            assert_eq!(written(&header::ACCEPT_ENCODING, lines), ["deflate, gzip"], "{lines:?}");
        }
    }

    #[test]
    fn languages_and_media_ranges_are_written_as_people_write_them() {
        let one = |field, line| written(field, &[line]).concat();
        let language = |line| one(&header::ACCEPT_LANGUAGE, line);
        assert_eq!(language("EN;q=0.50,en-us, *;q=0.1"), "en-US, en;q=0.5, *;q=0.1");
        assert_eq!(language("ZH-hant-tw,DE-1996"), "de-1996, zh-Hant-TW");
        assert_eq!(language("en-x-AB-Abcd"), "en-x-ab-abcd");
        let accept = |line| one(&header::ACCEPT, line);
        assert_eq!(accept("*/*;q=0.8,Text/HTML"), "text/html, */*;q=0.8");
        assert_eq!(accept("text/html; Level=A; q=0.05"), "text/html;level=A;q=0.05");
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_in_none_stays_as_it_is() {
        for (field, line) in [
            (&header::ACCEPT_ENCODING, "gzip;q=0, GZIP"),
            (&header::ACCEPT_ENCODING, "gzip;q=1.1, br"),
            (&header::ACCEPT_ENCODING, "gzip;q=0.1234, br"),
            (&header::ACCEPT_ENCODING, "gzip;q=, br"),
            (&header::ACCEPT_ENCODING, "gzip;level=1, br"),
            (&header::ACCEPT_ENCODING, "Gzip br"),
            (&header::ACCEPT, "Text"),
            (&header::ACCEPT, "text/html;a=\"x, y\", A/b"),
            (&header::ACCEPT, "text/html;q=0.5;ext=1, A/b"),
            (&header::ACCEPT_LANGUAGE, "en_US, DE"),
        ] {
            assert_eq!(written(field, &[line]), [line]);
        }
        let long = (0..=MOST).map(|n| format!("X{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(written(&header::ACCEPT_ENCODING, &[&long]), [long]);
        assert_eq!(written(&header::ACCEPT, &[]), [""; 0], "none is not the empty one");
        assert_eq!(written(&header::ACCEPT_ENCODING, &[" , "]), [""]);
        assert_eq!(written(&header::ETAG, &["B, a"]), ["B, a"], "another field");
    }

    #[test]
    fn a_client_reads_the_codings_that_it_names_and_no_others() {
        let reads = |accepted: &[&str], coding: &[&str]| {
            let (field, coded) = (&header::ACCEPT_ENCODING, &header::CONTENT_ENCODING);
            super::reads(&fields(field, accepted), &fields(coded, coding))
        };
        for accepted in
            [&["gzip"][..], &["br, GZip;q=0.1"], &["br", "gzip"], &["*"], &["gzip, *;q=0"]]
        {
            assert!(reads(accepted, &["gzip"]), "{accepted:?}");
        }
        for accepted in [&[][..], &[""], &["identity"], &["gzip;q=0"], &["gzip;q=0, *"], &["br"]] {
            assert!(!reads(accepted, &["GZIP"]), "{accepted:?}");
        }
        assert!(!reads(&["gzip"], &["gzip, br"]) && !reads(&["gzip"], &["gzip", "br"]));
        assert!(!reads(&["gzip;q=x"], &["gzip"]), "nobody guesses");
        assert!(reads(&[], &[]) && reads(&["gzip"], &[]) && reads(&["gzip"], &["identity"]));
        assert!(!reads(&["identity;q=0"], &[]) && !reads(&["gzip, *;q=0"], &[]));
    }

    const NAMES: [&str; 6] = ["gzip", "br", "identity", "*", "en", "x-own"];

    /// A set, and one spelling of it.
    fn spelt() -> impl Strategy<Value = (BTreeMap<&'static str, u16>, Vec<String>)> {
        let weight = prop_oneof![Just(0), Just(FULL), 1_u16..FULL];
        let sets = prop::collection::btree_map(select(&NAMES[..]), weight, 1..6);
        (sets, any::<[u8; 6]>(), any::<[u8; 6]>(), 1_usize..4).prop_map(
            |(set, order, style, lines)| {
                let mut members: Vec<_> = set.iter().zip(order).zip(style).collect();
                members.sort_by_key(|((_, order), _)| *order);
                let mut text = vec![Vec::new(); lines];
                for (at, (((name, weight), _), style)) in members.into_iter().enumerate() {
                    text[at % lines].push(spell(name, *weight, style));
                }
                let commas = [",", ", ", " ,\t"];
                let text = text.into_iter().map(|words| words.join(commas[lines - 1])).collect();
                (set, text)
            },
        )
    }

    fn spell(name: &str, weight: u16, style: u8) -> String {
        let name = if style & 1 == 0 { name.to_owned() } else { name.to_ascii_uppercase() };
        let (space, q) =
            (if style & 2 == 0 { "" } else { " " }, if style & 4 == 0 { "q" } else { "Q" });
        let number = format!("{}.{:03}", weight / FULL, weight % FULL);
        let short = number.trim_end_matches('0').trim_end_matches('.');
        match (weight, style & 8) {
            (FULL, 0) => name,
            (_, 0) => format!("{name}{space};{space}{q}={short}"),
            _ => format!("{name};{space}{q}={number}"),
        }
    }

    proptest! {
        /// Two texts are one exactly when the sets are.
        #[test]
        fn a_set_has_one_text_however_it_is_spelt((one, a) in spelt(), (two, b) in spelt()) {
            for field in [&header::ACCEPT_ENCODING, &header::ACCEPT_LANGUAGE] {
                let of = |lines: &[String]| {
                    written(field, &lines.iter().map(String::as_str).collect::<Vec<_>>())
                };
                let (a, b) = (of(&a), of(&b));
                prop_assert_eq!(a == b, one == two, "{:?} {:?}", a, b);
                prop_assert_eq!(a.len(), 1);
                prop_assert_eq!(&of(&a), &a, "once is enough");
            }
        }

        /// What is sent means what the client said.
        #[test]
        fn the_text_says_the_same_set((said, lines) in spelt()) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let text = written(&header::ACCEPT_ENCODING, &lines).concat();
            let mut read = BTreeMap::new();
            for word in text.split(", ") {
                let (name, q) = word.split_once(";q=").unwrap_or((word, "1"));
                let (whole, part) = q.split_once('.').unwrap_or((q, ""));
                read.insert(name.to_owned(), format!("{whole}{part:0<3}").parse::<u16>().unwrap());
            }
            let said: BTreeMap<_, _> = said.iter().map(|(n, w)| ((*n).to_owned(), *w)).collect();
            prop_assert_eq!(read, said);
        }

        #[test]
        fn no_text_makes_it_fall_over_and_twice_is_once(text in "[ -~]{0,40}", which in 0_usize..3) {
            let field = &LISTED[which];
            let once = written(field, &[&text]);
            let lines: Vec<_> = once.iter().map(String::as_str).collect();
            prop_assert_eq!(written(field, &lines), once.clone());
        }
    }
}
