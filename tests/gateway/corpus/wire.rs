//! HTTP/2 by the octet: frames that a well-behaved client would not send, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::port::Io;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// `END_STREAM`; `ACK` of SETTINGS and PING.
pub(crate) const END: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// The stream of the call behind each case.
const NEXT: u32 = 101;

/// Frames of one connection, and what is allowed.
pub(crate) struct Case {
    /// What is odd about it, after the section that speaks of it.
    pub(crate) name: &'static str,
    pub(crate) octets: Vec<u8>,
    pub(crate) want: Want,
}

/// What is allowed. Behind each case the health of the gateway is asked on the same connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// The vendor sees exactly these, each is answered, and the next call too.
    Sees(&'static [&'static str]),
    /// The vendor sees nothing; the stream is reset or refused, or the connection ends with an error.
    No,
    /// Either.
    May(&'static [&'static str]),
    /// The connection ends with an error; the vendor sees no more than one good request before it.
    Ends,
    /// The stream or the connection ends with an error; the vendor sees no more than one good request.
    Resets,
    /// Nothing comes of it.
    Ignored,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Status by stream, once its answer is whole.
    pub(crate) answered: BTreeMap<u32, u16>,
    /// Code by stream.
    pub(crate) reset: BTreeMap<u32, u32>,
    /// The code of GOAWAY, where it is an error.
    pub(crate) ended: Option<u32>,
    /// The gateway closed.
    pub(crate) closed: bool,
    /// Acknowledged SETTINGS, answered PINGs.
    pub(crate) acks: (u32, u32),
    heads: BTreeMap<u32, u16>,
}

impl Heard {
    pub(crate) fn next(&self) -> bool {
        self.answered.get(&NEXT) == Some(&200)
    }

    pub(crate) fn error(&self) -> bool {
        self.ended.is_some() || self.closed
    }

    /// Whether all is here that `want` waits for.
    fn whole(&self, want: Want) -> bool {
        let first = self.answered.contains_key(&1) || self.reset.contains_key(&1);
        let streams = self.answered.len() - usize::from(self.next());
        self.error()
            || match want {
                Want::Sees(wanted) => streams >= wanted.len() && self.next(),
                Want::No | Want::May(_) => first && self.next(),
                Want::Ends => false,
                Want::Resets => !self.reset.is_empty(),
                Want::Ignored => self.next(),
            }
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, held: &[u8]) {
        match kind {
            HEADERS => {
                self.heads.insert(stream, status(held));
            }
            RST_STREAM => {
                self.reset.insert(stream, number(held));
            }
            GOAWAY => self.ended = Some(number(&held[4..])).filter(|code| *code != 0),
            SETTINGS if flags & END != 0 => self.acks.0 += 1,
            PING if flags & END != 0 => self.acks.1 += 1,
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END != 0 {
            self.answered.insert(stream, self.heads[&stream]);
        }
    }
}

fn number(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets[..4].try_into().unwrap())
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, held: &[u8]) -> Vec<u8> {
    let length = u32::try_from(held.len()).unwrap().to_be_bytes();
    let mut octets = vec![length[1], length[2], length[3], kind, flags];
    octets.extend_from_slice(&stream.to_be_bytes());
    octets.extend_from_slice(held);
    octets
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(octets: &mut Vec<u8>, of: usize) {
    if let Some(short) = u8::try_from(of).ok().filter(|short| *short < 127) {
        return octets.push(short);
    }
    octets.push(127);
    let mut rest = of - 127;
    while rest >= 128 {
        octets.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    octets.push(u8::try_from(rest).unwrap());
}

/// Who asks, and over what.
#[derive(Clone, Copy, Default)]
pub(crate) struct Who<'a> {
    pub(crate) key: &'a str,
    pub(crate) tls: bool,
}

/// Fields as literals (RFC 7541 section 6.2.2), written `name=value|name=value`; `M`, `S`, `A`, `P` and `K` are the
/// usual method, scheme, authority, path and key.
pub(crate) fn block(who: Who, fields: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for field in fields.split('|').filter(|field| !field.is_empty()) {
        let key = format!("x-api-key={}", who.key);
        let field = match field {
            "M" => ":method=GET",
            "S" if who.tls => ":scheme=https",
            "S" => ":scheme=http",
            "A" => ":authority=gateway",
            "P" => ":path=/profiles/c",
            "K" => &key,
            field => field,
        };
        let (name, value) = field.split_once('=').unwrap();
        octets.push(0);
        for text in [name, value] {
            length(&mut octets, text.len());
            octets.extend_from_slice(text.as_bytes());
        }
    }
    octets
}

/// The status of a head; the encoder has no table, so its field stands first as it is.
fn status(head: &[u8]) -> u16 {
    let updates = head.iter().take_while(|octet| **octet & 0xe0 == 0x20).count();
    let head = &head[updates..];
    match head[0] {
        indexed if indexed & 0x80 != 0 => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed & 0x7f) - 8]
        }
        _ if head[1] & 0x80 == 0 => str::from_utf8(&head[2..5]).unwrap().parse().unwrap(),
        _ => huffman(&head[2..2 + usize::from(head[1] & 0x7f)]),
    }
}

/// Three digits (RFC 7541 appendix B: five bits up to 2, six bits from 3 on).
fn huffman(octets: &[u8]) -> u16 {
    let bits: Vec<u16> = octets
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |n| u16::from(octet >> n & 1)))
        .collect();
    let value = |bits: &[u16]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let short = value(&bits[at..at + 5]);
        let (digit, long) = if short < 3 { (short, 5) } else { (value(&bits[at..at + 6]) - 22, 6) };
        status = status * 10 + digit;
        at += long;
    }
    status
}

/// Says `octets` after a preface, asks for the next one, and hears until all that is awaited is here.
pub(crate) async fn hear(
    mut socket: Box<dyn Io>,
    (preface, octets): (&[u8], &[u8]),
    who: Who<'_>,
    want: Want,
) -> Heard {
    let next = block(who, "M|S|A|:path=/.tollgate/health");
    let next = frame(HEADERS, END | END_HEADERS, NEXT, &next);
    // The gateway may close before all is sent.
    let _ = socket.write_all(&[preface, octets, &next].concat()).await;
    let _ = socket.flush().await;
    let mut heard = Heard::default();
    let hearing = async {
        while !heard.whole(want) {
            let mut head = [0; 9];
            let mut held = Vec::new();
            let mut read = socket.read_exact(&mut head).await.map(|_| ());
            if read.is_ok() {
                held.resize(number(&[0, head[0], head[1], head[2]]) as usize, 0);
                read = socket.read_exact(&mut held).await.map(|_| ());
            }
            if read.is_err() {
                heard.closed = true;
                return;
            }
            heard.take(head[3], head[4], number(&head[5..]), &held);
        }
    };
    // What does not come is missed by whoever looks.
    let _ = timeout(Duration::from_secs(3), hearing).await;
    heard
}

/// The preface with SETTINGS that keep the answers' heads plain: no table.
pub(crate) fn preface() -> Vec<u8> {
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    octets.extend(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    octets
}
