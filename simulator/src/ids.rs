//! Identifiers in Courier's forms, drawn from one seeded generator.

use crate::time::Wall;

const BASE32: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ0123456789";
const LOWER32: &[u8] = b"abcdefghjkmnpqrstvwxyz0123456789";
const NANO: &[u8] = b"useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict";

/// SplitMix64: small, fast, and the same on every platform.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0.0..1.0`, with 53 random bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Makes ids. Only writes draw from it, so reads never change the ids of later writes.
#[derive(Clone, Debug)]
pub struct Ids(Rng);

impl Ids {
    /// A source whose ids follow from `seed` and the number drawn so far.
    pub const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// `1-<8 hex epoch seconds>-<24 hex>`: messages, requests, bulk jobs and runs (D2 examples).
    pub fn xray(&mut self, wall: Wall) -> String {
        let (a, b) = (self.0.next(), self.0.next() >> 32);
        format!("1-{:08x}-{a:016x}{b:08x}", wall.0 / 1000)
    }

    /// 28 upper-case base32 characters: brands and V1 templates (D2).
    pub fn base32(&mut self) -> String {
        self.text(BASE32, 28)
    }

    /// `<prefix>_` and 26 lower-case characters: V2 templates are `nt_…` (SK).
    pub fn prefixed(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.text(LOWER32, 26))
    }

    /// 21 characters of the nanoid alphabet: audit events (D2).
    pub fn nano(&mut self) -> String {
        self.text(NANO, 21)
    }

    fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        let n = alphabet.len() as u64;
        // The remainder is smaller than the alphabet, so the cast loses nothing.
        (0..len)
            .map(|_| char::from(alphabet[usize::try_from(self.0.next() % n).unwrap_or(0)]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_one_seed_are_always_the_same() {
        let (mut a, mut b) = (Ids::new(7), Ids::new(7));
        assert_eq!(a.base32(), b.base32());
        assert_eq!(a.nano(), b.nano());
        assert_ne!(a.base32(), Ids::new(8).base32());
    }

    #[test]
    fn the_first_group_of_a_request_id_is_its_time() {
        let id = Ids::new(1).xray(Wall(1_767_323_045_000));
        assert_eq!(&id[..11], "1-695735a5-");
        assert_eq!(id.len(), 35);
    }
}
