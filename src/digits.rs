//! Numbers as text, straight into a buffer: what every answer and every line has is not worth the
//! machinery of `format!`.

use bytes::BufMut;

/// Appends `number`.
pub fn number(text: &mut impl BufMut, number: impl Into<u64>) {
    serde_json::to_writer(text.writer(), &number.into()).expect("a number is always JSON");
}

/// Appends a thousandth of `number`, with its three places.
pub fn thousandth(text: &mut impl BufMut, thousands: u64) {
    number(text, thousands / 1000);
    places(text, thousands);
}

/// Appends a point, and the last three digits of `thousands`.
pub fn places(text: &mut impl BufMut, thousands: u64) {
    text.put_slice(&last_three(thousands));
}

/// Appends a thousandth of `number` as JSON writes it: without zeros at the end, but with one place.
pub fn shortest_thousandth(text: &mut impl BufMut, thousands: u64) {
    number(text, thousands / 1000);
    let places = last_three(thousands);
    let zeros = places[2..].iter().rev().take_while(|digit| **digit == b'0').count();
    text.put_slice(&places[..places.len() - zeros]);
}

/// A point, and the three places behind it.
fn last_three(thousands: u64) -> [u8; 4] {
    let digit = |unit: u64| b"0123456789"[usize::try_from(thousands / unit % 10).unwrap_or(0)];
    [b'.', digit(100), digit(10), digit(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = b"<".to_vec();
        write(&mut text);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_and_json_do(all: u64, few in 0..2_000_000_u64) {
            prop_assert_eq!(written(|text| number(text, all)), format!("<{all}"));
            for n in [few, few * 10, few * 1000] {
                let (whole, rest) = (n / 1000, n % 1000);
                prop_assert_eq!(written(|text| thousandth(text, n)), format!("<{whole}.{rest:03}"));
                #[expect(clippy::cast_precision_loss, reason = "so small a number has no loss")]
                let json = serde_json::to_string(&(n as f64 / 1e3)).unwrap();
                prop_assert_eq!(written(|text| shortest_thousandth(text, n)), format!("<{json}"));
            }
        }
    }
}
