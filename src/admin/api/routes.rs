//! Every path of the admin port, and what is behind it.

use std::pin::Pin;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use super::{
    Ask, Page, audit, calls, keys, live, overrides, reload, session, usage, views, whatif,
};
use crate::error::{Code, Error};
use crate::local_reply::{self, JSON};
use crate::runtime::State;

/// One method of one path.
pub(super) struct ApiRoute {
    /// `GET` stands for `HEAD`, too.
    pub(super) method: &'static str,
    /// With `{…}` for a part that is looked up.
    pub(super) path: &'static str,
    /// The word in the audit.
    pub(super) act: &'static str,
    pub(super) view: RouteView,
}

type Awaited<'a> = Pin<Box<dyn Future<Output = Page> + Send + 'a>>;

/// What answers.
#[derive(Clone, Copy)]
pub(super) enum RouteView {
    /// For those who came in.
    Shown(fn(&State, &Ask) -> Page),
    /// The same, of what has to be awaited.
    Later(for<'a> fn(&'a State, &'a Ask) -> Awaited<'a>),
    /// For those who show their key.
    LogIn,
}

const fn get(path: &'static str, view: fn(&State, &Ask) -> Page) -> ApiRoute {
    ApiRoute { method: "GET", path, act: "ask", view: RouteView::Shown(view) }
}

const fn later(
    path: &'static str,
    view: for<'a> fn(&'a State, &'a Ask) -> Awaited<'a>,
) -> ApiRoute {
    ApiRoute { method: "GET", path, act: "ask", view: RouteView::Later(view) }
}

const fn change(
    (method, path): (&'static str, &'static str),
    act: &'static str,
    view: for<'a> fn(&'a State, &'a Ask) -> Awaited<'a>,
) -> ApiRoute {
    ApiRoute { method, path, act, view: RouteView::Later(view) }
}

/// One line a path.
pub(super) const ROUTES: &[ApiRoute] = &[
    get("/api/version", session::version),
    get("/api/session", session::session),
    ApiRoute { method: "POST", path: "/api/login", act: "login", view: RouteView::LogIn },
    ApiRoute {
        method: "POST",
        path: "/api/logout",
        act: "logout",
        view: RouteView::Shown(session::log_out),
    },
    get("/api/openapi.json", openapi),
    get("/api/overview", live::overview),
    get("/api/events", live::events),
    get("/api/connections", views::connections),
    get("/api/connections/{id}", views::connection),
    get("/api/history", views::history),
    later("/api/cache", |s, ask| Box::pin(views::cache(s, ask))),
    get("/api/vendor", views::vendor),
    later("/api/usage", |s, ask| Box::pin(usage::usage(s, ask))),
    later("/api/whatif", |s, ask| Box::pin(whatif::what_if(s, ask))),
    get("/api/configuration", views::configuration),
    get("/api/calls", calls::list),
    get("/api/calls/under-way", calls::under_way),
    get("/api/calls/{id}", calls::one),
    get("/api/keys", keys::list),
    change(("POST", "/api/keys/{id}/revoke"), "revoke-key", |s, ask| {
        Box::pin(keys::revoke(s, ask))
    }),
    get("/api/overrides", overrides::list),
    change(("POST", "/api/overrides"), "override", |s, ask| Box::pin(overrides::make(s, ask))),
    change(("DELETE", "/api/overrides/{id}"), "end-override", |s, ask| {
        Box::pin(overrides::end(s, ask))
    }),
    change(("POST", "/api/purge"), "purge", |s, ask| Box::pin(overrides::purge(s, ask))),
    change(("POST", "/api/reload"), "reload", |s, ask| Box::pin(reload::reload(s, ask))),
    get("/api/audit", audit::audit),
];

/// The description of the whole port.
pub(super) const OPENAPI: &str = include_str!("../openapi.json");

fn openapi(_: &State, _: &Ask) -> Page {
    Ok(local_reply::no_store(local_reply::text(StatusCode::OK, JSON, OPENAPI)))
}

impl ApiRoute {
    /// Whether it changes something, for which a key needs the right.
    pub(super) fn changes(&self) -> bool {
        self.method != "GET" && !matches!(self.act, "login" | "logout")
    }
}

/// The route of `path`, and the part of it that is looked up.
///
/// # Errors
/// There is none, or it takes other methods.
pub(super) fn find<'a>(
    method: &Method,
    path: &'a str,
) -> Result<(&'static ApiRoute, &'a str), Error> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let there: Vec<_> = at(path).collect();
    let found = there.iter().find(|(route, _)| route.method == method.as_str());
    match (found, there.is_empty()) {
        (Some(found), _) => Ok(*found),
        (None, true) => Err(unknown()),
        (None, false) => {
            let names = there.iter().map(|(route, _)| match route.method {
                "GET" => "GET, HEAD",
                method => method,
            });
            let allow = names.collect::<Vec<_>>().join(", ");
            let detail = format!("this path takes {allow}");
            let error = Error::refused(Code::MethodNotAllowed, detail);
            Err(match HeaderValue::from_str(&allow) {
                Ok(allow) => error.with_header(header::ALLOW, allow),
                Err(_) => error,
            })
        }
    }
}

/// The routes of `path`, a path without `{…}` before one with it.
fn at(path: &str) -> impl Iterator<Item = (&'static ApiRoute, &str)> {
    let plain = ROUTES.iter().any(|route| route.path == path);
    ROUTES.iter().filter_map(move |route| match route.path == path {
        true => Some((route, "")),
        false if plain => None,
        false => Some((route, part(route.path, path)?)),
    })
}

/// What stands in `path` where `pattern` has `{…}`.
fn part<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (before, rest) = pattern.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(part)
}

/// There is no such path.
pub(super) fn unknown() -> Error {
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    Error::refused(Code::UnknownOperation, format!("the paths are {}", paths.join(", ")))
}

/// What was asked for, in words that hold nothing of what was sent.
pub(super) fn named(method: &Method, path: &str) -> (&'static str, String) {
    match find(method, path) {
        Ok((route, _)) => (route.act, format!("{} {}", route.method, route.path)),
        Err(_) => match at(path).next() {
            Some((route, _)) => ("ask", format!("another method of {}", route.path)),
            None => ("ask", "a path that is not there".to_owned()),
        },
    }
}
