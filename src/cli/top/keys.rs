//! What a terminal sends when somebody types, as keys.

/// A key that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPress {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    /// Ctrl-C, or nobody types any more.
    Interrupt,
}

/// Octets that are not a whole key yet.
#[derive(Default)]
pub(super) struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    /// The keys that are whole now.
    pub(super) fn push(&mut self, octets: &[u8]) -> Vec<KeyPress> {
        self.rest.extend_from_slice(octets);
        let mut keys = Vec::new();
        while let Some((key, used)) = first(&self.rest) {
            keys.extend(key);
            self.rest.drain(..used);
        }
        keys
    }

    /// True while it waits for the rest of a key.
    pub(super) fn is_waiting(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Nothing followed: Escape was a key of its own, and anything else was none.
    pub(super) fn give_up(&mut self) -> Option<KeyPress> {
        let rest = std::mem::take(&mut self.rest);
        (rest == [0x1b]).then_some(KeyPress::Escape)
    }
}

/// The first key and its octets; none while it is not whole. Some octets are no key.
fn first(octets: &[u8]) -> Option<(Option<KeyPress>, usize)> {
    let one = |key: KeyPress| Some((Some(key), 1));
    match *octets.first()? {
        b'\r' | b'\n' => one(KeyPress::Enter),
        0x7f | 0x08 => one(KeyPress::Backspace),
        0x03 => one(KeyPress::Interrupt),
        0x1b => sequence(octets),
        octet if octet < 0x20 => Some((None, 1)),
        octet => {
            let length = match octet {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let whole = octets.get(..length)?;
            let c = std::str::from_utf8(whole).ok().and_then(|text| text.chars().next());
            Some((c.map(KeyPress::Char), if c.is_some() { length } else { 1 }))
        }
    }
}

/// What begins with Escape: an arrow, a key that means nothing here, or Escape itself.
fn sequence(octets: &[u8]) -> Option<(Option<KeyPress>, usize)> {
    match octets.get(1)? {
        b'[' | b'O' => {
            let end = octets[2..].iter().position(|octet| (0x40..=0x7e).contains(octet))? + 2;
            let key = match octets[end] {
                b'A' if end == 2 => Some(KeyPress::Up),
                b'B' if end == 2 => Some(KeyPress::Down),
                _ => None,
            };
            Some((key, end + 1))
        }
        _ => Some((Some(KeyPress::Escape), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(octets: &[u8]) -> Vec<KeyPress> {
        Decoder::default().push(octets)
    }

    #[test]
    fn arrows_letters_and_orders_are_told_apart() {
        use KeyPress::{Backspace, Char, Down, Enter, Escape, Interrupt, Up};
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Up, Down]);
        assert_eq!(keys(b"q\r\x7f\x03"), [Char('q'), Enter, Backspace, Interrupt]);
        assert_eq!(keys("é世".as_bytes()), [Char('é'), Char('世')]);
        assert_eq!(keys(b"\x1b[3~\x1b[1;5Ax"), [Char('x')]);
        assert_eq!(keys(b"\x1bx"), [Escape, Char('x')]);
    }

    #[test]
    fn escape_alone_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        assert!(decoder.push(b"\x1b").is_empty() && decoder.is_waiting());
        assert_eq!(decoder.give_up(), Some(KeyPress::Escape));
        assert!(!decoder.is_waiting() && decoder.give_up().is_none());
    }

    proptest! {
        #[test]
        fn keys_are_the_same_however_their_octets_arrive(
            octets in proptest::collection::vec(any::<u8>(), 0..40), at in 0_usize..40
        ) {
            let (one, two) = octets.split_at(at.min(octets.len()));
            let mut decoder = Decoder::default();
            let mut parts = decoder.push(one);
            parts.extend(decoder.push(two));
            prop_assert_eq!(parts, keys(&octets));
        }
    }
}
