//! HTTP/2: streams that share a socket, and those that the vendor refuses.

use h2::Reason;
use h2::server::SendResponse;

use super::*;

/// A world of HTTP/2 in which the n-th stream of all, from 0, is refused if `refuses` says so.
fn world(refuses: impl Fn(u32) -> bool + Clone + Send + Sync + 'static) -> World {
    let streams = Arc::new(AtomicU32::new(0));
    world_at(Scheme::HTTPS, HOST, move |theirs, ours| {
        let (streams, refuses) = (streams.clone(), refuses.clone());
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(theirs.io).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                let target = request.uri().to_string();
                theirs.heard.lock().unwrap().push((theirs.number, target));
                let refused = refuses(streams.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(answer(respond, refused));
            }
        });
        Box::pin(ready(Ok(Line { h2: true, ..line(ours) })))
    })
}

async fn answer(mut respond: SendResponse<Bytes>, refused: bool) {
    if refused {
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    }
    sleep(Duration::from_secs(1)).await;
    // Nobody hears it who has reset the stream.
    if let Ok(mut body) = respond.send_response(http::Response::new(()), false) {
        body.send_data(Bytes::from_static(b"it"), true).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn calls_at_a_time_share_a_socket() {
    let (world, began) = (world(|_| false), Instant::now());
    let three = tokio::join!(world.whole(), world.whole(), world.whole());
    assert_eq!(three, ("it".into(), "it".into(), "it".into()));
    assert_eq!(world.on(), [0, 0, 0]);
    assert!(is_about(began.elapsed(), Duration::from_secs(1)), "none waited for another");
    assert_eq!(world.heard()[0].1, "https://vendor.example:8080/brands");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_vendor_refused_is_sent_again_in_the_same_attempt() {
    let (world, (call, proof)) = (world(|nth| nth < 3), proven());
    let record = call.record.clone();
    assert!(world.ask(call).await.is_ok());
    assert_eq!(world.on().len(), 4);
    assert_eq!((proof.sent(), record.read(|marks| marks.timeline.attempts())), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_all_streams_is_alive_and_did_nothing() {
    let (world, (call, proof)) = (world(|_| true), proven());
    let error = world.ask(call).await.unwrap_err();
    let wanted = (Code::VendorUnreachable, Outcome::NotSent, Evidence::Alive);
    assert_eq!(said(&error), wanted);
    assert_eq!((world.on().len(), proof.was_sent()), (4, false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_its_caller_gave_up_leaves_the_socket_to_the_others() {
    let world = world(|_| false);
    let gives_up = tokio::time::timeout(Duration::from_millis(500), world.ask(get()));
    let (gone, stays) = tokio::join!(gives_up, world.whole());
    assert!(gone.is_err());
    assert_eq!(stays, "it");
    assert_eq!(world.whole().await, "it");
    assert_eq!(world.on(), [0, 0, 0]);
}
