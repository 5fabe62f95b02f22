//! Frames of HTTP/2: sizes, streams, windows, settings, header blocks, by RFC 9113 sections 4 to 6.

use super::case::GET;
use super::wire::Want::{Ends, Ignored, Resets, Sees};
use super::wire::{
    CONTINUATION, Case, DATA, END, END_HEADERS, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Want, Who, block, frame,
};

/// Kind, flags, stream, what it holds.
type Frame = (u8, u8, u32, &'static [u8]);

/// One frame alone.
const ALONE: &[(&str, Frame, Want)] = &[
    ("9113 4.1: a kind that nobody knows", (200, 255, 0, b"hello"), Ignored),
    ("9113 5.1: data on a stream that is idle", (DATA, END, 1, b"hello"), Ends),
    ("9113 6.1: data on no stream", (DATA, END, 0, b"hello"), Ends),
    ("9113 6.1: more padding than data", (DATA, PADDED, 1, &[9, 0]), Ends),
    ("9113 6.2: a head on no stream", (HEADERS, END | END_HEADERS, 0, &[0x82]), Ends),
    (
        "9113 6.2: more padding than head",
        (HEADERS, END | END_HEADERS | PADDED, 1, &[9, 0x82]),
        Ends,
    ),
    ("9113 6.3: priority", (PRIORITY, 0, 3, &[0, 0, 0, 1, 9]), Ignored),
    ("9113 6.3: priority on no stream", (PRIORITY, 0, 0, &[0, 0, 0, 1, 9]), Ends),
    ("9113 6.4: a reset of a stream that is idle", (RST_STREAM, 0, 1, &[0, 0, 0, 8]), Ends),
    ("9113 6.4: a reset of no stream", (RST_STREAM, 0, 0, &[0, 0, 0, 8]), Ends),
    ("9113 6.4: a reset of three octets", (RST_STREAM, 0, 1, &[0, 0, 8]), Ends),
    ("9113 6.5: settings of five octets", (SETTINGS, 0, 0, &[0, 1, 0, 0, 0]), Ends),
    ("9113 6.5: settings on a stream", (SETTINGS, 0, 1, &[]), Ends),
    (
        "9113 6.5: an acknowledgement that holds something",
        (SETTINGS, END, 0, &[0, 1, 0, 0, 0, 0]),
        Ends,
    ),
    ("9113 6.5.2: a setting that nobody knows", (SETTINGS, 0, 0, &[0, 99, 0, 0, 0, 1]), Ignored),
    ("9113 6.5.2: push that is neither on nor off", (SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), Ends),
    ("9113 6.5.2: a first window beyond 2^31", (SETTINGS, 0, 0, &[0, 4, 128, 0, 0, 0]), Ends),
    ("9113 6.5.2: frames below the smallest", (SETTINGS, 0, 0, &[0, 5, 0, 0, 63, 255]), Ends),
    ("9113 6.5.2: frames beyond the largest", (SETTINGS, 0, 0, &[0, 5, 1, 0, 0, 0]), Ends),
    ("9113 8.4: a push from a client", (PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]), Ends),
    ("9113 6.7: a ping", (PING, 0, 0, b"12345678"), Ignored),
    ("9113 6.7: a ping of seven octets", (PING, 0, 0, b"1234567"), Ends),
    ("9113 6.7: a ping on a stream", (PING, 0, 1, b"12345678"), Ends),
    ("9113 6.7: an answer to no ping", (PING, END, 0, b"12345678"), Ignored),
    ("9113 6.8: an end on a stream", (GOAWAY, 0, 1, &[0; 8]), Ends),
    ("9113 6.9: a window of nothing", (WINDOW_UPDATE, 0, 0, &[0; 4]), Ends),
    ("9113 6.9: a window of three octets", (WINDOW_UPDATE, 0, 0, &[0, 0, 1]), Ends),
    ("9113 6.9.1: a window beyond 2^31", (WINDOW_UPDATE, 0, 0, &[127, 255, 255, 255]), Ends),
    ("9113 6.9: a window of a stream that is idle", (WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), Ends),
    ("9113 6.10: the rest of no head", (CONTINUATION, END_HEADERS, 1, &[0x82]), Ends),
    ("7541 6.1: an index of nothing", (HEADERS, END | END_HEADERS, 1, &[0x80]), Ends),
    ("7541 2.3.3: an index beyond the table", (HEADERS, END | END_HEADERS, 1, &[0xff, 0x64]), Ends),
    ("7541 5.1: half an integer", (HEADERS, END | END_HEADERS, 1, &[0xff]), Ends),
    ("7541 5.1: an integer without end", (HEADERS, END | END_HEADERS, 1, &[0xff; 16]), Ends),
    ("7541 5.2: half a string", (HEADERS, END | END_HEADERS, 1, &[0, 9, b'x']), Ends),
    (
        "7541 5.2: padding of more than seven bits",
        (HEADERS, END | END_HEADERS, 1, &[0, 0x83, 255, 255, 255, 0]),
        Ends,
    ),
    (
        "7541 6.3: a table beyond what was allowed",
        (HEADERS, END | END_HEADERS, 1, &[0x3f, 0xff, 0xff, 3]),
        Ends,
    ),
];

/// A frame behind a whole GET on stream 1.
const BEHIND: &[(&str, Frame, Want)] = &[
    ("9113 5.1: data behind the end", (DATA, END, 1, b"hello"), Resets),
    ("9113 5.1: a head behind the end", (HEADERS, END | END_HEADERS, 1, &[0x82]), Resets),
    ("9113 5.1.1: a stream of the server's number", (HEADERS, END | END_HEADERS, 2, &[0x82]), Ends),
    ("9113 6.9: a window of nothing for a stream", (WINDOW_UPDATE, 0, 1, &[0; 4]), Resets),
    (
        "9113 6.9.1: a stream's window beyond 2^31",
        (WINDOW_UPDATE, 0, 1, &[127, 255, 255, 255]),
        Resets,
    ),
    ("9113 6.9: a window", (WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9]), Sees(GET)),
    ("9113 6.3: priority of four octets", (PRIORITY, 0, 1, &[0, 0, 0, 9]), Resets),
    ("9113 5.1: a kind that nobody knows on a stream", (200, 0, 1, b"hello"), Sees(GET)),
    ("9113 6.8: an end that is no error", (GOAWAY, 0, 0, &[0; 8]), Sees(GET)),
];

fn case(name: &'static str, parts: &[&[u8]], want: Want) -> Case {
    Case { name, octets: parts.concat(), want }
}

/// Heads that are sent in pieces, with padding, or in an order of their own.
fn heads(who: Who) -> Vec<Case> {
    let whole = block(who, "M|S|A|P|K");
    let (one, two) = whole.split_at(9);
    let begun = frame(HEADERS, END, 1, one);
    let rest = |stream| frame(CONTINUATION, END_HEADERS, stream, two);
    let (ping, data) = (frame(PING, 0, 0, b"12345678"), frame(DATA, END, 1, b"x"));
    let get = |stream, held: &[u8]| frame(HEADERS, END | END_HEADERS, stream, held);
    let other = block(who, "M|S|A|:path=/profiles/a|K");
    let padded = [&[3], &whole[..], &[0; 3]].concat();
    let padded = frame(HEADERS, END | END_HEADERS | PADDED, 1, &padded);
    let long = get(1, &[0; (16 << 10) + 1]);
    let (size, late) = ([&[0x20], &whole[..]].concat(), [&whole[..], &[0x20]].concat());
    let (first, third) = (get(1, &whole), get(3, &whole));
    let both = Sees(&["GET /profiles/a", "GET /profiles/c"]);
    vec![
        case("9113 6.10: a head in two pieces", &[&begun, &rest(1)], Sees(GET)),
        case("9113 6.2: padding", &[&padded], Sees(GET)),
        case("9113 6.10: a ping in the middle of a head", &[&begun, &ping, &rest(1)], Ends),
        case("9113 6.10: the rest of a head on another stream", &[&begun, &rest(3)], Ends),
        case("9113 6.10: data in the middle of a head", &[&begun, &data], Ends),
        case("9113 4.2: a head beyond the frame size", &[&long], Ends),
        case("9113 5.1.1: a lower stream", &[&third, &first], Ends),
        case("9113 5.1.1: the same stream again", &[&first, &first], Resets),
        case("9113 5.1: two streams", &[&get(1, &other), &third], both),
        case("7541 4.2: a smaller table first", &[&get(1, &size)], Sees(GET)),
        case("7541 4.2: a smaller table last", &[&get(1, &late)], Ends),
    ]
}

/// Bodies in pieces.
fn bodies(who: Who) -> Vec<Case> {
    let post = frame(HEADERS, END_HEADERS, 1, &block(who, ":method=POST|S|A|P|K"));
    let data = |flags, octets: &[u8]| frame(DATA, flags, 1, octets);
    let hello = data(0, b"hello");
    let padded = data(END | PADDED, b"\x02hello\0\0");
    let long = data(END, &[0; (16 << 10) + 1]);
    let trailers = frame(HEADERS, END_HEADERS, 1, &block(who, "x=y"));
    let sees = Sees(&["POST /profiles/c hello"]);
    vec![
        case("9113 6.1: data in pieces", &[&post, &data(0, b"hel"), &data(END, b"lo")], sees),
        case("9113 6.1: padded data", &[&post, &padded], sees),
        case("9113 6.1: empty data at the end", &[&post, &hello, &data(END, b"")], sees),
        case("9113 4.2: data beyond the frame size", &[&post, &long], Resets),
        case("9113 8.1: trailers that do not end the stream", &[&post, &hello, &trailers], Resets),
    ]
}

pub(crate) fn cases(who: Who) -> Vec<Case> {
    let get = frame(HEADERS, END | END_HEADERS, 1, &block(who, "M|S|A|P|K"));
    let mut cases = heads(who);
    cases.extend(bodies(who));
    for (name, (kind, flags, stream, held), want) in ALONE {
        cases.push(Case { name, octets: frame(*kind, *flags, *stream, held), want: *want });
    }
    for (name, (kind, flags, stream, held), want) in BEHIND {
        let octets = [&get[..], &frame(*kind, *flags, *stream, held)].concat();
        cases.push(Case { name, octets, want: *want });
    }
    cases
}
