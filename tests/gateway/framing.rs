//! Odd and malformed answers of a raw vendor: each one reaches its own caller whole, as the one
//! reading that HTTP has of it, or visibly not at all; the next answer on the connection is its own.

use std::fmt;

use tokio::time::sleep;

use crate::raw::{Answer, Bench, End, Got, HONEST, LATE, Row, octets};

/// What is hidden behind an odd answer.
const INJECTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nINJECTED!";

/// What an odd answer says.
const SAID: &str = "hello, odd!";

/// What the caller must get.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Means {
    /// An answer with this body.
    Whole(String),
    /// 502, or an answer that visibly does not come to its end.
    Nothing,
}

/// How a head frames what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Length(usize),
    Chunked,
    ToTheEnd,
    /// In two ways, or in none.
    Bad,
}

/// Heads of HTTP/1.1 over a body of eleven octets, and the one reading that each has.
const HEADS: [(&str, Reads); 46] = [
    ("", Reads::ToTheEnd),
    ("Connection: content-length\r\nContent-Length: 11\r\n", Reads::Length(11)),
    ("Transfer_Encoding: chunked\r\nContent-Length: 11\r\n", Reads::Length(11)),
    ("Content-Length: 11\r\n", Reads::Length(11)),
    ("content-length:11\r\n", Reads::Length(11)),
    ("CONTENT-LENGTH: \t 11 \t\r\n", Reads::Length(11)),
    ("Content-Length: 0011\r\n", Reads::Length(11)),
    ("Content-Length: 11\r\nContent-Length: 11\r\n", Reads::Length(11)),
    ("Content-Length: 11, 11\r\n", Reads::Length(11)),
    ("Content-Length: 11,11 ,\t11\r\n", Reads::Length(11)),
    ("Content-Length: 0\r\n", Reads::Length(0)),
    ("Content-Length: 8\r\n", Reads::Length(8)),
    ("Content-Length: 2\r\n", Reads::Length(2)),
    ("Content-Length: 16\r\n", Reads::Length(16)),
    ("Content-Length: 50000\r\n", Reads::Length(50_000)),
    ("Content-Length: 11\r\nContent-Length: 2\r\n", Reads::Bad),
    ("Content-Length: 2\r\nContent-Length: 11\r\n", Reads::Bad),
    ("Content-Length: 11, 12\r\n", Reads::Bad),
    ("Content-Length: 11,\r\n", Reads::Bad),
    ("Content-Length: ,11\r\n", Reads::Bad),
    ("Content-Length: +11\r\n", Reads::Bad),
    ("Content-Length: -11\r\n", Reads::Bad),
    ("Content-Length: 1 1\r\n", Reads::Bad),
    ("Content-Length: 0xB\r\n", Reads::Bad),
    ("Content-Length: 11.0\r\n", Reads::Bad),
    ("Content-Length: \"11\"\r\n", Reads::Bad),
    ("Content-Length: 11;a\r\n", Reads::Bad),
    ("Content-Length:\r\n", Reads::Bad),
    ("Content-Length: x\r\n", Reads::Bad),
    ("Content-Length: \u{661}\u{661}\r\n", Reads::Bad),
    ("Content-Length: 18446744073709551627\r\n", Reads::Bad),
    ("Content-Length : 11\r\n", Reads::Bad),
    ("Content-Length:\r\n 11\r\n", Reads::Bad),
    ("Transfer-Encoding: chunked\r\n", Reads::Chunked),
    ("transfer-encoding:CHUNKED\r\n", Reads::Chunked),
    ("Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n", Reads::Chunked),
    ("Transfer-Encoding: chunked\r\nContent-Length: 11\r\n", Reads::Bad),
    ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", Reads::Bad),
    ("Content-Length: x\r\nTransfer-Encoding: chunked\r\n", Reads::Bad),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Reads::Bad),
    ("Transfer-Encoding: chunked, chunked\r\n", Reads::Bad),
    ("Transfer-Encoding: gzip, chunked\r\n", Reads::Bad),
    ("Transfer-Encoding: chunked, gzip\r\n", Reads::Bad),
    ("Transfer-Encoding: xchunked\r\n", Reads::Bad),
    ("Transfer-Encoding: identity\r\n", Reads::Bad),
    ("Transfer-Encoding : chunked\r\n", Reads::Bad),
];

/// Bodies of HTTP/1.1, and whether the socket is closed behind them.
fn bodies() -> Vec<(String, bool)> {
    let chunked = "5\r\nhello\r\n6;a=b\r\n, odd!\r\n0\r\n\r\n".to_owned();
    vec![
        (SAID.into(), false),
        (SAID.into(), true),
        (format!("{SAID}{INJECTED}"), false),
        (chunked.clone(), false),
        (format!("{chunked}{INJECTED}"), false),
        ("b\r\nhello, odd!\r\n0\r\nx-sum: 1\r\ncontent-length: 2\r\n\r\n".into(), false),
        ("b\r\nhello, odd!\r\n".into(), true),
        ("b\r\nhello".into(), true),
        ("x\r\nhello, odd!\r\n0\r\n\r\n".into(), true),
        (String::new(), true),
    ]
}

/// What `body` is under that reading.
fn means(reads: Reads, body: &str, closes: bool) -> Means {
    match reads {
        Reads::Length(length) if length <= body.len() => Means::Whole(body[..length].into()),
        Reads::ToTheEnd if closes => Means::Whole(body.into()),
        Reads::Chunked => unchunked(body).map_or(Means::Nothing, Means::Whole),
        Reads::Length(_) | Reads::ToTheEnd | Reads::Bad => Means::Nothing,
    }
}

fn unchunked(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest[size..].strip_prefix("\r\n")?;
    }
}

/// One trial.
struct Trial<'a> {
    bench: &'a Bench,
    row: Row,
    name: String,
    means: Means,
}

impl fmt::Display for Trial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.bench.answer(&self.name) {
            Some(Answer::Octets(octets, closes)) => {
                format!("{:?} closes {closes}", String::from_utf8_lossy(&octets))
            }
            Some(Answer::Late(octets, late)) => {
                format!("{:?}, later {late:?}", String::from_utf8_lossy(&octets))
            }
            Some(Answer::Stream(status, fields, pieces, end)) => {
                format!("{status} {fields:?} {pieces:?} {end:?}")
            }
            None => "honest".into(),
        };
        write!(f, "{:?} {} wants {:?} of {answer}", self.row, self.name, self.means)
    }
}

impl Trial<'_> {
    /// The odd call, and the next ones on the same connection.
    async fn run(&self, h2: bool) {
        let key = &self.bench.setup.acme;
        let mut client = self.bench.client(h2).await;
        let got = client.call(self.row, &self.name, key).await;
        self.judge(got.as_ref());
        if got.is_none_or(|got| got.body.is_none()) && !h2 {
            // What was cut ended its connection.
            client = self.bench.client(h2).await;
        }
        let next = format!("next-{}", self.name);
        let got = client.call(Row::Streams, &next, key).await;
        let got = got.unwrap_or_else(|| panic!("{self}: the connection is gone"));
        assert_eq!((got.status, got.body.as_deref()), (200, Some(HONEST)), "{self}");
        if self.means == Means::Nothing && matches!(self.row, Row::Cached | Row::Shared) {
            self.bench.honest_again(&self.name);
            let got = client.call(self.row, &self.name, key).await.unwrap();
            assert_eq!((got.status, got.body.as_deref()), (200, Some(HONEST)), "{self}: stored");
        } else if matches!(self.row, Row::Cached | Row::Keyed) {
            let got = client.call(self.row, &self.name, key).await;
            self.judge(got.as_ref());
        }
    }

    fn judge(&self, got: Option<&Got>) {
        let whole = got.and_then(|got| Some((got.status, got.body.clone()?)));
        match (&self.means, whole) {
            (Means::Whole(body), Some((status, got))) => {
                assert_eq!((status, &got), (200, body), "{self}");
            }
            (Means::Whole(_), None) => panic!("{self}: nothing came"),
            (Means::Nothing, Some((status, got))) => {
                // 504 where the rest never comes.
                assert!(matches!(status, 502 | 504), "{self}: {status} {got}");
                assert!(!got.contains("INJECTED") && !got.contains(SAID), "{self}: {got}");
            }
            // Where nothing was given yet, the caller is told.
            (Means::Nothing, None) => {
                assert!(matches!(self.row, Row::Streams), "{self}: the caller hears nothing");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_octet_of_an_http1_answer_is_in_another() {
    let bench = Bench::new(false);
    let mut cases = 0;
    for (fields, reads) in HEADS {
        for (body, closes) in bodies() {
            for row in Row::ALL {
                let name = format!("case-{cases}");
                let means = match (row, reads) {
                    (Row::Head, Reads::Bad) => Means::Nothing,
                    (Row::Head, _) => Means::Whole(String::new()),
                    _ => means(reads, &body, closes),
                };
                bench.answers(&name, Answer::Octets(octets(fields, &body), closes));
                // An odd number of rows: each pair of head and body meets both kinds of client.
                Trial { bench: &bench, row, name, means }.run(cases % 2 == 1).await;
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 46 * 10 * 5);
}

#[tokio::test(start_paused = true)]
async fn no_octet_of_an_http2_answer_is_in_another() {
    let lengths: [(&[&str], Option<usize>); 8] = [
        (&[], None),
        (&["11"], Some(11)),
        (&["11", "11"], Some(11)),
        (&["2"], Some(2)),
        (&["100"], Some(100)),
        (&["0"], Some(0)),
        (&["11", "12"], Some(usize::MAX)),
        (&["+11"], Some(usize::MAX)),
    ];
    let bodies: [(&[&'static str], End); 8] = [
        (&[SAID], End::There),
        (&["hello", ", odd!"], End::There),
        (&["hello", ", odd!", ""], End::There),
        (&[SAID], End::Trailers),
        (&[SAID], End::Reset),
        (&[], End::There),
        (&[""], End::There),
        (&[], End::Reset),
    ];
    let mut cases = 0;
    for h2 in [false, true] {
        let bench = Bench::new(true);
        for (values, length) in lengths {
            for (pieces, end) in bodies {
                for row in [Row::Cached, Row::Shared, Row::Keyed, Row::Streams] {
                    let name = format!("case-{cases}");
                    let body = pieces.concat();
                    let fits = length.is_none_or(|length| length == body.len());
                    // Over HTTP/1.1 the last octet of a length is the end: nothing is left to cut.
                    let told = matches!(row, Row::Streams) && !h2 && length == Some(body.len());
                    let whole = fits && (end != End::Reset || told && !body.is_empty());
                    let means = if whole { Means::Whole(body) } else { Means::Nothing };
                    let fields = values.iter().map(|&v| ("content-length", v.to_owned())).collect();
                    bench.answers(&name, Answer::Stream(200, fields, pieces.to_vec(), end));
                    Trial { bench: &bench, row, name, means }.run(h2).await;
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 2 * 8 * 8 * 4);
}

/// The status, the length that is told and the body of one answer on a fresh client.
async fn told(bench: &Bench, row: Row, name: &str, h2: bool) -> (u16, Option<String>, String) {
    let got = bench.client(h2).await.call(row, name, &bench.setup.acme).await.unwrap();
    let length = got.headers.get("content-length").map(|v| v.to_str().unwrap().to_owned());
    (got.status, length, got.body.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_has_none_whatever_it_says() {
    let raw = |status: &str, rest: &str| {
        Answer::Octets(format!("HTTP/1.1 {status}\r\n{rest}").into_bytes(), false)
    };
    let cases = [
        ("204 No Content", "Content-Length: 0\r\n\r\n", 204),
        ("204 No Content", "\r\n", 204),
        ("204 No Content", "Content-Length: 5\r\n\r\nhello", 502),
        ("204 No Content", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
        ("304 Not Modified", "Content-Length: 500\r\n\r\n", 304),
        ("304 Not Modified", "Content-Length: 5, 6\r\n\r\n", 502),
        ("304 Not Modified", "Transfer-Encoding: gzip\r\n\r\n", 502),
        (
            "103 Early Hints",
            "Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            200,
        ),
        (
            "103 Early Hints",
            "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            502,
        ),
        (
            "100 Continue",
            "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            502,
        ),
    ];
    for h2 in [false, true] {
        let bench = Bench::new(false);
        for (nth, (status, rest, wanted)) in cases.into_iter().enumerate() {
            let name = format!("bodiless-{nth}");
            bench.answers(&name, raw(status, rest));
            let (status, length, body) = told(&bench, Row::Streams, &name, h2).await;
            assert_eq!(status, wanted, "{rest:?}");
            match wanted {
                204 | 304 => assert_eq!((length, body.as_str()), (None, "")),
                200 => assert_eq!((length.as_deref(), body.as_str()), (Some("2"), "{}")),
                _ => assert!(body.contains("vendor-malformed"), "{body}"),
            }
        }
        // HTTP/2 has no framing of its own that would keep a body out.
        let bench = Bench::new(true);
        for (name, status) in [("none", 204), ("same", 304)] {
            bench.answers(name, Answer::Stream(status, Vec::new(), vec![SAID], End::There));
            let key = &bench.setup.acme;
            let got = bench.client(h2).await.call(Row::Streams, name, key).await;
            assert!(
                got.is_none_or(|got| got.body.is_none_or(|body| !body.contains(SAID))),
                "{status}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn head_tells_the_length_of_the_whole_once() {
    for h2 in [false, true] {
        let bench = Bench::new(false);
        for (name, fields, length) in [
            ("plain", "Content-Length: 11\r\n", Some("11")),
            ("list", "Content-Length: 011, 11\r\n", Some("11")),
            ("chunked", "Transfer-Encoding: chunked\r\n", None),
            ("unknown", "", None),
        ] {
            bench.answers(name, Answer::Octets(octets(fields, ""), false));
            let (status, told, body) = told(&bench, Row::Head, name, h2).await;
            assert_eq!((status, told.as_deref(), body.as_str()), (200, length, ""), "{name}");
        }
        // A refusal has a body for a GET, and none here.
        bench.answers("bad", Answer::Octets(octets("Content-Length: x\r\n", ""), false));
        let (status, length, body) = told(&bench, Row::Head, "bad", h2).await;
        assert!(status == 502 && length.is_some() && body.is_empty(), "{length:?} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_vendor_stops_is_not_passed_off_as_whole() {
    let bench = Bench::new(true);
    let fields = vec![("content-length", "11".to_owned())];
    bench.answers("stopped", Answer::Stream(200, fields, vec!["hello"], End::Stopped));
    for h2 in [false, true] {
        for row in [Row::Cached, Row::Shared, Row::Keyed, Row::Streams] {
            let means = Means::Nothing;
            Trial { bench: &bench, row, name: "stopped".into(), means }.judge(
                bench.client(h2).await.call(row, "stopped", &bench.setup.acme).await.as_ref(),
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_are_dropped_and_the_call_is_whole() {
    for vendor in [false, true] {
        let bench = Bench::new(vendor);
        let fields = "Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n";
        let body = "b\r\nhello, odd!\r\n0\r\nx-sum: 1\r\n\r\n";
        let odd = match vendor {
            true => {
                Answer::Stream(200, vec![("trailer", "x-sum".into())], vec![SAID], End::Trailers)
            }
            false => Answer::Octets(octets(fields, body), false),
        };
        bench.answers("trailers", odd);
        for h2 in [false, true] {
            for row in [Row::Streams, Row::Shared, Row::Cached, Row::Keyed] {
                let key = &bench.setup.acme;
                let mut client = bench.client(h2).await;
                let got = client.call(row, "trailers", key).await.unwrap();
                assert_eq!((got.status, got.body.as_deref()), (200, Some(SAID)), "{row:?}");
                assert!(!got.headers.contains_key("trailer"), "{:?}", got.headers);
                tokio::task::yield_now().await;
                let line = bench.lines.last();
                assert_eq!(line["code"], "ok", "{row:?} {line}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_on_which_something_came_unasked_carries_no_other_call() {
    // Behind each way in which an answer can end.
    for (name, fields, body) in [
        ("length", "Content-Length: 11\r\n", SAID.to_owned()),
        ("chunked", "Transfer-Encoding: chunked\r\n", format!("b\r\n{SAID}\r\n0\r\n\r\n")),
    ] {
        let bench = Bench::new(false);
        bench.answers(name, Answer::Octets(octets(fields, &format!("{body}{INJECTED}")), false));
        let mut client = bench.client(false).await;
        for nth in 0..20 {
            let got = client.call(Row::Streams, name, &bench.setup.acme).await.unwrap();
            assert_eq!(got.body.as_deref(), Some(SAID), "{name} {nth}");
            let next = format!("next-{nth}");
            let got = client.call(Row::Streams, &next, &bench.setup.acme).await.unwrap();
            assert_eq!(got.body.as_deref(), Some(HONEST), "{name} {nth}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_on_which_something_comes_while_it_rests_carries_no_other_call() {
    let bench = Bench::new(false);
    bench.answers("late", Answer::Late(octets("Content-Length: 11\r\n", SAID), INJECTED));
    let mut client = bench.client(false).await;
    for nth in 0..20 {
        let got = client.call(Row::Streams, "late", &bench.setup.acme).await.unwrap();
        assert_eq!(got.body.as_deref(), Some(SAID), "{nth}");
        // Before a call is sent on it: what comes behind that cannot be told from its answer.
        sleep(LATE * 2).await;
        let next = format!("next-{nth}");
        let got = client.call(Row::Streams, &next, &bench.setup.acme).await.unwrap();
        assert_eq!(got.body.as_deref(), Some(HONEST), "{nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_collected_answer_that_is_cut_is_asked_for_again() {
    let cut = || Answer::Octets(octets("Content-Length: 20\r\n", SAID), true);
    for row in [Row::Cached, Row::Shared] {
        let bench = Bench::new(false);
        bench.answers_first("cut", cut());
        let mut client = bench.client(false).await;
        let got = client.call(row, "cut", &bench.setup.acme).await.unwrap();
        assert_eq!((got.status, got.body.as_deref()), (200, Some(HONEST)), "{row:?}");
    }
}
