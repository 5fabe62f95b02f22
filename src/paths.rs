//! Request paths: which mean two things, and which spell the same one.
//!
//! The gateway compares a path as it came and sends it on as it came: `%2F`, `;`, `@` and `+` are
//! legal in ids, and SDKs send them. A server behind may decode it first, cut parameters off, or
//! fold its case. So a path that would then lead elsewhere is refused, and [`foldings`] tells what
//! lenient servers would read.

use percent_encoding::percent_decode;

/// How often a path is decoded: once more than the two servers in a row that were seen to decode.
const DECODINGS: usize = 3;

/// Refuses a path that a server behind could read as another one (RFC 3986 sections 5.2.4 and
/// 6.2.2).
///
/// # Errors
/// What is wrong with it, for the caller.
pub fn check(raw: &str) -> Result<(), &'static str> {
    if !raw.starts_with('/') {
        return Err("the request target must begin with '/'");
    }
    let octets = raw.as_bytes();
    if octets.iter().any(|b| b.is_ascii_control() || *b == b'\\' || *b == b' ') {
        return Err("the path holds a backslash, a space or a control character");
    }
    encodings(octets)?;
    let dotted = |text: &[u8]| segments(text).any(|segment| matches!(segment, b"." | b".."));
    // Most paths have nothing to decode, and then nothing is copied.
    let encoded = octets.contains(&b'%');
    if dotted(octets) || (encoded && readings(octets).iter().any(|text| dotted(text))) {
        return Err("the path holds a dot segment, plain or encoded");
    }
    Ok(())
}

/// The path as lenient servers would read it, one for each number of decodings: without parameters
/// (`;…`) and empty segments, in lower case. For comparing only.
pub fn foldings(raw: &str) -> impl Iterator<Item = String> {
    readings(raw.as_bytes()).into_iter().map(|reading| folded(&reading))
}

fn folded(reading: &[u8]) -> String {
    let path = reading.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default();
    let kept = segments(path).filter(|segment| !segment.is_empty());
    let kept = kept.map(|segment| String::from_utf8_lossy(segment).to_lowercase());
    kept.fold(String::new(), |path, segment| path + "/" + &segment)
}

/// Whole percent-encodings, none of which hides what may not stand in a path plainly.
fn encodings(octets: &[u8]) -> Result<(), &'static str> {
    let mut rest = octets;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        let [_, high, low, ..] = rest[at..] else {
            return Err("the path ends in a broken percent-encoding");
        };
        match (high, low.to_ascii_lowercase()) {
            (b'0'..=b'1', b'0'..=b'9' | b'a'..=b'f') | (b'7', b'f') => {
                return Err("the path holds an encoded control character");
            }
            (b'5', b'c') => return Err("the path holds an encoded backslash"),
            (high, low) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err("the path holds a broken percent-encoding"),
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

/// The path as it came, and after each decoding that changes it.
fn readings(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut readings = vec![raw.to_vec()];
    for _ in 0..DECODINGS {
        let last = &readings[readings.len() - 1];
        let next: Vec<u8> = percent_decode(last).collect();
        if next == *last {
            break;
        }
        readings.push(next);
    }
    readings
}

/// What stands between slashes of either kind, without its parameters.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = path.split(|b| matches!(b, b'/' | b'\\'));
    parts.map(|part| part.split(|b| *b == b';').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_with_reserved_characters_pass() {
        for good in [
            "/",
            "/lists/a%2Fb",
            "/lists/a%252e%252e",
            "/x/a;b=c@d:e+f",
            "/x/a;..",
            "/x/..a",
            "/x/a..",
            "/x/...",
            "/x/%2e%2e%2e",
            "/x/a%2F.b%2F..c",
            "/x/jane+news@example.com",
            "/x/100%25",
            "/x/%25zz",
            "/%C3%A4",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn paths_that_mean_two_things_are_refused() {
        for bad in [
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e",
            "/%2E%2e/x",
            "/.%2e",
            "/a\\b",
            "/a%5Cb",
            "/a%5cb",
            "/a%00b",
            "/a%0d%0a",
            "/a%1F",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%%20",
            "x",
            "",
            "/a b",
            "/messages/..%2Fproviders",
            "/messages/..%2fproviders",
            "/messages/%2e%2e%2Fproviders",
            "/messages/x%2F..%2F..%2Fproviders",
            "/messages/x%2F.%2Fproviders",
            "/messages/x%2F..",
            "/translations/..;/providers",
            "/translations/..;a=b/providers",
            "/translations/%2E.%3Bx/providers",
            "/brands/..%252fsend",
            "/brands/%252e%252e/send",
            "/brands/%25252e%25252E/send",
            "/brands/x%255c..%255csend",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spellings_of_one_path_are_folded_into_one() {
        for spelling in [
            "/auth/issue-token",
            "/AUTH/Issue-Token",
            "/%61uth/issue-token",
            "/%2561uth/issue-token",
            "/auth%2Fissue-token",
            "/auth%252Fissue-token",
            "/auth;x=1/issue-token",
            "/auth/issue-token;",
            "/auth/issue-token%3Fa=b",
            "/auth%2F%2Fissue-token",
        ] {
            let read = foldings(spelling).last();
            assert_eq!(read.as_deref(), Some("/auth/issue-token"), "{spelling}");
        }
        assert!(foldings("/").eq([""]));
    }

    #[test]
    fn a_path_is_read_as_each_server_would_that_decodes_it_another_number_of_times() {
        let read: Vec<_> = foldings("/%6dessages/x%252Fy").collect();
        assert_eq!(read, ["/%6dessages/x%252fy", "/messages/x%2fy", "/messages/x/y"]);
    }

    /// A server that decodes a path some times and then resolves dot segments, and how deep it
    /// gets.
    fn leaves(path: &str, times: usize) -> bool {
        let mut text = path.as_bytes().to_vec();
        for _ in 0..times {
            text = percent_decode(&text).collect();
        }
        let mut depth = 0_i32;
        segments(&text).skip(1).any(|segment| {
            depth += match segment {
                b".." => -1,
                b"" | b"." => 0,
                _ => 1,
            };
            depth < 1 && segment == b".."
        })
    }

    proptest! {
        /// Whatever is made of dots, slashes and their encodings: what passes leads no server,
        /// which decodes up to twice, out of the first segment.
        #[test]
        fn what_passes_never_climbs(parts in proptest::collection::vec(
            prop_oneof![
                Just("."), Just("%2e"), Just("%2E"), Just("%252e"), Just("/"), Just("%2f"),
                Just("%2F"), Just("%252F"), Just(";"), Just("%3b"), Just("a"), Just("%255c"),
            ],
            0..12,
        )) {
            let path = format!("/first/{}", parts.concat());
            if check(&path).is_ok() {
                for times in 0..=2 {
                    prop_assert!(!leaves(&path, times), "{path} decoded {times} times");
                }
            }
        }
    }
}
