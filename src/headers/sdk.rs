//! Which of Courier's SDKs asks, and what its generation does without saying so. Pure.
//!
//! | generation | says who it is in |
//! | --- | --- |
//! | PyPI 1 to 5 | `User-Agent: courier-python/5.0.0` |
//! | npm 1 to 5 | `User-Agent: courier-node/5.7.0` |
//! | major 6 of both, and others made by Fern | `X-Fern-SDK-Name`, `X-Fern-SDK-Version`, `X-Fern-Language` |
//! | from major 7 on, made by Stainless | `X-Stainless-Lang`, `X-Stainless-Package-Version` |
//!
//! Whoever claims to be another one harms itself only.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, USER_AGENT};

const STAINLESS_LANG: HeaderName = HeaderName::from_static("x-stainless-lang");
const STAINLESS_VERSION: HeaderName = HeaderName::from_static("x-stainless-package-version");
const FERN_NAME: HeaderName = HeaderName::from_static("x-fern-sdk-name");
const FERN_LANGUAGE: HeaderName = HeaderName::from_static("x-fern-language");
const FERN_VERSION: HeaderName = HeaderName::from_static("x-fern-sdk-version");
const STAINLESS_RETRIES: HeaderName = HeaderName::from_static("x-stainless-retry-count");

use super::have_one;

/// Longest part of a name that is taken over.
const PART_MAX: usize = 16;

/// A generation of an SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdk {
    /// `language/version`, or the language alone.
    name: String,
    maker: Maker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// Written by hand.
    Courier,
    Fern,
    Stainless,
}

impl Sdk {
    /// The SDK that sent `headers`, if one of Courier's did.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if have_one(headers, &[STAINLESS_LANG, FERN_NAME])
            && let Some(sdk) = Self::named(headers)
        {
            return Some(sdk);
        }
        let agent = headers.get(USER_AGENT)?.to_str().ok()?;
        let (maker, language, version) = [
            (Maker::Courier, "python", "courier-python/"),
            (Maker::Courier, "js", "courier-node/"),
            (Maker::Stainless, "python", "Courier/Python "),
            (Maker::Stainless, "python", "AsyncCourier/Python "),
            (Maker::Stainless, "js", "Courier/JS "),
        ]
        .into_iter()
        .find_map(|(maker, language, start)| Some((maker, language, agent.strip_prefix(start)?)))?;
        let version = version.split(' ').next();
        Some(Self::new(
            maker,
            language,
            version.filter(|version| super::is_word(version, PART_MAX)),
        ))
    }

    /// The one that says its name in fields of its own.
    fn named(headers: &HeaderMap) -> Option<Self> {
        let word = |name: &HeaderName| super::word(headers, name, PART_MAX);
        if let Some(language) = word(&STAINLESS_LANG) {
            return Some(Self::new(Maker::Stainless, language, word(&STAINLESS_VERSION)));
        }
        headers.contains_key(&FERN_NAME).then(|| {
            let language = word(&FERN_LANGUAGE).unwrap_or("fern");
            let version = word(&FERN_VERSION);
            let version = version.map(|version| version.strip_prefix('v').unwrap_or(version));
            Self::new(Maker::Fern, language, version)
        })
    }

    fn new(maker: Maker, language: &str, version: Option<&str>) -> Self {
        let mut name = language.to_ascii_lowercase();
        if name == "javascript" {
            "js".clone_into(&mut name);
        }
        if let Some(version) = version {
            name.push('/');
            name.push_str(version);
        }
        Self { name, maker }
    }

    /// `language/version`, of short words that can stand in a log line.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It takes a time to come back of more than a minute for a slip, and comes back at once.
    #[must_use]
    pub fn heeds_a_minute(&self) -> bool {
        self.is("python") && self.maker != Maker::Fern
    }

    /// It says how often it has sent a request before. All others may send again, too, or the
    /// applications around them.
    #[must_use]
    pub fn counts_retries(&self) -> bool {
        self.maker == Maker::Stainless
    }

    /// How long its generation waits for an answer where its user has said nothing else.
    #[must_use]
    pub fn time_out(&self) -> Option<Duration> {
        let (python, js) = (self.is("python"), self.is("js"));
        let seconds = match self.maker {
            // Over TLS, from 1.4 on; npm up to 5 waits for ever.
            Maker::Courier if python => 5,
            Maker::Fern | Maker::Stainless if python || js => 60,
            _ => return None,
        };
        Some(Duration::from_secs(seconds))
    }

    /// It reads an error's message in an answer of exactly `application/json` only, and in no
    /// other.
    #[must_use]
    pub fn reads_plain_json_only(&self) -> bool {
        // npm 4.1.0 to 5.7.0: those before use axios, those after read any text as JSON.
        let fetch = ["js/4.", "js/5."].iter().any(|start| self.name.starts_with(start));
        fetch && self.maker == Maker::Courier
    }

    fn is(&self, language: &str) -> bool {
        self.name.split('/').next() == Some(language)
    }
}

/// What the client of a request does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// How often it has sent the request before, where it counts that.
    pub retries: Option<u32>,
    /// It is an SDK that sends again and does not count.
    pub retries_uncounted: bool,
    /// See [`Sdk::heeds_a_minute`].
    pub heeds_a_minute: bool,
    /// See [`Sdk::reads_plain_json_only`].
    pub reads_plain_json_only: bool,
    /// See [`Sdk::time_out`].
    pub time_out: Option<Duration>,
}

impl Habits {
    /// Of the client that sent `headers`, which is `sdk` if it is one.
    #[must_use]
    pub fn of(headers: &HeaderMap, sdk: Option<&Sdk>) -> Self {
        let retries = have_one(headers, &[STAINLESS_RETRIES])
            .then(|| super::word(headers, &STAINLESS_RETRIES, 4))
            .flatten()
            .and_then(|count| count.parse().ok());
        let Some(sdk) = sdk else { return Self { retries, ..Self::default() } };
        Self {
            retries,
            retries_uncounted: !sdk.counts_retries(),
            heeds_a_minute: sdk.heeds_a_minute(),
            reads_plain_json_only: sdk.reads_plain_json_only(),
            time_out: sdk.time_out(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    pub(super) fn sdk(fields: &[(&'static str, &'static str)]) -> Option<Sdk> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Sdk::of(&headers)
    }

    /// What each generation sent when it was looked at.
    #[test]
    fn every_generation_is_known_by_what_it_sends() {
        for (fields, name) in [
            (&[("user-agent", "courier-python/1.9.0")][..], "python/1.9.0"),
            (&[("user-agent", "courier-node/5.7.0")], "js/5.7.0"),
            (
                &[
                    ("user-agent", "@trycourier/courier/6.6.0"),
                    ("x-fern-sdk-name", "@trycourier/courier"),
                    ("x-fern-sdk-version", "6.6.0"),
                    ("x-fern-language", "JavaScript"),
                ],
                "js/6.6.0",
            ),
            (
                &[
                    ("user-agent", "python-httpx/0.28.1"),
                    ("x-fern-sdk-name", "trycourier"),
                    ("x-fern-sdk-version", "v6.2.1"),
                    ("x-fern-language", "Python"),
                ],
                "python/6.2.1",
            ),
            (&[("x-fern-sdk-name", "@trycourier/courier")], "fern"),
            (&[("x-stainless-lang", "js"), ("x-stainless-package-version", "7.10.2")], "js/7.10.2"),
            (&[("x-stainless-lang", "python")], "python"),
            (&[("user-agent", "AsyncCourier/Python 9.13.0")], "python/9.13.0"),
            (&[("user-agent", "Courier/JS 7.10.2")], "js/7.10.2"),
        ] {
            assert_eq!(sdk(fields).unwrap().name(), name, "{fields:?}");
        }
    }

    #[test]
    fn other_clients_and_odd_words_are_none() {
        for fields in [
            &[][..],
            &[("user-agent", "python-requests/2.32")],
            &[("user-agent", "my-courier-node/5.7.0")],
            &[("x-stainless-lang", "a \"b\"")],
            &[("x-stainless-lang", "py"), ("x-stainless-lang", "js")],
            &[("x-stainless-lang", "a-language-that-has-no-end")],
        ] {
            assert_eq!(sdk(fields), None, "{fields:?}");
        }
        assert_eq!(sdk(&[("user-agent", "courier-node/\"1\"")]).unwrap().name(), "js");
    }

    #[test]
    fn a_generations_own_time_out_is_known() {
        for (fields, seconds) in [
            (&[("user-agent", "courier-python/1.9.0")][..], Some(5)),
            (&[("user-agent", "courier-python/5.0.0")], Some(5)),
            (&[("user-agent", "courier-node/5.7.0")], None),
            (&[("x-fern-sdk-name", "trycourier"), ("x-fern-language", "Python")], Some(60)),
            (
                &[("x-fern-sdk-name", "@trycourier/courier"), ("x-fern-language", "JavaScript")],
                Some(60),
            ),
            (&[("x-fern-sdk-name", "courier-java"), ("x-fern-language", "JAVA")], None),
            (&[("x-stainless-lang", "js")], Some(60)),
            (&[("x-stainless-lang", "go")], None),
        ] {
            let time_out = sdk(fields).unwrap().time_out();
            assert_eq!(time_out, seconds.map(Duration::from_secs), "{fields:?}");
        }
    }

    #[test]
    fn two_majors_of_npm_read_plain_json_only() {
        for (version, only) in [
            ("courier-node/3.16.0", false),
            ("courier-node/4.1.0", true),
            ("courier-node/5.7.0", true),
            ("courier-node/50.0.0", false),
            ("courier-python/5.0.0", false),
            ("Courier/JS 5.0.0", false),
        ] {
            let sdk = sdk(&[("user-agent", version)]).unwrap();
            assert_eq!(sdk.reads_plain_json_only(), only, "{version}");
        }
    }

    #[test]
    fn pythons_alone_heed_a_minute_only() {
        for (agent, heeds) in [
            ("Courier/Python 9.13.0", true),
            ("AsyncCourier/Python 9.13.0", true),
            ("courier-python/5.0.0", true),
            ("Courier/JS 7.10.2", false),
            ("courier-node/5.7.0", false),
        ] {
            assert_eq!(sdk(&[("user-agent", agent)]).unwrap().heeds_a_minute(), heeds, "{agent}");
        }
        assert!(sdk(&[("x-stainless-lang", "Python")]).unwrap().heeds_a_minute());
    }
}
