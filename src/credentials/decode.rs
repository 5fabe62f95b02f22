//! Undoes the content codings of an error, so that it can be read: it may be about our token, or
//! hold it (RFC 9110 section 8.4).
//!
//! No more than 64 KiB come in and 1 MiB goes out, and nothing waits in between: a thread holds
//! what one decoder remembers, 16 MiB at the most. What stands behind the coded octets is not
//! handed on, as it is not by clients.

use std::io::Read;

use http::header::{self, HeaderMap, HeaderName};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::call::SHORT;

/// Octets of a decoded error at most.
const MOST: usize = 1 << 20;

/// Codings one above the other at most.
const DEEPEST: usize = 2;

/// Parts of gzip or zstd one behind the other at most.
const PARTS: usize = 16;

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

/// The octets of `body` as they were before the codings that `headers` name; `None` if they can't
/// be had.
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
        // What was coded already is hardly longer than when it is coded again.
        let most = if codings.is_empty() { MOST } else { SHORT };
        octets = undo(coding, &octets, most)?;
    }
    Some(octets)
}

/// Removes what was true of the coded octets only.
pub(super) fn now_plain(headers: &mut HeaderMap) {
    for name in &OF_THE_CODED {
        headers.remove(name);
    }
}

fn undo(coding: &str, octets: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    match coding {
        // Some name a coding where there is nothing.
        _ if octets.is_empty() => {}
        "gzip" | "x-gzip" => gzip(octets, most, &mut decoded)?,
        // What is called `deflate` is in zlib's format; some send it bare.
        "deflate" if is_zlib(octets) => {
            read(flate2::read::ZlibDecoder::new(octets), most, &mut decoded)?;
        }
        "deflate" => read(flate2::read::DeflateDecoder::new(octets), most, &mut decoded)?,
        // Windows of up to 1 GiB are no part of RFC 7932, but the decoder knows them.
        "br" if octets[0] & 0x7f != 0x11 => {
            read(brotli_decompressor::Decompressor::new(octets, 4096), most, &mut decoded)?;
        }
        "zstd" => zstd(octets, most, &mut decoded)?,
        _ => return None,
    }
    Some(decoded)
}

/// Adds all that `decoder` gives, unless `decoded` gets longer than `most`.
fn read(decoder: impl Read, most: usize, decoded: &mut Vec<u8>) -> Option<()> {
    decoder.take((most - decoded.len()) as u64 + 1).read_to_end(decoded).ok()?;
    (decoded.len() <= most).then_some(())
}

/// Members one behind the other (RFC 1952 section 2.2).
fn gzip(mut octets: &[u8], most: usize, decoded: &mut Vec<u8>) -> Option<()> {
    for _ in 0..PARTS {
        let mut member = flate2::bufread::GzDecoder::new(octets);
        read(&mut member, most, decoded)?;
        octets = member.into_inner();
        if !octets.starts_with(&[0x1f, 0x8b]) {
            return Some(());
        }
    }
    None
}

/// Frames one behind the other (RFC 8878 section 3.1).
fn zstd(mut octets: &[u8], most: usize, decoded: &mut Vec<u8>) -> Option<()> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW);
    for _ in 0..PARTS {
        // One that is to be skipped, or a dictionary, is no answer's: it can't be read.
        decoder.init(&mut octets).ok()?;
        let room = BlockDecodingStrategy::UptoBytes(most - decoded.len() + 1);
        // It stops behind the block that is too long, of 128 KiB at the most.
        if !decoder.decode_blocks(&mut octets, room).ok()? {
            return None;
        }
        decoded.extend(decoder.collect()?);
        if decoded.len() > most {
            return None;
        }
        if !octets.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Some(());
        }
    }
    None
}

/// Whether they begin as RFC 1950 section 2.2 has it.
fn is_zlib(octets: &[u8]) -> bool {
    let &[method, flags, ..] = octets else { return false };
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0
}

#[cfg(test)]
mod tests;
