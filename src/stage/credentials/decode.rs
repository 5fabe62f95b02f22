//! Undoes the content codings of an error, so that it can be read: it may be about our token, or hold
//! it (RFC 9110 section 8.4).
//!
//! No more than 64 KiB come in and 1 MiB goes out, a few milliseconds' work at the most.

use std::io::Read;

use http::header::{self, HeaderMap, HeaderName};

/// Octets of a decoded error at most.
const MOST: usize = 1 << 20;

/// Codings one above the other at most.
const DEEPEST: usize = 2;

/// Octets that a decoder of zstd may have to remember (RFC 9659 section 3).
const WINDOW: u64 = 8 << 20;

/// Fields that speak of the coded octets.
const OF_THE_CODED: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("repr-digest"),
];

/// The octets of `body` as they were before the codings that `headers` name; `None` if they can't be
/// had.
pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    let fields = headers.get_all(header::CONTENT_ENCODING).iter();
    let names: Option<Vec<&str>> = fields.map(|value| value.to_str().ok()).collect();
    let names = names?.join(",").to_ascii_lowercase();
    let codings = names.split(',').map(str::trim).filter(|name| !["", "identity"].contains(name));
    let mut codings: Vec<_> = codings.collect();
    if codings.len() > DEEPEST {
        return None;
    }
    let mut octets = body.to_vec();
    // They are listed in the order in which they were applied.
    while let Some(coding) = codings.pop() {
        octets = undo(coding, &octets)?;
    }
    Some(octets)
}

/// Removes what was true of the coded octets only.
pub(super) fn now_plain(headers: &mut HeaderMap) {
    for name in &OF_THE_CODED {
        headers.remove(name);
    }
}

fn undo(coding: &str, octets: &[u8]) -> Option<Vec<u8>> {
    match coding {
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(octets)),
        // What is called `deflate` is in zlib's format; some send it bare.
        "deflate" if is_zlib(octets) => read(flate2::read::ZlibDecoder::new(octets)),
        "deflate" => read(flate2::read::DeflateDecoder::new(octets)),
        "br" => read(brotli_decompressor::Decompressor::new(octets, 4096)),
        "zstd" if zstd_window(octets)? <= WINDOW => {
            read(ruzstd::decoding::StreamingDecoder::new(octets).ok()?)
        }
        _ => None,
    }
}

fn read(decoder: impl Read) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    decoder.take(MOST as u64 + 1).read_to_end(&mut octets).ok()?;
    (octets.len() <= MOST).then_some(octets)
}

/// Whether they begin as RFC 1950 section 2.2 has it.
fn is_zlib(octets: &[u8]) -> bool {
    let &[method, flags, ..] = octets else { return false };
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0
}

/// The window of a frame (RFC 8878 section 3.1.1.1).
fn zstd_window(octets: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = octets else { return None };
    if descriptor & 0x20 == 0 {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // It is as large as its content, whose size stands behind the dictionary's number.
    let content = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    let (length, offset) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..length].copy_from_slice(content.get(..length)?);
    u64::from_le_bytes(size).checked_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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

    #[test]
    fn a_bomb_is_not_undone() {
        let mut coded = Vec::new();
        let zeros = std::io::repeat(0).take(MOST as u64 + 1);
        flate2::read::GzEncoder::new(zeros, flate2::Compression::best())
            .read_to_end(&mut coded)
            .unwrap();
        assert!(coded.len() < 2000);
        assert_eq!(decoded("gzip", &coded), None);
        // A frame that wants a window of 16 MiB.
        assert_eq!(zstd_window(&hex("28b52ffd0070")), Some(16 << 20));
        assert_eq!(decoded("zstd", &hex("28b52ffd0070010000")), None);
        assert_eq!(zstd_window(&hex("28b52ffd600001")), Some(512));
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
}
