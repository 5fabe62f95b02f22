//! What a client says first over TLS, when that is not what it agreed to by ALPN (RFC 9113 sections 3.2 and 3.4).

use super::answers;
use super::port::Port;
use super::wire::{self, END, END_HEADERS, HEADERS, block, frame};

const H2: &[u8] = b"h2";
const H1: &[u8] = b"http/1.1";

/// What was agreed, what is said in its place, and how that is called.
fn said(port: &Port) -> Vec<(&'static [u8], &'static str, Vec<u8>)> {
    let key = port.who().key;
    let line = format!("GET /profiles/c HTTP/1.1\r\nHost: gateway\r\nx-api-key: {key}\r\n\r\n");
    let get = frame(HEADERS, END | END_HEADERS, 1, &block(port.who(), "M|S|A|P|K"));
    let after = |text: &[u8]| [text, &wire::preface()[24..], &get].concat();
    let whole = after(&wire::preface()[..24]);
    vec![
        (H2, "a request of HTTP/1.1", line.into_bytes()),
        (H2, "a preface with another word", after(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")),
        (H2, "a preface of another version", after(b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n")),
        (H2, "no preface", after(b"")),
        (H2, "an empty line before the preface", after(b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        (H1, "the preface of HTTP/2", whole),
    ]
}

#[tokio::test]
async fn who_says_another_protocol_than_it_agreed_to_is_not_served() {
    let port = Port::open(true).await;
    for (alpn, name, octets) in said(&port) {
        let heard = answers(port.connect(alpn).await, &octets, false).await;
        let heard = heard.unwrap_or_else(|| panic!("{name}: the gateway waits"));
        if alpn == H2 {
            assert!(!heard.starts_with(b"HTTP/1"), "{name}: an answer in another protocol");
        } else {
            assert!(heard.starts_with(b"HTTP/1.1 400") || heard.is_empty(), "{name}: {heard:?}");
        }
    }
    assert!(crate::support::arrived(&port.rig.courier).is_empty(), "none of them is a request");
}
