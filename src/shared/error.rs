//! What can go wrong with a command or a connection, in words that hold no secret.
//!
//! An answer of the server's is told by its first word only (`WRONGPASS`). What follows may repeat
//! the command that it refuses, and with it a password.

use std::fmt;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio_rustls::rustls;

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// There is no connection now. Nothing was sent.
    Away,
    /// No answer came in time. The command may have been carried out, or may still be.
    TimedOut,
    /// The connection broke. The command may have been carried out.
    Lost(Arc<str>),
    /// Redis said no.
    Refused(Arc<str>),
    /// Redis gave an answer of another kind than this command has.
    Unreadable,
    /// Gateways of another version keep something else there.
    OtherSchema,
}

impl StoreError {
    /// What the error of the library means.
    pub(super) fn of(error: &RedisError) -> Self {
        if let Some(word) = word(error) {
            return Self::Refused(with_meaning(word).into());
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Refused(with_meaning("WRONGPASS").into()),
            ErrorKind::RESP3NotSupported => {
                Self::Refused("it knows no HELLO: Redis 7 or later is needed".into())
            }
            ErrorKind::MasterNameNotFoundBySentinel => {
                Self::Refused("no sentinel knows a primary of that name that answers".into())
            }
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Self::Unreadable,
            _ if error.is_timeout() => Self::TimedOut,
            _ => Self::Lost(broken(error).into()),
        }
    }

    /// The word of the outcome in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::TimedOut => "timed-out",
            Self::Lost(_) => "lost",
            Self::Refused(_) => "refused",
            Self::Unreadable | Self::OtherSchema => "unreadable",
        }
    }

    /// Whether the connection itself may be at fault, so that somebody has to look.
    pub(super) fn casts_doubt(&self) -> bool {
        match self {
            Self::Away | Self::Unreadable | Self::OtherSchema => false,
            Self::TimedOut | Self::Lost(_) => true,
            Self::Refused(cause) => {
                REASONS[..DOUBTFUL].iter().any(|(word, _)| *word == first(cause))
            }
        }
    }

    /// Whether Redis does not know the script, so that nothing was carried out.
    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Refused(cause) if first(cause) == "NOSCRIPT")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("there is no connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Lost(cause) | Self::Refused(cause) => f.write_str(cause),
            Self::Unreadable => f.write_str("the answer cannot be read"),
            Self::OtherSchema => f.write_str(
                "a gateway of another version keeps its data there in another form: give this one another shared.prefix, or stop the others and remove the key that ends in {0}:schema",
            ),
        }
    }
}

impl std::error::Error for StoreError {}

/// Of [`REASONS`], those after which the whole connection is looked at.
const DOUBTFUL: usize = 8;

/// First words of refusals, and what they mean to an operator.
const REASONS: [(&str, &str); 12] = [
    ("READONLY", "it is a replica, which takes no writes"),
    ("NOAUTH", "it wants a password: shared.password is missing"),
    ("WRONGPASS", "shared.user and shared.password do not fit"),
    ("LOADING", "it is reading its data, after a start"),
    ("MASTERDOWN", "it has lost its primary"),
    ("CLUSTERDOWN", "its cluster does not serve all slots"),
    ("NOREPLICAS", "it has too few replicas to take writes"),
    ("MISCONF", "it takes no writes, since it cannot save them"),
    ("OOM", "its memory is full"),
    ("NOPERM", "the user may not do this, or not with these keys"),
    ("NOSCRIPT", "it does not know the script"),
    ("BUSY", "a script is running for too long"),
];

fn first(cause: &str) -> &str {
    cause.split(':').next().unwrap_or_default()
}

fn with_meaning(word: &str) -> String {
    match REASONS.iter().find(|(known, _)| *known == word) {
        Some((_, meaning)) => format!("{word}: {meaning}"),
        None => word.to_owned(),
    }
}

/// The first word of the server's answer, if it has the form of one.
fn word(error: &RedisError) -> Option<&str> {
    // The library's own name for a plain ERR is not used: people look for what Redis says.
    if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) {
        return Some("ERR");
    }
    let code = error.code()?;
    let fits = code.len() <= 24 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    Some(if fits { code } else { "ERR" })
}

/// How a connection broke, or why there was none.
fn broken(error: &RedisError) -> String {
    let source = std::error::Error::source(error);
    let inner =
        source.and_then(|source| source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let Some(io) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) else {
        return "the connection broke".into();
    };
    match io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => format!("TLS: {tls}"),
        None => io.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> StoreError {
        let reply = format!("-{line}\r\n");
        let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
        StoreError::of(&value.extract_error().unwrap_err())
    }

    #[test]
    fn a_refusal_is_told_by_its_first_word_and_never_by_the_rest() {
        for (line, told) in [
            ("WRONGPASS invalid username-password pair", "WRONGPASS: shared.user"),
            ("NOPERM this user has no permissions: hunter2", "NOPERM: the user may not"),
            ("READONLY You can't write", "READONLY: it is a replica"),
            ("ERR unknown command 'AUTH', with args beginning with: 'hunter2'", "ERR"),
            ("hunter2 is no word of Redis", "ERR"),
            ("NEWWORD of a later version", "NEWWORD"),
        ] {
            let error = server(line).to_string();
            assert!(error.starts_with(told) && !error.contains("hunter2"), "{line}: {error}");
        }
    }

    #[test]
    fn only_what_the_connection_may_be_at_fault_for_casts_doubt_on_it() {
        for (error, doubt) in [
            (server("READONLY x"), true),
            (server("LOADING x"), true),
            (server("NOPERM x"), false),
            (server("ERR x"), false),
            (StoreError::TimedOut, true),
            (StoreError::Away, false),
        ] {
            assert_eq!(error.casts_doubt(), doubt, "{error}");
        }
        assert!(server("NOSCRIPT No matching script").is_unknown_script());
        assert!(!server("ERR x").is_unknown_script());
    }

    #[test]
    fn a_connection_that_was_refused_says_so() {
        let io = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(StoreError::of(&io.into()), StoreError::Lost("connection refused".into()));
        let late = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(StoreError::of(&late.into()), StoreError::TimedOut);
    }
}
