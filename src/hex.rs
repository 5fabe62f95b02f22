//! Hex digits, two an octet: not worth a dependency.

use std::fmt;

/// Writes the digits of `octets` in lower case, as far as `digits` has room.
pub fn write(octets: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, octet) in digits.as_chunks_mut::<2>().0.iter_mut().zip(octets) {
        *pair = [DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]];
    }
}

/// Octets that are written in lower case.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        self.0.chunks(digits.len() / 2).try_for_each(|octets| {
            write(octets, &mut digits);
            let text = std::str::from_utf8(&digits[..2 * octets.len()]);
            f.write_str(text.map_err(|_| fmt::Error)?)
        })
    }
}

/// The `N` octets that `digits` are, in either case; `None` for anything else.
pub fn octets<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut octets = [0; N];
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn octets_are_read_as_they_are_written_in_either_case(all: [u8; 8]) {
            let text = Hex(&all).to_string();
            prop_assert_eq!(&text, &format!("{:016x}", u64::from_be_bytes(all)));
            prop_assert_eq!(octets(text.as_bytes()), Some(all));
            prop_assert_eq!(octets(text.to_uppercase().as_bytes()), Some(all));
        }

        #[test]
        fn only_as_many_digits_as_there_are_to_be_are_read(text in "[0-9a-gA-G+ ]{0,6}") {
            let whole = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
            prop_assert_eq!(octets::<2>(text.as_bytes()).is_some(), whole);
        }
    }
}
