//! Where `Location`, `Content-Location` and `Link` of an answer lead.
//!
//! A client follows them against the address that it asked, which is the gateway's. So what leads
//! to the vendor's base becomes a path, on the way in; the way out puts the caller's
//! `/c/<connection>` before it. What leads elsewhere is a whole URI, so that the two can't be mixed
//! up. In between, in copies and remembered answers, a reference is neither the vendor's nor a
//! caller's.
//!
//! RFC 3986 sections 4 and 5 (references), RFC 9110 sections 8.7 and 10.2.2, RFC 8288 section 3.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};

use crate::paths;

/// The fields that hold one reference.
const SINGLE: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];

/// Where the vendor's API is, and what was asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// `http` or `https`.
    pub scheme: &'a Scheme,
    /// Host and port.
    pub authority: &'a Authority,
    /// What stands before every path; empty or `/…` without a `/` at its end.
    pub prefix: &'a str,
    /// Path and query of the call, without the prefix.
    pub target: &'a str,
}

/// Writes the references of an answer without the vendor's address. What can't be read is dropped.
pub fn neutral(headers: &mut HeaderMap, base: Base) {
    for name in &SINGLE {
        // Of several, clients take the first or the last.
        if headers.get_all(name).iter().nth(1).is_some() {
            headers.remove(name);
        }
        change(headers, name, |text| base.resolve(text.trim()));
    }
    change(headers, &header::LINK, |text| links(text, |target| base.resolve(target)));
}

/// Writes the references of an answer as its caller can follow them: below `/c/<connection>` if it
/// asked there, or where a path would be taken for something else of the gateway's.
pub fn outward(headers: &mut HeaderMap, connection: &str, asked_there: bool) {
    let below = |path: &str| {
        let ours = ["/c/", "/.tollgate"].iter().any(|own| path.starts_with(own));
        match path.starts_with('/') && (asked_there || ours) {
            true => format!("/c/{connection}{path}"),
            false => path.to_owned(),
        }
    };
    for name in &SINGLE {
        change(headers, name, |text| Some(below(text)));
    }
    change(headers, &header::LINK, |text| links(text, |target| Some(below(target))));
}

/// Whether the `Location` of an answer that went through [`neutral`] leads to another host.
#[must_use]
pub fn leads_elsewhere(headers: &HeaderMap) -> bool {
    headers.get(header::LOCATION).is_some_and(|value| !value.as_bytes().starts_with(b"/"))
}

/// Changes each value of a field; one that can't be changed goes.
fn change(headers: &mut HeaderMap, name: &HeaderName, to: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    let changed: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| HeaderValue::try_from(to(value.to_str().ok()?)?).ok())
        .collect();
    headers.remove(name);
    for value in changed {
        headers.append(name.clone(), value);
    }
}

// === impl Base ===

impl Base<'_> {
    /// A reference as a path below the prefix, or as a whole URI; `None` if clients could read it
    /// in two ways.
    fn resolve(&self, reference: &str) -> Option<String> {
        if !reference.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>".contains(&b)) {
            return None;
        }
        if let Some((scheme, rest)) = scheme(reference) {
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Some(reference.to_owned());
            }
            // Without slashes browsers take it for a relative one, others for a whole one.
            return self.of_host(scheme, rest.strip_prefix("//")?);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return self.of_host(self.scheme.as_str(), rest);
        }
        let asked = self.target.split(['?', '#']).next().unwrap_or("/");
        let whole = match reference.bytes().next() {
            Some(b'/') => reference.to_owned(),
            None | Some(b'#') => format!("{}{}{reference}", self.prefix, self.target),
            Some(b'?') => format!("{}{asked}{reference}", self.prefix),
            Some(_) => {
                let folder = asked.rfind('/').map_or("/", |end| &asked[..=end]);
                format!("{}{folder}{reference}", self.prefix)
            }
        };
        self.of_path(&whole)
    }

    /// What stands behind `//`: an authority, and a path.
    fn of_host(&self, scheme: &str, rest: &str) -> Option<String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !self.is_here(scheme, authority) {
            return (!authority.is_empty()).then(|| format!("{scheme}://{rest}"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        self.of_path(&format!("{slash}{path}"))
    }

    /// Whether `authority` is the vendor's; a password in it is somebody else's business.
    fn is_here(&self, scheme: &str, authority: &str) -> bool {
        // The dot at the end of a whole name says nothing more (RFC 1034 section 3.1).
        let name = |whole: &Authority| {
            let host = whole.host();
            host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
        };
        let Ok(there) = authority.parse::<Authority>() else { return false };
        if authority.contains('@') || name(&there) != name(self.authority) {
            return false;
        }
        let default = |scheme: &str| if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
        let (ours, theirs) = (default(self.scheme.as_str()), default(scheme));
        let Some(port) = port(&authority[there.host().len()..], theirs) else { return false };
        let here = self.authority.port_u16().unwrap_or(ours);
        // The vendor's other scheme, too: a redirect to `https` is one to the base.
        port == here || (here == ours && port == theirs)
    }

    /// A path of the vendor's host: below the prefix it is a path of the gateway's. `None` if
    /// clients could read it as another one, such as `%2e%2e`, which browsers climb by.
    fn of_path(&self, whole: &str) -> Option<String> {
        let (path, rest) = whole.split_at(whole.find(['?', '#']).unwrap_or(whole.len()));
        let path = without_dots(path);
        match path.strip_prefix(self.prefix) {
            // Two slashes at its start would be a host.
            Some(below) if below.starts_with('/') && !below.starts_with("//") => {
                paths::check(below).ok().map(|()| format!("{below}{rest}"))
            }
            Some("") => Some(format!("/{rest}")),
            _ => Some(format!("{}://{}{path}{rest}", self.scheme, self.authority)),
        }
    }
}

/// The port that `text` behind a host says, by its digits alone.
fn port(text: &str, default: u16) -> Option<u16> {
    match text.strip_prefix(':') {
        Some("") => Some(default),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
        None => text.is_empty().then_some(default),
    }
}

/// The scheme of a reference that has one, and what follows its colon.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let mut octets = scheme.bytes();
    let starts = octets.next().is_some_and(|b| b.is_ascii_alphabetic());
    let goes_on = octets.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    (starts && goes_on).then_some((scheme, rest))
}

/// An absolute path without `.` and `..` (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// A list of links with each target and anchor changed; `None` if it is no such list or one can't
/// be.
fn links(list: &str, to: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut changed = String::new();
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (target, more) = rest.strip_prefix('<')?.split_once('>')?;
        let end = end_before(b',', more)?;
        let separator = if changed.is_empty() { "" } else { ", " };
        let parameters = parameters(more[..end].trim_end(), &to)?;
        changed.push_str(&format!("{separator}<{}>{parameters}", to(target.trim())?));
        rest = more[end..].trim_start_matches([' ', '\t', ',']);
    }
    Some(changed)
}

/// The parameters of a link, with what it is a link of changed (RFC 8288 section 3.2).
fn parameters(text: &str, to: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut changed = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let end = end_before(b';', text)?;
        changed.push(anchor(&text[..end], to)?);
        rest = text.get(end + 1..);
    }
    Some(changed.join(";"))
}

/// A parameter, changed if it is an anchor.
fn anchor(parameter: &str, to: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("anchor") => (name, value.trim()),
        _ => return Some(parameter.to_owned()),
    };
    let reference = match value.strip_prefix('"') {
        Some(quoted) => unescaped(quoted.strip_suffix('"')?),
        None => value.to_owned(),
    };
    Some(format!("{name}=\"{}\"", to(reference.trim())?))
}

/// What a quoted text says (RFC 9110 section 5.6.4).
fn unescaped(quoted: &str) -> String {
    let mut escaped = false;
    let says = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    quoted.chars().filter(says).collect()
}

/// Where the next `mark` outside of quotes stands, or the end. `None` if a quote stays open.
fn end_before(mark: u8, text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if octet == mark && !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

#[cfg(test)]
#[path = "references/tests.rs"]
mod tests;
