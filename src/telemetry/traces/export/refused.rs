//! How many spans a collector refused in an answer that accepts the others (OTLP, "Partial
//! Success").
//!
//! It is one number of a Protobuf message, and the exporter of the SDK only logs it.

/// What a field holds.
enum Value<'a> {
    Number(u64),
    Octets(&'a [u8]),
}

/// `rejected_spans` (field 1) of `partial_success` (field 1) in the answer; 0 if it has none, or is
/// not such a message.
pub(super) fn rejected_spans(answer: &[u8]) -> u64 {
    let Some(Value::Octets(partly)) = first(answer) else { return 0 };
    let Some(Value::Number(spans)) = first(partly) else { return 0 };
    // The number is signed; a negative one counts as 0.
    i64::try_from(spans).map_or(0, i64::cast_unsigned)
}

/// The last field 1 of a message, which is the one that counts; `None` if there is none, or if the
/// bytes are not a message.
fn first(mut message: &[u8]) -> Option<Value<'_>> {
    let mut found = None;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => Value::Octets(message.split_off(..8)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Value::Octets(message.split_off(..length)?)
            }
            5 => Value::Octets(message.split_off(..4)?),
            _ => return None,
        };
        if key >> 3 == 1 {
            found = Some(value);
        }
    }
    found
}

/// Takes a number off the front of `octets`: seven bits a byte, the lowest first.
fn varint(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let octet = *octets.split_off_first()?;
        number |= u64::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use proptest::prelude::*;
    use prost::Message;

    #[test]
    fn the_number_is_found_in_what_the_specification_lets_a_collector_say() {
        for (answer, spans) in [
            (&b""[..], 0),
            (b"\x0a\x00", 0),
            (b"\x0a\x02\x08\x03", 3),
            (b"\x0a\x03\x08\xac\x02", 300),
            (b"\x0a\x06\x08\x02\x12\x02no", 2),
            (b"\x0a\x06\x12\x02no\x08\x02", 2),
            (b"\x0a\x04\x12\x02no", 0),
            (b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0),
        ] {
            assert_eq!(rejected_spans(answer), spans, "{answer:x?}");
        }
    }

    #[test]
    fn what_is_cut_or_no_such_message_refuses_nothing() {
        for answer in [&b"\x0a\x03\x08\x03"[..], b"\x0a\x02\x08\x83", b"{}", b"\x08\x03", b"\xff"] {
            assert_eq!(rejected_spans(answer), 0, "{answer:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_an_end(octets: Vec<u8>) {
            prop_assert!(i64::try_from(rejected_spans(&octets)).is_ok());
        }

        #[test]
        fn what_others_write_is_read_as_they_mean_it(
            rejected_spans: i64, error_message: String, other in 2_u8..16, more: u64,
        ) {
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
            let mut answer = vec![other << 3 | 1];
            answer.extend(more.to_le_bytes());
            ExportTraceServiceResponse { partial_success }.encode(&mut answer).unwrap();
            prop_assert_eq!(super::rejected_spans(&answer), rejected_spans.max(0).cast_unsigned());
        }
    }
}
