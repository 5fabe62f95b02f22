//! What an app may do, in words of the catalogue.
//!
//! | scope | covers |
//! | --- | --- |
//! | `*` | every row but those that must be named |
//! | `*.read` | the reads among them |
//! | `<group>` | every row of the group |
//! | `<group>.read` | the reads among them |
//! | `<operation id>` | that row |
//! | `unlisted` | paths outside the catalogue |

use crate::catalog::{Access, Catalog, Operation};
use crate::words::{did_you_mean, nearest};

/// The scopes of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    All { read_only: bool },
    Group { name: String, read_only: bool },
    Operation(String),
    Unlisted,
}

impl Scopes {
    /// Reads the words of one app.
    ///
    /// # Errors
    /// The index of each word that the catalogue does not know, with a text that says what would be
    /// right.
    pub fn parse(words: &[String], catalog: &Catalog) -> Result<Self, Vec<(usize, String)>> {
        let mut scopes = Vec::with_capacity(words.len());
        let mut wrong = Vec::new();
        for (at, word) in words.iter().enumerate() {
            match Scope::parse(word, catalog) {
                Some(scope) => scopes.push(scope),
                None => wrong.push((at, unknown(word, catalog))),
            }
        }
        if wrong.is_empty() { Ok(Self(scopes)) } else { Err(wrong) }
    }

    /// True if one of the scopes covers `operation`.
    #[must_use]
    pub fn allow(&self, operation: &Operation) -> bool {
        let read = operation.access == Access::Read;
        self.0.iter().any(|scope| match scope {
            Scope::All { read_only } => !operation.named && (read || !read_only),
            Scope::Group { name, read_only } => *name == operation.group && (read || !read_only),
            Scope::Operation(id) => **id == *operation.id,
            Scope::Unlisted => false,
        })
    }

    /// The words as the configuration has them.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// True if paths outside the catalogue may be called.
    #[must_use]
    pub fn allow_unlisted(&self) -> bool {
        self.0.contains(&Scope::Unlisted)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, read_only) = match self {
            Self::All { read_only } => ("*", *read_only),
            Self::Group { name, read_only } => (name.as_str(), *read_only),
            Self::Operation(id) => (id.as_str(), false),
            Self::Unlisted => ("unlisted", false),
        };
        write!(f, "{name}{}", if read_only { ".read" } else { "" })
    }
}

impl Scope {
    fn parse(word: &str, catalog: &Catalog) -> Option<Self> {
        if word == "unlisted" {
            return Some(Self::Unlisted);
        }
        if catalog.operations().iter().any(|row| &*row.id == word) {
            return Some(Self::Operation(word.to_owned()));
        }
        let (name, read_only) = match word.strip_suffix(".read") {
            Some(name) => (name, true),
            None => (word, false),
        };
        if name == "*" {
            return Some(Self::All { read_only });
        }
        catalog.groups().contains(name).then(|| Self::Group { name: name.to_owned(), read_only })
    }
}

fn unknown(word: &str, catalog: &Catalog) -> String {
    let groups: Vec<&str> = catalog.groups().into_iter().collect();
    let known = catalog.operations().iter().map(|row| &*row.id).chain(groups.iter().copied());
    // After a group that exists, only a word of that group is suggested, because another verb is
    // another right.
    if let Some((group, verb)) = word.split_once('.')
        && groups.contains(&group)
    {
        return in_group(word, group, verb, catalog);
    }
    let reads: Vec<String> = groups.iter().map(|group| format!("{group}.read")).collect();
    let near = did_you_mean(word, known.chain(reads.iter().map(String::as_str)));
    format!(
        "no scope '{word}'{near}: use '*', '*.read', 'unlisted', an operation id, or one of the groups {} (each also with '.read')",
        groups.join(", ")
    )
}

fn in_group(word: &str, group: &str, verb: &str, catalog: &Catalog) -> String {
    let rows = catalog.operations().iter().filter(|row| row.group == group);
    let ids: Vec<&str> = rows.map(|row| &*row.id).collect();
    let own = ids.iter().filter_map(|id| id.split_once('.')).map(|(_, verb)| verb);
    let verb = verb.to_ascii_lowercase();
    let slip = |near: &&str| strsim::damerau_levenshtein(&verb, near) <= 2 && near.len() > 3;
    let near = nearest(&verb, own.chain(["read"])).filter(slip);
    let near = near.map_or_else(String::new, |near| format!(": did you mean '{group}.{near}'?"));
    format!(
        "no scope '{word}'{near}: use '{group}' for all of it, '{group}.read' for its reads, or one of {}",
        ids.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(words: &[&str]) -> Vec<String> {
        let catalog = Catalog::courier();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let scopes = Scopes::parse(&words, &catalog).unwrap();
        let rows = catalog.operations().iter();
        rows.filter(|row| scopes.allow(row)).map(|row| row.id.to_string()).collect()
    }

    #[test]
    fn the_star_leaves_out_what_mints_tokens_or_holds_credentials() {
        let groups = ["auth", "providers", "inbound", "client"];
        let all = allowed(&["*"]);
        assert!(all.iter().all(|id| groups.iter().all(|g| !id.starts_with(&format!("{g}.")))));
        let catalog = Catalog::courier();
        let denied = catalog.operations().iter().filter(|row| groups.contains(&row.group.as_str()));
        assert_eq!(all.len() + denied.count(), catalog.operations().len());
    }

    #[test]
    fn a_group_a_read_and_a_single_operation_cover_what_they_say() {
        assert_eq!(allowed(&["audit_events"]), ["audit_events.list", "audit_events.get"]);
        assert_eq!(allowed(&["brands.read"]), ["brands.list", "brands.get"]);
        assert_eq!(allowed(&["messages.send"]), ["messages.send"]);
        assert_eq!(allowed(&["auth"]), ["auth.issue_token"]);
        assert!(allowed(&["unlisted"]).is_empty() && allowed(&[]).is_empty());
        assert!(allowed(&["*.read"]).contains(&"messages.get".to_owned()));
        assert!(!allowed(&["*.read"]).contains(&"providers.list".to_owned()));
    }

    #[test]
    fn another_verb_is_never_suggested_and_a_slip_is() {
        let catalog = Catalog::courier();
        let said =
            |word: &str| Scopes::parse(&[word.to_owned()], &catalog).unwrap_err().remove(0).1;
        let write = said("profiles.write");
        assert!(!write.contains("did you mean"), "{write}");
        assert!(
            write.contains("'profiles' for all") && write.contains("profiles.delete"),
            "{write}"
        );
        assert!(said("profiles.raed").contains("did you mean 'profiles.read'"));
        assert!(said("messages.READ").contains("did you mean 'messages.read'"));
        assert!(said("brands.lst").contains("did you mean 'brands.list'"));
    }

    #[test]
    fn an_unknown_scope_is_refused_with_the_accepted_words() {
        let catalog = Catalog::courier();
        let words = ["brands".to_owned(), "brand".to_owned(), "*.write".to_owned()];
        let wrong = Scopes::parse(&words, &catalog).unwrap_err();
        assert_eq!(wrong.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
        assert!(wrong[0].1.contains("'brand'") && wrong[0].1.contains("brands"), "{}", wrong[0].1);
    }
}
