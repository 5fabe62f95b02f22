use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TEXT: &[u8] = b"{\"type\":\"authentication_error\",\"message\":\"pk_prod_token\"}";

fn decoded(coding: &'static str, octets: &[u8]) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    decode(&headers, octets)
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Made with Python's gzip and zlib and the packages brotli and zstandard.
fn coded() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "gzip",
            hex(
                "1f8b0800000000000203ab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa0500e9effa5439000000",
            ),
        ),
        (
            "X-Gzip",
            hex(
                "1f8b0800000000000203ab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa0500e9effa5439000000",
            ),
        ),
        (
            "deflate",
            hex(
                "789cab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa050063001528",
            ),
        ),
        (
            "deflate",
            hex(
                "ab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa0500",
            ),
        ),
        (
            "br",
            hex(
                "1b3800f88dd462cd19eea4dbbcfedd8f4809499032d611a50e4b5f4a32504785032efb43af03e0572b8e72b8b28e0559445080ded6ac690906",
            ),
        ),
        (
            "zstd",
            hex(
                "28b52ffd2039c901007b2274797065223a2261757468656e7469636174696f6e5f6572726f72222c226d657373616765223a22706b5f70726f645f746f6b656e227d",
            ),
        ),
        (
            "identity, gzip",
            hex(
                "1f8b0800000000000203ab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa0500e9effa5439000000",
            ),
        ),
        (
            "deflate, gzip",
            hex(
                "1f8b0800000000000203013f00c0ff789cab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa050063001528a37bd76a3f000000",
            ),
        ),
    ]
}

#[test]
fn every_coding_that_clients_accept_is_undone() {
    for (coding, octets) in coded() {
        assert_eq!(decoded(coding, &octets).as_deref(), Some(TEXT), "{coding}");
    }
    assert_eq!(decoded("identity", TEXT).as_deref(), Some(TEXT));
}

#[test]
fn what_is_cut_unknown_or_nested_too_deep_is_not_undone() {
    for (coding, octets) in coded() {
        for end in 0..octets.len() {
            let read = decoded(coding, &octets[..end]);
            assert!(read.is_none_or(|text| TEXT.starts_with(&text)), "{coding} {end}");
        }
    }
    assert_eq!(decoded("compress", TEXT), None);
    assert_eq!(decoded("gzip", TEXT), None);
    assert_eq!(
        decoded(
            "gzip, gzip, gzip",
            &hex(
                "1f8b0800000000000203ab562aa92c4855b2524a2c2dc948cd2bc94c4e2cc9cccf8b4f2d2aca2f52d251ca4d2d2e4e4c072928c88e2f28ca4f892fc9cf4ecd53aa0500e9effa5439000000"
            )
        ),
        None
    );
}

/// What a decoder holds at once, and what comes of it.
fn held(coding: &'static str, octets: &[u8]) -> (u64, Option<Vec<u8>>) {
    let mut read = None;
    let info = allocation_counter::measure(|| read = decoded(coding, octets));
    (info.bytes_max, read)
}

/// One block of zstd that stands for 64 MiB: 500 matches as long as can be.
fn zstd_bomb() -> Vec<u8> {
    let mut frame = hex("28b52ffd0068");
    frame.extend(b"\x40\0\0abcdefgh");
    let mut block = hex("087881f454000034");
    block.extend([0xff; 1000]);
    block.push(1);
    let head = u32::try_from(block.len()).unwrap() << 3 | 0b101;
    frame.extend_from_slice(&head.to_le_bytes()[..3]);
    frame.extend(block);
    frame
}

fn gzipped(text: impl Read) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(text, flate2::Compression::best());
    encoder.read_to_end(&mut coded).unwrap();
    coded
}

#[test]
fn a_bomb_is_not_undone_and_no_decoder_holds_more_than_a_window_and_a_little() {
    let gzip = |length: u64| gzipped(std::io::repeat(0).take(length));
    let mut zeros = hex("28b52ffd0068");
    zeros.extend(hex("02001000").repeat(100));
    zeros.extend(hex("03001000"));
    let deep = gzip(100 << 20);
    for (coding, octets) in [
        ("gzip", gzip(MOST as u64 + 1)),
        ("gzip", [gzip(MOST as u64 / 2), gzip(MOST as u64 / 2), gzip(1)].concat()),
        ("gzip", gzip(1).repeat(PARTS + 1)),
        ("gzip, gzip", gzipped(&deep[..])),
        // 16 MiB and 5 octets, a window of 16 MiB.
        ("br", hex("cfffff7ff82700e2b14020f7fe1f040001000000000003")),
        // A window of 64 MiB, which only large ones are.
        ("br", hex("115a8c01e09f0008c402011d")),
        ("zstd", zstd_bomb()),
        ("zstd", zeros),
        // A frame that wants a window of 16 MiB.
        ("zstd", hex("28b52ffd0070010000")),
    ] {
        let (most, read) = held(coding, &octets);
        assert_eq!(read, None, "{coding} {}", octets.len());
        assert!(most < 20 << 20, "{coding}, {} octets: {most}", octets.len());
    }
    assert_eq!(decoded("gzip", &gzip(MOST as u64)).unwrap().len(), MOST);
}

#[test]
fn an_answer_that_was_decoded_says_nothing_of_its_coded_octets() {
    let mut headers = HeaderMap::new();
    for name in OF_THE_CODED.iter().chain([&header::CONTENT_TYPE, &header::VARY]) {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    now_plain(&mut headers);
    assert_eq!(headers.len(), 2);
    assert!(headers.contains_key(header::CONTENT_TYPE) && headers.contains_key(header::VARY));
}

#[test]
fn what_stands_behind_is_not_handed_on_and_parts_are_one_text() {
    for (coding, octets) in coded() {
        let behind = [&octets[..], b"pk_prod_token"].concat();
        // The outer coding of two has it behind.
        assert_eq!(decoded(coding, &behind).as_deref(), Some(TEXT), "{coding}");
    }
    let parts = [gzipped(&TEXT[..20]), gzipped(&b""[..]), gzipped(&TEXT[20..])].concat();
    assert_eq!(decoded("gzip", &parts).as_deref(), Some(TEXT));
    // Made with zstd 1.5.4.
    let parts = hex(concat!(
        "28b52ffd0458a100007b2274797065223a2261757468656e7469636174f09ab2de28b52ffd0458290100",
        "696f6e5f6572726f72222c226d657373616765223a22706b5f70726f645f746f6b656e227d7e855609",
    ));
    assert_eq!(decoded("zstd", &parts).as_deref(), Some(TEXT));
    // Brotli with a window of 16 MiB, as RFC 7932 has it at the most.
    let wide = hex(concat!(
        "1f3800f88dd462cd19eea4dbbcfedd8f4809499032d611a50e4b5f4a32504785032efb43af03e0572b8e",
        "72b8b28e0559445080ded6ac690906",
    ));
    assert_eq!(decoded("br", &wide).as_deref(), Some(TEXT));
}

#[test]
fn nothing_in_any_coding_is_nothing() {
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, br", "compress", "identity"] {
        assert_eq!(decoded(coding, b"").as_deref(), Some(&b""[..]), "{coding}");
    }
}

proptest! {
    /// No octets of Courier's can end a thread or fill its memory.
    #[test]
    fn what_is_damaged_is_undone_or_not(
        which in 0..coded().len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (coding, mut octets) = coded().swap_remove(which);
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        let (most, read) = held(coding, &octets);
        prop_assert!(most < 20 << 20 && read.is_none_or(|text| text.len() <= MOST), "{most}");
    }
}
