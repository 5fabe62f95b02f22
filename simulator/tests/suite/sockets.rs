//! Real sockets, for what an in-process stream can't show.

use std::io::ErrorKind;

use simulator::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn started(
    options: Options,
) -> (Server, std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port 0 is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::new(options);
    let serving = tokio::spawn(server.clone().serve(listener, async { drop(stopped.await) }));
    (server, address, stop, serving)
}

const GET: &str = "GET /brands HTTP/1.1\r\nauthorization: Bearer t\r\n";

#[tokio::test]
async fn a_reset_is_seen_as_a_reset() {
    let (_server, address, _stop, _serving) = started(Options::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let fault = "x-simulator-fault: {\"wire\":{\"kind\":\"reset\",\"after\":0}}\r\n\r\n";
    client.write_all(format!("{GET}{fault}").as_bytes()).await.unwrap();
    let error = client.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn each_socket_has_its_own_number_and_shutdown_ends_them_all() {
    let (server, address, stop, serving) = started(Options::default()).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("{GET}\r\n").as_bytes()).await.unwrap();
        assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
        clients.push(client);
    }
    let mut sockets: Vec<u64> =
        server.with(|sim| sim.journal().entries().map(|e| e.request.socket).collect());
    sockets.sort_unstable();
    assert_eq!(sockets, [1, 2, 3]);
    stop.send(()).unwrap();
    serving.await.unwrap();
    for mut client in clients {
        client.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

#[tokio::test]
async fn sockets_beyond_the_bound_wait_for_a_place() {
    let (_server, address, _stop, _serving) =
        started(Options { sockets: 1, ..Options::default() }).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(format!("{GET}\r\n").as_bytes()).await.unwrap();
    assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(format!("{GET}\r\n").as_bytes()).await.unwrap();
    drop(first);
    assert!(second.read(&mut [0; 4096]).await.unwrap() > 0);
}

#[tokio::test]
async fn the_real_time_can_be_the_epoch() {
    let mut options = Options::default();
    options.clock.epoch = "real".into();
    let server = Server::new(options);
    assert!(
        server.with(|sim| sim.wall(simulator::Micros::ZERO))
            > simulator::Wall::parse_iso("2026-01-03").unwrap()
    );
}
