//! The live page: the files that a browser loads, as the port serves them.
//!
//! They are part of the program and hold no data, so they need no key. What they show, they ask of
//! the same port, as its other clients do.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};

use crate::cache::{accept, validate};
use crate::call::{self, Reply};
use crate::error::Error;
use crate::hex::Hex;
use crate::local_reply;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file's name, media type and text.
macro_rules! files {
    ($($name:literal $kind:ident),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("page/", $name)))),+]
    };
}

/// The page itself is first.
const TEXTS: &[(&str, &str, &str)] = files![
    "index.html" HTML,
    "style.css" CSS,
    "logo.svg" SVG,
    "acts.js" SCRIPT,
    "api.js" SCRIPT,
    "app.js" SCRIPT,
    "call.js" SCRIPT,
    "charts.js" SCRIPT,
    "dialog.js" SCRIPT,
    "dom.js" SCRIPT,
    "format.js" SCRIPT,
    "live.js" SCRIPT,
    "login.js" SCRIPT,
    "parts.js" SCRIPT,
    "slots.js" SCRIPT,
    "theme.js" SCRIPT,
    "view-cache.js" SCRIPT,
    "view-calls.js" SCRIPT,
    "view-changes.js" SCRIPT,
    "view-configuration.js" SCRIPT,
    "view-connection.js" SCRIPT,
    "view-overview.js" SCRIPT,
    "view-usage.js" SCRIPT,
    "view-vendor.js" SCRIPT,
    "whatif.js" SCRIPT,
];

/// Each file in both forms, made when the first is asked for.
static FILES: LazyLock<Vec<PageFile>> = LazyLock::new(|| TEXTS.iter().map(PageFile::of).collect());

/// A file, ready to be sent.
struct PageFile {
    name: &'static str,
    plain: Form,
    packed: Form,
}

/// One form of a file.
struct Form {
    fields: HeaderMap,
    octets: Bytes,
}

/// What is at `path`, if it is a part of the page.
pub(super) fn file(method: &Method, path: &str, asked: &HeaderMap) -> Option<Result<Reply, Error>> {
    let file = match path {
        "/" => FILES.first()?,
        _ => {
            let name = path.strip_prefix("/assets/")?;
            FILES.iter().find(|file| file.name == name)?
        }
    };
    let may = local_reply::get_or_head(method, "the page is read with GET or HEAD");
    Some(may.map(|()| file.reply(asked)))
}

impl PageFile {
    fn of((name, kind, text): &(&'static str, &'static str, &'static str)) -> Self {
        let octets = Bytes::from_static(text.as_bytes());
        let hash = Hex(&Sha256::digest(&octets)).to_string();
        let packed = Form::of(kind, &format!("\"{hash}-gzip\""), gzip(&octets));
        let mut file = Self { name, plain: Form::of(kind, &format!("\"{hash}\""), octets), packed };
        file.packed.fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        file
    }

    /// Packed for who says that it reads that, and nothing for who has it.
    fn reply(&self, asked: &HeaderMap) -> Reply {
        let form = match accept::reads(asked, &self.packed.fields) {
            true => &self.packed,
            false => &self.plain,
        };
        let known = validate::has_it(asked, StatusCode::OK, &form.fields);
        let mut reply = Reply::new(match known {
            true => call::empty(),
            false => call::full(form.octets.clone()),
        });
        reply.headers_mut().clone_from(&form.fields);
        if known {
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            validate::not_modified(reply.headers_mut());
        }
        reply
    }
}

impl Form {
    fn of(kind: &'static str, tag: &str, octets: Bytes) -> Self {
        const FIELDS: [(HeaderName, &str); 2] =
            [(header::CACHE_CONTROL, "no-cache"), (header::VARY, "Accept-Encoding")];
        let mut fields = HeaderMap::new();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.extend(FIELDS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        let tag = HeaderValue::try_from(tag);
        fields.insert(header::ETAG, tag.expect("hex digits in quotes are a value"));
        Self { fields, octets }
    }
}

fn gzip(octets: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(octets).expect("a vector takes all");
    packer.finish().expect("a vector takes all").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let value = |value: &str| HeaderValue::try_from(value).unwrap();
        let name = |name: &str| HeaderName::try_from(name).unwrap();
        fields.iter().map(|(field, text)| (name(field), value(text))).collect()
    }

    fn get(path: &str, fields: &[(&str, &str)]) -> Reply {
        file(&Method::GET, path, &headers(fields)).unwrap().unwrap()
    }

    #[test]
    fn every_file_of_the_page_is_served_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut there: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut served: Vec<&str> = TEXTS.iter().map(|(name, ..)| *name).collect();
        there.sort();
        served.sort_unstable();
        assert_eq!(there, served);
        for path in ["/x", "/assets/", "/assets/x.js", "/assets/../page.rs", "/assets", "/api/x"] {
            assert!(file(&Method::GET, path, &HeaderMap::new()).is_none(), "{path}");
        }
        let post = file(&Method::POST, "/", &HeaderMap::new()).unwrap().unwrap_err();
        assert_eq!(post.code.status(), 405);
    }

    #[test]
    fn who_has_a_file_is_told_so_in_the_form_that_it_reads() {
        let plain = get("/", &[]);
        let packed = get("/", &[("accept-encoding", "br, gzip")]);
        assert!(plain.headers().get("content-encoding").is_none());
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert!(
            get("/", &[("accept-encoding", "gzip;q=0")]).headers()["etag"]
                == plain.headers()["etag"]
        );
        assert_ne!(packed.headers()["etag"], plain.headers()["etag"]);
        let tag = packed.headers()["etag"].to_str().unwrap();
        let again = get("/", &[("accept-encoding", "gzip"), ("if-none-match", tag)]);
        assert_eq!(again.status(), 304);
        assert_eq!(again.headers()["etag"], tag);
        assert_eq!(get("/", &[("if-none-match", tag)]).status(), 200, "the other form");
    }

    #[test]
    fn the_page_is_small_and_nothing_in_it_is_inline_or_from_elsewhere() {
        let octets: usize = FILES.iter().map(|file| file.packed.octets.len()).sum();
        assert!(octets <= 80 * 1024, "{octets}");
        for (name, _, text) in TEXTS {
            assert!(text.lines().count() <= 300, "{name} has more than 300 lines");
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            for word in ["http://", "https://", "innerHTML", "outerHTML", "eval(", "javascript:"] {
                assert!(!foreign.contains(word), "{name}: {word}");
            }
            for word in ["style=", "<style", "onclick=", "<script>"] {
                assert!(!name.ends_with("html") || !text.contains(word), "{name}: {word}");
            }
        }
    }
}
