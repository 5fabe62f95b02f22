//! The gzip format (RFC 1952) with uncompressed blocks (RFC 1951, 3.2.4).
//!
//! The result is valid, and needs no compressor.

/// The largest stored block.
const BLOCK: usize = 65_535;

/// Wraps bytes so that any gzip reader gives them back.
pub(crate) fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> =
        if bytes.is_empty() { vec![bytes] } else { bytes.chunks(BLOCK).collect() };
    for (n, block) in blocks.iter().enumerate() {
        let len = u16::try_from(block.len()).expect("a block is at most 65 535 bytes");
        out.push(u8::from(n + 1 == blocks.len()));
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32(bytes).to_le_bytes());
    let size = u32::try_from(bytes.len() as u64 % (1 << 32)).expect("the remainder fits 32 bits");
    out.extend_from_slice(&size.to_le_bytes());
    out
}

/// CRC-32 as gzip uses it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_texts_become_several_blocks() {
        let out = stored(&[7; 70_000]);
        assert_eq!(out.len(), 10 + 5 + 65_535 + 5 + 4465 + 8);
        assert_eq!(out[11..15], [0xff, 0xff, 0, 0]);
        assert_eq!((out[10], out[10 + 5 + 65_535]), (0, 1));
    }
}
