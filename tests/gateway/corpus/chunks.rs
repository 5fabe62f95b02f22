//! Chunked bodies: sizes, extensions, line ends, trailers, by RFC 9112 section 7.1.

use super::case::Want::{Half, May, No, Sees, Shut};
use super::case::{BAD, Case, POST, chunks};

/// A body that is refused is refused when it is met: before it there may be no answer at all.
const LARGE: &[u16] = &[400, 413];

pub(crate) const CASES: &[Case] = &[
    chunks("9112 7.1: one chunk", "5\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks(
        "9112 7.1: five chunks",
        "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
        Sees(POST),
    ),
    chunks("9112 7.1: no chunk", "0\r\n\r\n", Sees(&["POST /profiles/c "])),
    chunks(
        "9112 7.1: a size in small hexadecimal",
        "a\r\nhellohello\r\n0\r\n\r\n",
        Sees(&["POST /profiles/c hellohello"]),
    ),
    chunks(
        "9112 7.1: a size in large hexadecimal",
        "A\r\nhellohello\r\n0\r\n\r\n",
        Sees(&["POST /profiles/c hellohello"]),
    ),
    chunks("9112 7.1: zeros before a size", "0005\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks("9112 7.1: a last chunk of many zeros", "5\r\nhello\r\n000\r\n\r\n", Sees(POST)),
    chunks(
        "9112 7.1: data that look like chunks",
        "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        Sees(&["POST /profiles/c 0\r\n\r\n"]),
    ),
    chunks("9112 7.1.1: an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks("9112 7.1.1: an extension without a value", "5;a\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks("9112 7.1.1: a quoted extension", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks("9112 7.1.1: two extensions", "5;a=b;c=d\r\nhello\r\n0\r\n\r\n", Sees(POST)),
    chunks("9112 7.1.1: an extension of the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n", Sees(POST)),
    chunks(
        "9112 7.1.1: blanks around an extension",
        "5 ; a = b\r\nhello\r\n0\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks("9112 7.1.1: an empty extension", "5;\r\nhello\r\n0\r\n\r\n", May(POST[0], BAD)),
    chunks("9112 7.1.1: a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks(
        "9112 7.1.1: a chunk hidden in an extension",
        "5;\n0\r\n\r\nGET /brands HTTP/1.1\r\nhello\r\n0\r\n\r\n",
        Shut(BAD),
    ),
    chunks("9112 7.1.1: a CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks(
        "9112 7.1.1: a long extension",
        "5;{20000}\r\nhello\r\n0\r\n\r\n",
        Shut(&[400, 413, 431]),
    ),
    chunks("9112 7.1: a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a plus", "+5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a minus", "-5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: no size", "\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: an extension without a size", ";a=b\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: no hexadecimal digit", "g\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a letter behind the size", "5g\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: an underscore", "0_5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a fraction", "5.0\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a blank before the size", " 5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a blank behind the size", "5 \r\nhello\r\n0\r\n\r\n", May(POST[0], BAD)),
    chunks("9112 7.1: a blank in the size", "0 5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a NUL behind the size", "5\0\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a list of sizes", "5,5\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a size of 2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n", Shut(LARGE)),
    chunks("9112 7.1: a size of 2^64 - 1", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", Half(LARGE)),
    chunks("9112 7.1: a size of 2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n", Half(LARGE)),
    chunks("9112 7.1: a size of 2^32 + 5", "100000005\r\nhello\r\n0\r\n\r\n", Half(LARGE)),
    chunks(
        "9112 7.1: a size of forty digits",
        "0000000000000000000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks("9112 7.1: no line end behind the data", "5\r\nhello0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a bare LF behind the data", "5\r\nhello\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a bare CR behind the data", "5\r\nhello\r0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: more data than the size", "5\r\nhelloo\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: less data than the size", "6\r\nhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: a bare LF behind the size", "5\nhello\r\n0\r\n\r\n", May(POST[0], BAD)),
    chunks("9112 7.1: a bare CR behind the size", "5\rhello\r\n0\r\n\r\n", Shut(BAD)),
    chunks("9112 7.1: bare LFs at the end", "5\r\nhello\r\n0\n\n", May(POST[0], BAD)),
    chunks("9112 7.1: no last chunk", "5\r\nhello\r\n", Half(&[400, 408])),
    chunks("9112 7.1: no last line end", "5\r\nhello\r\n0\r\n", Half(&[400, 408])),
    chunks("9112 8: half a chunk", "50\r\nhello", Half(&[400, 408])),
    chunks("9112 8: half a size", "5", Half(&[400, 408])),
    chunks("9112 7.1.2: a trailer", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", Sees(POST)),
    chunks(
        "9110 6.5.1: a trailer with a length",
        "5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9110 6.5.1: a trailer with a coding",
        "5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9110 6.5.1: a trailer with a host",
        "5\r\nhello\r\n0\r\nHost: other\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9110 6.5.1: a trailer with a key",
        "5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9112 7.1.2: a trailer without a colon",
        "5\r\nhello\r\n0\r\nhello there\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9112 5.1: a trailer with a space before the colon",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9110 5.5: a trailer with a NUL",
        "5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9112 7.1.2: a trailer that is a request",
        "5\r\nhello\r\n0\r\nGET /brands HTTP/1.1\r\n\r\n",
        May(POST[0], BAD),
    ),
    chunks(
        "9112 7.1.2: a long trailer",
        "5\r\nhello\r\n0\r\nX: {40000}\r\n\r\n",
        May(POST[0], &[400, 413, 431]),
    ),
    chunks("9110 15.5.14: more than the limit", "2328\r\n{9000}\r\n0\r\n\r\n", No(&[413])),
];
