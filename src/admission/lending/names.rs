//! Which ledger is whose.
//!
//! Replicas know a pool by several names: each token that pays it, and the name of its connection
//! or workspace. All are aliases of one ledger in the store. So a token can be replaced, or a
//! connection renamed, while other replicas still know it as it was.

use super::super::identity::Identity;
use super::error::LedgerError;
use crate::quota::replica::block_size;
use crate::shared::{Script, SharedStore};

/// Gives what the first known alias stands for, or else the argument, and lets all stand for it.
/// `ARGV[2]` is 1 if the argument is known to be right. An alias stays for good: one that was forgotten
/// while a gateway still goes by it would make a second ledger of one quota.
const ALIASES: &str = "
local name
if ARGV[2] == '0' then
  for _, key in ipairs(KEYS) do name = name or redis.call('GET', key) end
end
name = name or ARGV[1]
for _, key in ipairs(KEYS) do redis.call('SET', key, name) end
return name
";

/// Finds ledgers.
pub(crate) struct LedgerNames {
    store: SharedStore,
    script: Script,
}

/// The name of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerName {
    pub(crate) text: String,
    /// Slots that move together there.
    pub(crate) block: u32,
}

/// Where the ledger of a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerPlace {
    /// Who it is, the surest first.
    aliases: Vec<String>,
    calls: u32,
    known: Option<LedgerName>,
    /// The store that knows all aliases, as one word.
    told: String,
}

impl LedgerPlace {
    /// Of a pool of `calls` that goes by these.
    pub(crate) fn new(pool: &str, identities: &[Identity], calls: u32) -> Self {
        let aliases = identities.iter().map(|identity| format!("{pool}.{identity}"));
        Self { aliases: aliases.collect(), calls, known: None, told: String::new() }
    }

    /// It goes by the aliases of `now`.
    pub(crate) fn becomes(&mut self, now: Self) {
        if self.aliases != now.aliases {
            self.aliases = now.aliases;
            self.told.clear();
        }
        self.calls = now.calls;
    }

    /// The same as was found for `other`, unless it goes by others now.
    pub(crate) fn learns(&mut self, other: &Self) {
        self.known.clone_from(&other.known);
        if self.aliases == other.aliases {
            self.told.clone_from(&other.told);
        }
    }
}

impl LedgerName {
    /// The one under the surest alias, if nobody knows better.
    fn new(alias: &str, calls: u32) -> Self {
        let block = block_size(calls);
        Self { text: format!("{alias}.{block}"), block }
    }

    fn parse(text: &str) -> Option<Self> {
        let (_, block) = text.rsplit_once('.')?;
        let block = block.parse().ok().filter(|block| *block > 0)?;
        Some(Self { text: text.to_owned(), block })
    }
}

impl LedgerNames {
    pub(super) fn new(store: SharedStore) -> Self {
        Self { store, script: Script::new(ALIASES) }
    }

    /// The ledger of `place`. A store that is not the one of before is told of the aliases; which
    /// one it is says `store`.
    pub(crate) async fn find(
        &self,
        place: &mut LedgerPlace,
        store: &str,
    ) -> Result<LedgerName, LedgerError> {
        if let Some(known) = place.known.as_ref().filter(|_| place.told == store) {
            return Ok(known.clone());
        }
        let first = place.aliases.first().ok_or(LedgerError::Strange)?;
        let name = place.known.clone().unwrap_or_else(|| LedgerName::new(first, place.calls));
        let known: &[u8] = if place.known.is_some() { b"1" } else { b"0" };
        let keys: Vec<_> =
            place.aliases.iter().map(|alias| self.store.key("names", alias)).collect();
        let keys: Vec<_> = keys.iter().collect();
        let arguments = [name.text.as_bytes(), known];
        let found = self.store.eval(&self.script, &keys, &arguments).await?;
        let found = std::str::from_utf8(&found).ok().and_then(LedgerName::parse);
        let found = found.ok_or(LedgerError::Strange)?;
        (place.known, place.told) = (Some(found.clone()), store.to_owned());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_ledger_says_how_many_slots_move_together() {
        let name = LedgerName::new("own.ab", 1000);
        assert_eq!(name.text, "own.ab.8");
        assert_eq!(LedgerName::parse(&name.text), Some(name));
        for strange in ["", "own", "own.0", "own.x"] {
            assert_eq!(LedgerName::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_ledger_stays_the_same_and_is_told_again_when_its_aliases_change() {
        let identity = |octet| super::super::super::identity::testing(octet);
        let mut place = LedgerPlace::new("own", &[identity(1)], 100);
        place.known = LedgerName::parse("own.x.1");
        place.told = "store".into();
        place.becomes(LedgerPlace::new("own", &[identity(1)], 60));
        assert_eq!(place.told, "store");
        place.becomes(LedgerPlace::new("own", &[identity(2), identity(1)], 60));
        assert_eq!((place.told.as_str(), place.known.is_some()), ("", true));
    }
}
