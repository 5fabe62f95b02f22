//! Each layer of the way in, on a clock that stands still.

mod cors;
mod finish;
mod route;
mod validate;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use tower::{Layer, Service};

use crate::call::testing::{Leaf, now, opened, reply, text};
use crate::call::{self, Reply, Request, Result, StageLayer, Staged};
use crate::error::{Code, Error, Outcome};
use crate::record::layer::Opened;

/// A request with these fields, and a host.
fn request(method: Method, target: &str, fields: &[(&'static str, &'static str)]) -> Request {
    let mut request = http::Request::new(call::empty());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers(&[&[("host", "gateway.example")], fields].concat());
    request
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

/// `reply` with these fields.
fn with(mut reply: Reply, fields: &[(&'static str, &'static str)]) -> Reply {
    for (name, value) in fields {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        reply.headers_mut().append(name, value);
    }
    reply
}

/// A layer on what answers with `it`.
fn on_it<T>(layer: &StageLayer<T>) -> (Staged<T, Leaf<Opened>>, Leaf<Opened>) {
    let leaf = Leaf::new(|_, _| now(Ok(reply(200, "it"))));
    (layer.layer(leaf.clone()), leaf)
}

fn close() -> (HeaderName, HeaderValue) {
    (http::header::CONNECTION, HeaderValue::from_static("close"))
}
