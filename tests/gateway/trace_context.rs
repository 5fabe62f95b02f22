//! Trace context: whose trace a call is in, who decides that it is recorded, what Courier is told.

use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::SpanData;

use crate::support::{Setup, Stack, request};
use crate::traces::{PARENT, Spans, tracing, with};

/// The app `acme` with `trust`, `umbrella` as it is by default.
async fn from(trust: &str, more: &str, fields: &[(&'static str, &str)]) -> (Vec<SpanData>, Stack) {
    let mut setup = Setup::new(&format!("[traces]\nendpoint = \"http://127.0.0.1:9\"\n{more}\n"));
    let app = "[[tenant.app]]\nid = \"acme\"\n";
    setup.text = setup.text.replacen(app, &format!("{app}trace_context = \"{trust}\"\n"), 1);
    let spans = Spans::default();
    let stack = spans.stack(&setup);
    stack.call(with(request("GET", "/messages", &setup.acme, ""), fields)).await;
    let call = spans.take().pop().unwrap_or_default();
    (call, stack)
}

#[tokio::test(start_paused = true)]
async fn a_trusted_app_is_a_parent_another_is_linked_to_and_an_ignored_one_is_nobody() {
    let fields = [("traceparent", PARENT), ("tracestate", "a=1,b=2")];
    let theirs = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let (call, stack) = from("parent", "ratio = 0.0", &fields).await;
    assert!(call.iter().all(|span| span.span_context.trace_id().to_string() == theirs.0));
    assert!(call.iter().all(|span| span.span_context.trace_state().header() == "a=1,b=2"));
    assert_eq!(
        (call[0].parent_span_id.to_string().as_str(), call[0].parent_span_is_remote),
        (theirs.1, true)
    );
    assert!(call[0].links.is_empty() && !call[1].parent_span_is_remote);
    assert_eq!(stack.lines.last()["trace_id"], theirs.0);

    let (call, stack) = from("link", "ratio = 1.0", &fields).await;
    let own = call[0].span_context.trace_id().to_string();
    assert!(own != theirs.0 && call.iter().all(|s| s.span_context.trace_id().to_string() == own));
    assert_eq!(call[0].parent_span_id, SpanId::INVALID);
    let link = &call[0].links[0].span_context;
    assert_eq!(
        (link.trace_id().to_string(), link.span_id().to_string()),
        (theirs.0.into(), theirs.1.into())
    );
    assert_eq!(
        (
            link.trace_state().header().as_str(),
            call[0].span_context.trace_state().header().as_str()
        ),
        ("", "")
    );
    assert_eq!(stack.lines.last()["trace_id"], own);

    let (call, stack) = from("ignore", "ratio = 1.0", &fields).await;
    assert!(call[0].links.is_empty() && call[0].span_context.trace_id().to_string() != theirs.0);
    assert_eq!(stack.lines.last()["trace_id"], call[0].span_context.trace_id().to_string());
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_has_no_say_in_traces() {
    let (_, stack, spans) = tracing("ratio = 1.0\ncontext = \"parent\"");
    stack
        .call(with(request("GET", "/messages", "tg_k1_wrong", ""), &[("traceparent", PARENT)]))
        .await;
    let call = spans.only();
    assert!(call[0].links.is_empty());
    assert_ne!(call[0].span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test(start_paused = true)]
async fn the_sampled_flag_counts_for_trusted_apps_only_and_only_if_it_is_followed() {
    let unsampled = PARENT.replace("-01", "-00");
    let (sampled, unsampled) = ([("traceparent", PARENT)], [("traceparent", unsampled.as_str())]);
    for (trust, more, fields, kept) in [
        ("parent", "ratio = 0.0", &sampled, true),
        ("parent", "ratio = 1.0", &unsampled, false),
        ("parent", "ratio = 0.0\nfollow = false", &sampled, false),
        ("parent", "ratio = 1.0\nfollow = false", &unsampled, true),
        ("link", "ratio = 0.0", &sampled, false),
        ("link", "ratio = 1.0", &unsampled, true),
        ("ignore", "ratio = 0.0", &sampled, false),
    ] {
        let (call, stack) = from(trust, more, fields).await;
        assert_eq!(!call.is_empty(), kept, "{trust} {more} {fields:?}");
        // What was not kept is found in the client's own trace, if the client may name one.
        let line = stack.lines.last()["trace_id"].clone();
        assert_eq!(line.is_null(), !kept && trust == "ignore", "{trust} {more}: {line}");
    }
}

/// The value of a field of the last request that arrived.
fn sent(stack: &Stack, name: &str) -> Option<String> {
    let call = stack.arrived().pop().unwrap();
    let mut found = call.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.clone())
}

#[tokio::test(start_paused = true)]
async fn trace_context_goes_to_the_vendor_only_where_configured_and_is_the_gateways_own() {
    let fields = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "secret=1")];
    let (_, stack) = from("parent", "ratio = 1.0", &fields).await;
    for name in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(sent(&stack, name), None, "{name}");
    }
    let on = "ratio = 1.0\n[vendor]\npass_trace_context = true\n";
    for (trust, state) in [("parent", Some("a=1")), ("link", None), ("ignore", None)] {
        let (call, stack) = from(trust, on, &fields).await;
        let attempt = call.iter().find(|span| span.span_kind == SpanKind::Client).unwrap();
        let (trace, span) = (attempt.span_context.trace_id(), attempt.span_context.span_id());
        assert_eq!(sent(&stack, "traceparent"), Some(format!("00-{trace}-{span}-01")), "{trust}");
        assert_eq!(sent(&stack, "tracestate").as_deref(), state, "{trust}");
        assert_eq!(sent(&stack, "baggage"), None);
    }
    let off = on.replacen("ratio = 1.0", "ratio = 0.0", 1);
    let (call, stack) = from("link", &off, &fields).await;
    assert!(call.is_empty() && sent(&stack, "traceparent").unwrap().ends_with("-00"));
}
