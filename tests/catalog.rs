//! The embedded catalogue and the rule by which a request finds its row.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use http::Method;
use proptest::prelude::*;
use tollgate::catalog::{Catalog, Match, MethodPattern, Operation};

fn found(catalog: &Catalog, method: &str, path: &str) -> String {
    match catalog.find(&method.parse().unwrap(), path) {
        Match::Operation(row) => row.id.to_string(),
        Match::WrongMethod(allow) => format!("405 {}", allow.to_str().unwrap()),
        Match::Unknown => "404".into(),
    }
}

/// The rule as it is written: complete matches only, then literals win from the left.
fn by_the_rule<'a>(rows: &[&'a Operation], method: &Method, path: &str) -> Option<&'a str> {
    let segments: Vec<&str> = path.split('/').collect();
    let is_parameter = |segment: &str| segment.starts_with('{');
    let fits = |row: &&&Operation| {
        let template: Vec<&str> = row.path.split('/').collect();
        row.method == MethodPattern::Only(method.clone())
            && template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| {
                if is_parameter(part) { !segment.is_empty() } else { part == segment }
            })
    };
    let literal_first =
        |row: &&&Operation| row.path.split('/').map(is_parameter).collect::<Vec<bool>>();
    rows.iter().filter(fits).min_by_key(literal_first).map(|row| &*row.id)
}

/// Segments that the templates use as literals, and ids that look like trouble.
fn segment() -> impl Strategy<Value = String> {
    let catalog = Catalog::courier();
    let mut words: Vec<String> = catalog
        .operations()
        .iter()
        .flat_map(|row| row.path.split('/').map(str::to_owned))
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .collect();
    words.extend(
        ["a%2Fb", "x;y=1", "%252e", "u@example.com", "", "{id}", "Brands"].map(String::from),
    );
    words.sort();
    words.dedup();
    proptest::sample::select(words)
}

proptest! {
    #[test]
    fn matching_follows_the_written_rule(
        parts in proptest::collection::vec(segment(), 1..7),
        method in 0..MethodPattern::ALL.len(),
    ) {
        let catalog = Catalog::courier();
        let rows: Vec<&Operation> = catalog.operations().iter().map(AsRef::as_ref).collect();
        let method = &MethodPattern::ALL[method];
        let path = format!("/{}", parts.join("/"));
        let found = match catalog.find(method, &path) {
            Match::Operation(row) => Some(&*row.id),
            _ => None,
        };
        prop_assert_eq!(found, by_the_rule(&rows, method, &path), "{} {}", method, path);
    }
}

#[test]
fn every_row_is_found_by_an_address_made_from_its_template() {
    let catalog = Catalog::courier();
    assert_eq!(catalog.operations().len(), 198);
    for row in catalog.operations() {
        let parts =
            row.path.split('/').map(|part| if part.starts_with('{') { "x%2F1" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let MethodPattern::Only(method) = &row.method else {
            panic!("{}: every row has a method", row.id)
        };
        assert_eq!(found(&catalog, method.as_str(), &path), *row.id);
    }
}

/// One test a pair of rows that match the same address (the vendor's own router may differ; only
/// cache and labels depend on it).
macro_rules! ambiguous {
    ($($name:ident: $method:literal $path:literal is $winner:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(found(&Catalog::courier(), $method, $path), $winner);
        }
    )*};
}

ambiguous! {
    journey_runs_are_not_a_journey_called_runs: "GET" "/journeys/runs" is "journeys.runs.list";
    a_run_called_templates_is_a_run: "GET" "/journeys/runs/templates" is "journeys.runs.get";
    a_run_called_versions_is_a_run: "GET" "/journeys/runs/versions" is "journeys.runs.get";
    the_steps_of_a_run_called_templates_are_steps: "GET" "/journeys/runs/templates/steps" is "journeys.runs.steps";
    an_element_called_checks_is_an_element: "PUT" "/notifications/x/elements/checks" is "notifications.elements.put";
    a_locale_called_checks_is_a_locale: "PUT" "/notifications/x/locales/checks" is "notifications.locales.put";
    preference_logs_are_not_a_user_called_logs: "GET" "/preferences/logs" is "preferences.logs.list";
    preference_sections_are_not_a_user_called_sections: "GET" "/preferences/sections" is "preferences.sections.list";
    the_catalogue_of_providers_is_not_a_provider: "GET" "/providers/catalog" is "providers.catalog.list";
    an_automation_may_be_called_runs: "POST" "/automations/runs/invoke" is "automations.invoke";
    an_ad_hoc_automation_has_no_id: "POST" "/automations/invoke" is "automations.invoke_adhoc";
    a_user_called_logs_can_be_written: "PUT" "/preferences/logs" is "preferences.legacy.put";
    a_provider_called_catalog_can_be_deleted: "DELETE" "/providers/catalog" is "providers.delete";
    a_journey_called_cancel_can_be_read: "GET" "/journeys/cancel" is "journeys.get";
    bulk_users_are_added_by_post: "POST" "/bulk/j1" is "bulk.users.add";
    bulk_jobs_are_read_by_get: "GET" "/bulk/j1" is "bulk.get";
}

#[test]
fn head_follows_get() {
    assert_eq!(found(&Catalog::courier(), "HEAD", "/brands/b1"), "brands.get");
}

#[test]
fn a_known_path_with_another_method_says_which_it_takes() {
    let catalog = Catalog::courier();
    assert_eq!(found(&catalog, "PATCH", "/brands"), "405 GET, HEAD, POST");
    assert_eq!(found(&catalog, "OPTIONS", "/send"), "405 POST");
    assert_eq!(found(&catalog, "HEAD", "/send"), "405 POST");
    assert_eq!(found(&catalog, "TRACE", "/brands/x"), "405 GET, HEAD, PUT, DELETE");
}

#[test]
fn what_is_no_row_is_unknown() {
    let catalog = Catalog::courier();
    for path in
        ["/", "/Brands", "/brands/", "//brands", "/brands//", "/lists/a/b", "/c", "/brands/a/b"]
    {
        assert_eq!(found(&catalog, "GET", path), "404", "{path}");
    }
}

#[test]
fn an_id_with_an_encoded_slash_stays_one_segment() {
    let catalog = Catalog::courier();
    assert_eq!(found(&catalog, "GET", "/lists/a%2Fsubscriptions"), "lists.get");
    assert_eq!(found(&catalog, "DELETE", "/profiles/a%2Flists"), "profiles.delete");
}

#[test]
fn columns_agree_with_each_other() {
    let catalog = Catalog::courier();
    let read: std::collections::BTreeSet<&String> =
        catalog.operations().iter().flat_map(|row| &row.reads).collect();
    for row in catalog.operations() {
        let get = row.method == MethodPattern::Only(Method::GET);
        assert_eq!(get, row.access == tollgate::catalog::Access::Read, "{}", row.id);
        assert!(row.cache.is_none() || get, "{}", row.id);
        assert!(
            row.clears.iter().all(|tag| read.contains(tag)),
            "{} clears what nobody reads",
            row.id
        );
        assert!(row.pools.contains_key("connection"), "{}", row.id);
        assert!(get || row.reads.is_empty(), "{}", row.id);
    }
    let cached = catalog.operations().iter().filter(|row| row.cache.is_some()).count();
    let on =
        catalog.operations().iter().filter(|row| row.cache.is_some_and(|cache| cache.on)).count();
    assert_eq!((cached, on), (19, 8));
}

const OTHER_VENDOR: &str = r#"
[[operation]]
id = "files.read"
group = "files"
method = "GET"
path = "/files/{id}"
access = "read"
pools = { connection = 1 }

[[operation]]
id = "files.any"
group = "files"
method = "*"
path = "/files/{*rest}"
access = "write"
pools = { connection = 0 }
"#;

#[test]
fn another_vendor_is_another_file() {
    let catalog = Catalog::parse(OTHER_VENDOR).unwrap();
    assert_eq!(found(&catalog, "GET", "/files/a"), "files.read");
    assert_eq!(found(&catalog, "POST", "/files/a"), "files.any");
    assert_eq!(found(&catalog, "GET", "/files/a/b/c"), "files.any");
    assert_eq!(found(&catalog, "GET", "/brands"), "404");
}

#[test]
fn a_file_can_extend_the_embedded_rows() {
    let text = r#"
extends = "courier"
[[pool]]
id = "send"
calls = 5
window = "1s"
[[operation]]
id = "messages.send"
group = "messages"
method = "POST"
path = "/send"
access = "write"
idempotency = "make"
pools = { connection = 1, send = 1 }
"#;
    let catalog = Catalog::parse(text).unwrap();
    assert_eq!(catalog.operations().len(), 198);
    assert_eq!(catalog.pools().len(), 5);
    let row = catalog.operations().iter().find(|row| &*row.id == "messages.send").unwrap();
    assert_eq!(row.pools.len(), 2);
}

#[test]
fn a_wrong_catalogue_is_refused_with_every_reason() {
    let cases = [
        (OTHER_VENDOR.replace("files.any", "files.read"), "'files.read' is there twice"),
        (
            OTHER_VENDOR.replace("\"/files/{*rest}\"", "\"/files/{*rest}/x\""),
            "only allowed at the end",
        ),
        (
            OTHER_VENDOR.replace("connection = 0", "other = 1"),
            "'other', which no [[pool]] declares",
        ),
        (
            OTHER_VENDOR.replace("method = \"*\"", "method = \"BREW\""),
            "'BREW' is no method here: write GET,",
        ),
        (OTHER_VENDOR.replace("\"read\"", "\"look\""), "write `read` or `write`"),
        (OTHER_VENDOR.replace("\"/files/{id}\"", "\"files\""), "must begin with '/'"),
        (
            format!(
                "{OTHER_VENDOR}\n[[operation]]\nid = \"x\"\ngroup = \"x\"\nmethod = \"GET\"\npath = \"/files/{{name}}\"\naccess = \"read\"\n"
            ),
            "operation 'x': GET /files/{name} is already GET /files/{id}",
        ),
    ];
    for (text, reason) in cases {
        let problems = Catalog::parse(&text).unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|problem| problem.contains(reason)), "{reason}: {all:#?}");
    }
}
