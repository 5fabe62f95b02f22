//! What is known of a call from its head, and by whose proof it is judged.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_line_says_what_the_head_said() {
    let (mut layer, seen) = world(async |_: Opened| reply(204, ""));
    let mut arrival = arrival(&seen);
    *arrival.request.method_mut() = Method::DELETE;
    *arrival.request.version_mut() = Version::HTTP_2;
    let fields = [("x-request-id", "mine-1"), ("user-agent", "courier-python/1.4.0")];
    for (name, value) in fields {
        arrival.request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let Ok(response) = layer.call(arrival).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    drop(response);
    let line = seen.lines().remove(0);
    assert_eq!((line.id.as_str(), line.method), ("mine-1", Method::DELETE));
    assert_eq!(line.version, Some(Version::HTTP_2));
    assert_eq!(line.sdk.as_deref(), Some("python/1.4.0"));
}

#[tokio::test(start_paused = true)]
async fn a_request_id_that_is_no_word_gives_way_to_that_of_the_call() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    let (mut layer, seen) = world(move |opened: Opened| {
        let id = opened.record.call_id.to_string();
        tells.lock().unwrap().push((opened.request_id.clone(), id));
        async { reply(200, "it") }
    });
    let (longest, longer) = ("a".repeat(128), "a".repeat(129));
    for (sent, taken) in [(longest.as_str(), true), (&longer, false), ("two words", false)] {
        let mut arrival = arrival(&seen);
        let value = HeaderValue::from_str(sent).unwrap();
        arrival.request.headers_mut().insert("x-request-id", value);
        drop(layer.call(arrival).await);
        let (request_id, call_id) = told.lock().unwrap().pop().unwrap();
        assert_eq!(request_id, taken.then(|| HeaderValue::from_str(sent).unwrap()));
        let wanted = if taken { sent } else { &call_id };
        assert_eq!(seen.lines().pop().unwrap().id, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_judged_by_the_proof_that_the_server_made() {
    let (mut layer, seen) = world(async |opened: Opened| {
        opened.proof.sending();
        reply(200, "it")
    });
    let arrival = arrival(&seen);
    let proof = arrival.proof.clone();
    drop(layer.call(arrival).await);
    assert_eq!(proof.outcome(), Outcome::Unknown);
}
