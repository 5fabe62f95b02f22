//! The table `[server.cors]`: pages in browsers that may call the gateway.

use http::{HeaderValue, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pages in browsers. A page has no safe place for a key: better let its own server call.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorsTable {
    /// Origins whose pages may call, such as `"https://app.example"`, or `"*"` for all. Default:
    /// none; a browser then refuses every answer to a page. Cookies are never allowed.
    pub origins: Vec<String>,
}

impl CorsTable {
    /// The origins as values of a header field.
    #[must_use]
    pub fn values(&self) -> Vec<HeaderValue> {
        self.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()
    }

    /// What is wrong: the place in the list, and the reason.
    #[must_use]
    pub fn problems(&self) -> Vec<(usize, String)> {
        let wrong = self.origins.iter().enumerate().filter(|(_, text)| !is_origin(text));
        let say = |text: &String| {
            format!(
                "'{text}' is no origin: write scheme, host and port as browsers do, such as \"https://app.example\", or \"*\""
            )
        };
        wrong.map(|(at, text)| (at, say(text))).collect()
    }
}

/// The serialisation of an origin (RFC 6454 section 6.2), or `*`. Browsers write it in lower case,
/// without a path and without a default port. Anything else would never match.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return text == "*" };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return text == "*";
    };
    let usual = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    format!("{scheme}://{authority}") == text
        && !text.contains('@')
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        && (usual.is_none() || authority.port_u16() != usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_writes() {
        for good in ["*", "https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "app.example",
            "https://app.example/",
            "https://app.example/x",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://u@app.example",
            "https://*.example ",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
