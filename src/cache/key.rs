//! What makes two reads the same. Pure, but for a secret that each process draws once.
//!
//! A key can't be built without a connection. It covers the header fields that may change an
//! answer: all that are sent, or those by which the answers of its URL are known to be told apart.
//! Its parts are length-delimited and hashed to 128 bits under the secret (SipHash-1-3, twice), so
//! that a key costs no allocation and nobody can find two reads that have one. Whose answer it is
//! stands beside the hash: whatever the hash says, no connection gets the copy of another.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::LazyLock;

use http::header::{HeaderMap, HeaderName};
use http::uri::PathAndQuery;

use crate::ids::ConnectionId;

/// One read of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// That of its parts: no two connections ever have the same.
    epoch: u64,
    hash: u128,
}

/// One for each half of a hash.
static SECRETS: LazyLock<[RandomState; 2]> =
    LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// What a key is made of beside header fields.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// Whose credential is used.
    pub connection: &'a ConnectionId,
    /// Counts the credentials and places that all connections have had: one of each has this one.
    pub epoch: u64,
    /// The id of the row.
    pub operation: &'a str,
    /// Stands for the collections that the row's answers are built from: copies of a row that had
    /// others in an earlier configuration are told apart, since their generations are other sums.
    pub reads: u64,
    /// Path and query as sent.
    pub target: &'a PathAndQuery,
}

/// Length-delimited parts on their way into the hash.
struct Writer {
    epoch: u64,
    halves: [DefaultHasher; 2],
}

impl CacheKey {
    /// The key of a read, told apart from others by the fields `names` of `headers` only.
    #[must_use]
    pub fn listed(parts: Parts<'_>, headers: &HeaderMap, names: &[HeaderName]) -> Self {
        let mut writer = Writer::new(parts);
        names.iter().for_each(|name| writer.field(headers, name));
        writer.finish()
    }

    /// The key of a read that is sent with all of `headers`.
    #[must_use]
    pub fn whole(parts: Parts<'_>, headers: &HeaderMap) -> Self {
        let mut names: Vec<&HeaderName> = headers.keys().collect();
        names.sort_unstable_by_key(|name| name.as_str());
        let mut writer = Writer::new(parts);
        names.into_iter().for_each(|name| writer.field(headers, name));
        writer.finish()
    }

    /// The key of one among the answers of this one, which the fields `names` of `headers` select:
    /// this one itself if there are none.
    #[must_use]
    pub fn variant(&self, headers: &HeaderMap, names: &[HeaderName]) -> Self {
        if names.is_empty() {
            return *self;
        }
        let mut writer = Writer::empty(self.epoch);
        writer.text(&self.hash.to_be_bytes());
        names.iter().for_each(|name| writer.field(headers, name));
        writer.finish()
    }

    /// The key of the answer to this very request: all of `headers` tell it apart.
    #[must_use]
    pub fn whole_variant(&self, headers: &HeaderMap) -> Self {
        let mut names: Vec<HeaderName> = headers.keys().cloned().collect();
        names.sort_unstable_by(|one, two| one.as_str().cmp(two.as_str()));
        self.variant(headers, &names)
    }

    /// Spreads what is done for many keys: 0 to 255.
    #[must_use]
    pub fn dice(&self) -> u8 {
        self.hash.to_be_bytes()[0]
    }
}

impl Writer {
    fn empty(epoch: u64) -> Self {
        Self { epoch, halves: SECRETS.each_ref().map(RandomState::build_hasher) }
    }

    fn new(parts: Parts<'_>) -> Self {
        let mut writer = Self::empty(parts.epoch);
        writer.text(parts.connection.as_str().as_bytes());
        writer.text(parts.operation.as_bytes());
        writer.number(parts.reads);
        writer.text(parts.target.path().as_bytes());
        writer.query(parts.target.query());
        writer
    }

    fn number(&mut self, number: u64) {
        self.halves.iter_mut().for_each(|half| half.write_u64(number));
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a head that was read is shorter than 4 GiB");
        self.halves.iter_mut().for_each(|half| half.write_u32(count));
    }

    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.halves.iter_mut().for_each(|half| half.write(text));
    }

    /// Sorted by name; parameters of one name keep their order, and values are left as they are.
    fn query(&mut self, query: Option<&str>) {
        let Some(query) = query else { return self.count(0) };
        if !query.contains('&') {
            self.count(1);
            return self.text(query.as_bytes());
        }
        let mut parameters: Vec<&str> = query.split('&').collect();
        parameters.sort_by_key(|parameter| parameter.split('=').next().unwrap_or_default());
        self.count(parameters.len());
        parameters.into_iter().for_each(|parameter| self.text(parameter.as_bytes()));
    }

    fn field(&mut self, headers: &HeaderMap, name: &HeaderName) {
        let values = headers.get_all(name);
        self.text(name.as_str().as_bytes());
        self.count(values.iter().count());
        values.iter().for_each(|value| self.text(value.as_bytes()));
    }

    fn finish(self) -> CacheKey {
        let [high, low] = self.halves.map(|half| u128::from(half.finish()));
        CacheKey { epoch: self.epoch, hash: high << 64 | low }
    }
}

/// The fields `names` of `headers`: all that a cacheable read sends.
#[must_use]
pub fn only<'a>(headers: &HeaderMap, names: impl IntoIterator<Item = &'a HeaderName>) -> HeaderMap {
    let mut listed = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            listed.append(name.clone(), value.clone());
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE};
    use proptest::prelude::*;

    fn connection(name: &str) -> ConnectionId {
        ConnectionId::try_from(name.to_owned()).unwrap()
    }

    fn key(owner: &str, target: &str, headers: &HeaderMap) -> CacheKey {
        let (connection, target) = (connection(owner), target.parse().unwrap());
        let parts = Parts {
            connection: &connection,
            epoch: 0,
            operation: "brands.list",
            reads: 0,
            target: &target,
        };
        CacheKey::listed(parts, headers, &[ACCEPT, ACCEPT_LANGUAGE])
    }

    fn plain(target: &str) -> CacheKey {
        key("acme", target, &HeaderMap::new())
    }

    #[test]
    fn parameters_are_sorted_by_name_and_their_values_left_alone() {
        assert_eq!(plain("/brands?b=2&a=1"), plain("/brands?a=1&b=2"));
        assert_ne!(
            plain("/brands?a=1&a=2"),
            plain("/brands?a=2&a=1"),
            "the order may mean something"
        );
        assert_ne!(plain("/brands?a=x"), plain("/brands?a=X"));
        assert_ne!(plain("/brands?a=%20"), plain("/brands?a=+"));
        assert_ne!(plain("/brands?"), plain("/brands"));
    }

    #[test]
    fn connections_and_paths_never_meet() {
        let none = HeaderMap::new();
        assert_ne!(key("acme", "/brands", &none), key("umbrella", "/brands", &none));
        assert_ne!(plain("/brands"), plain("/Brands"));
    }

    #[test]
    fn a_changed_credential_is_another_key() {
        let (connection, target) = (connection("acme"), "/brands".parse().unwrap());
        let of = |epoch| {
            let parts =
                Parts { connection: &connection, epoch, operation: "b", reads: 0, target: &target };
            CacheKey::whole(parts, &HeaderMap::new())
        };
        assert_ne!(of(0), of(1));
    }

    #[test]
    fn only_listed_fields_count_and_only_they_are_sent() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=b"));
        assert_eq!(key("acme", "/brands", &headers), plain("/brands"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
        assert_ne!(key("acme", "/brands", &headers), plain("/brands"));
        let sent = only(&headers, &[ACCEPT, ACCEPT_LANGUAGE]);
        assert_eq!(sent.keys().collect::<Vec<_>>(), [ACCEPT]);
    }

    #[test]
    fn variants_differ_by_the_values_and_by_the_names_that_select_them() {
        let (url, mut headers) = (plain("/brands"), HeaderMap::new());
        let none = url.variant(&headers, &[]);
        assert_eq!(none, url, "nothing is told apart");
        let absent = url.variant(&headers, &[ACCEPT]);
        headers.insert(ACCEPT, HeaderValue::from_static(""));
        assert_ne!(url.variant(&headers, &[ACCEPT]), absent, "empty is not absent");
        assert_ne!(url.variant(&headers, &[COOKIE]), absent);
        assert_ne!(absent, url);
        assert_eq!(url.variant(&headers, &[]), none);
        assert_eq!(url.variant(&headers, &[COOKIE]), url.variant(&HeaderMap::new(), &[COOKIE]));
        assert_ne!(plain("/lists").variant(&headers, &[]), none);
    }

    proptest! {
        /// Two requests have one key exactly when all that is sent is the same.
        #[test]
        fn a_key_is_what_is_sent(
            a in prop::collection::vec(("[ab]", "[xy=]{0,2}"), 0..4),
            b in prop::collection::vec(("[ab]", "[xy=]{0,2}"), 0..4),
            accept in prop::collection::vec("[a-c,]{0,3}", 0..3),
            other in prop::collection::vec("[a-c,]{0,3}", 0..3),
        ) {
            let target = |pairs: &[(String, String)]| {
                let text: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
                format!("/brands?{}", text.join("&"))
            };
            let sorted = |pairs: &[(String, String)]| {
                let mut pairs = pairs.to_vec();
                pairs.sort_by(|one, two| one.0.cmp(&two.0));
                pairs
            };
            let fields = |values: &[String]| {
                let values = values.iter().map(|v| (ACCEPT, HeaderValue::from_str(v).unwrap()));
                let mut headers = HeaderMap::new();
                values.for_each(|(name, value)| { headers.append(name, value); });
                headers
            };
            let same = sorted(&a) == sorted(&b) && accept == other;
            let one = key("acme", &target(&a), &fields(&accept));
            let two = key("acme", &target(&b), &fields(&other));
            prop_assert_eq!(one == two, same);
        }
    }
}
