//! Whole connections, over sockets.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use http_body_util::Full;
use places::PlaceTicket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;

/// Limits as they are by default.
pub(crate) fn limits() -> Limits {
    Limits {
        handshake: Duration::from_secs(10),
        head_size: 1 << 15,
        head_fields: 100,
        head_time: Duration::from_secs(10),
        keep_alive: Duration::from_secs(60),
        stalled_reader: Duration::from_secs(30),
        streams: 100,
    }
}

/// Says that a request came, and answers it when it may.
#[derive(Clone)]
struct Gated(Arc<Notify>, Arc<Notify>);

impl Answer for Gated {
    type Body = Full<Bytes>;

    async fn answer(
        &self,
        _: http::Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> http::Response<Full<Bytes>> {
        self.0.notify_one();
        self.1.notified().await;
        http::Response::new(Full::from("whole"))
    }
}

#[tokio::test]
async fn a_call_that_came_whole_after_the_look_is_answered_before_its_place_is_given_away() {
    for (bound, answered) in [
        (Bound::ForMany { sockets: 2, per_peer: None }, true),
        (Bound::ForFew { sockets: 2 }, false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, peer) = listener.accept().await.unwrap();
        let Some(PlaceTicket::Seated(place)) =
            Arc::new(ConnectionPlaces::new(bound)).take(peer.ip())
        else {
            panic!("there is a place");
        };
        let (needed, gate) = (place.needed(), Gated(Arc::default(), Arc::default()));
        let terms = Arc::new(Terms { limits: limits(), tls: None });
        let serving = tokio::spawn(held(place, tcp, terms, gate.clone(), CancellationToken::new()));
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        gate.0.notified().await;
        needed.cancel();
        tokio::task::yield_now().await;
        gate.1.notify_one();
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer).await;
        assert_eq!(answer.ends_with("whole"), answered, "{bound:?}: {answer}");
        serving.await.unwrap();
    }
}

/// Answers at once, and counts open connections.
#[derive(Clone, Default)]
struct AtOnce(Arc<AtomicUsize>);

impl Answer for AtOnce {
    type Body = Full<Bytes>;

    async fn answer(
        &self,
        _: http::Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> http::Response<Full<Bytes>> {
        http::Response::new(Full::from("whole"))
    }

    fn happened(&self, event: Event) {
        match event {
            Event::Opened => self.0.fetch_add(1, Ordering::Relaxed),
            Event::Closed => self.0.fetch_sub(1, Ordering::Relaxed),
            event => panic!("{event:?}"),
        };
    }
}

/// Clients that each have had an answer, and stay.
fn clients(port: SocketAddr, count: usize) -> Vec<std::net::TcpStream> {
    let client = |_| {
        let mut client = std::net::TcpStream::connect(port).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"whole") {
            let mut octet = [0];
            client.read_exact(&mut octet).unwrap();
            answer.push(octet[0]);
        }
        client
    };
    (0..count).map(client).collect()
}

/// `count` clients whose connections have rested for a second. From then on the clock stands still.
async fn resting(count: usize, answer: AtOnce, drain: Drain) -> Vec<std::net::TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap();
    let bound = Bound::ForMany { sockets: 2 * count, per_peer: None };
    let terms = Arc::new(ArcSwap::from_pointee(Terms { limits: limits(), tls: None }));
    tokio::spawn(serve(listener, (Workers::here(), bound), terms, answer, drain));
    // On another thread, whose memory is not counted.
    let clients = tokio::task::spawn_blocking(move || clients(port, count)).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
    clients
}

#[test]
fn a_connection_that_rests_costs_at_most_4_kib_and_is_counted_until_a_drain_ends_it() {
    const COUNT: usize = 200;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (answer, drain, mut clients) = (AtOnce::default(), Drain::default(), Vec::new());
    let cost = measure(|| {
        clients = runtime.block_on(resting(COUNT, answer.clone(), drain.clone()));
    });
    let each = cost.bytes_current / i64::try_from(COUNT).unwrap();
    assert!(each <= 4 << 10, "{each} bytes each");
    assert_eq!((drain.open(), answer.0.load(Ordering::Relaxed)), (COUNT, COUNT));
    runtime.block_on(async {
        let begun = tokio::time::Instant::now();
        drain.begin();
        drain.ended().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    });
    assert_eq!(answer.0.load(Ordering::Relaxed), 0);
    drop(clients);
}
