//! Puts stars in place of what may be a secret, in a message that repeats what somebody wrote.

use crate::secret;

/// A word of this length is not a name, since names that people write are shorter.
const LONG_NAME: usize = 40;
/// From this length on, a word of capitals, small letters and digits is not a name.
const LONG_MIX: usize = 24;
/// The shortest word that is taken for a token.
const SHORT: usize = 12;
/// Added once to a message with stars.
const NOTE: &str = " (*** may be a secret and is not shown)";

/// `message`, with stars in place of each word, or end of a word, that may be a secret.
#[must_use]
pub fn veiled(message: String) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut starred = false;
    for piece in message.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        let kept = harmless(word);
        shown.push_str(&word[..kept]);
        if kept < word.len() {
            shown.push_str("***");
            starred = true;
        }
        shown.push_str(&piece[word.len()..]);
    }
    if !starred {
        return message;
    }
    shown + NOTE
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || "'\"`,;()[]{}".contains(c)
}

/// How many of the first bytes of `word` can be shown.
fn harmless(word: &str) -> usize {
    // The @ of an address comes after a user and a password.
    if let Some((before, _)) = word.split_once('@')
        && before.contains(':')
    {
        return 0;
    }
    // The ? of an address comes before its parameters.
    let query = word
        .find('?')
        .map(|at| at + 1)
        .filter(|at| word[*at..].contains(|c: char| c.is_ascii_alphanumeric()));
    let path = word.starts_with('/');
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut at = 0;
    for part in word.split_inclusive(|c| !in_name(c)) {
        let name = part.trim_end_matches(|c| !in_name(c));
        if begins_as_secret(name) || (!path && looks_random(name)) {
            return query.map_or(at, |query| query.min(at));
        }
        at += part.len();
    }
    query.unwrap_or(word.len())
}

/// True if `name` begins like Courier's tokens or the gateway's keys. Short words without digits
/// are names.
fn begins_as_secret(name: &str) -> bool {
    let begins = secret::begins_as_couriers(name.as_bytes()) || name.starts_with("tg_");
    let digit = name.bytes().any(|b| b.is_ascii_digit());
    begins && (name.len() >= LONG_MIX || (digit && name.len() >= SHORT))
}

fn looks_random(name: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| name.as_bytes().iter().any(kind);
    let mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    name.len() > LONG_NAME || (mixed && name.len() >= LONG_MIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_starred_and_names_are_not() {
        for (text, shown) in [
            ("no key 'pk_prod_0123456789' here", "no key '***' here"),
            ("'tenant.tg_k1_0123456789'", "'tenant.***'"),
            ("'Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6'", "'Bearer ***'"),
            ("'https://h/x?token=a' is", "'https://h/x?***' is"),
            ("'h/pk_prod_0123456789?token=a'", "'h/***'"),
            ("'https://u:p@h'", "'***'"),
            ("'dk_test_0123456789$ä'", "'***'"),
        ] {
            assert_eq!(veiled(text.into()), format!("{shown}{NOTE}"));
        }
        for text in [
            "there is no key 'lisen' in 'server': did you mean 'listen'?: use it",
            "environment variable 'token_of_acme' is not set: is it?",
            "'/tmp/A-very-Long-folder-Of-2026-with-many-names-in-it/x'",
            "key 'tg_' and pk_prod_",
            "ops@acme.example",
        ] {
            assert_eq!(veiled(text.into()), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_shows_a_token(before in "\\PC{0,9}[ '=./?]", token in "[a-z0-9]{12}", after in "\\PC{0,9}") {
            let text = veiled(format!("{before}pk_prod_{token}1{after}"));
            proptest::prop_assert!(!text.contains(&token), "{}", text);
        }
    }
}
