#!/usr/bin/env bash
# Guess: pool::negotiate over pool::singleton opens one line to an HTTP/2 host, and calls that come meanwhile wait
# for it, as the singleton does alone.
# Seen: hyper-util 0.1.21. Each call that comes before the first handshake is over opens a line of its own: lines are
# opened before the singleton is asked. Calls that come later share one.
set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
package = { name = "cold", version = "0.0.0", edition = "2024" }
[dependencies]
http-body-util = "=0.1.5"
hyper = { version = "=1.12.0", features = ["client", "http2", "server"] }
hyper-util = { version = "=0.1.21", features = ["client-pool", "tokio"] }
tokio = { version = "=1.54.1", features = ["macros", "net", "rt"] }
tower = { version = "=0.5.3", features = ["util"] }
TOML
cat > "$work/src/main.rs" <<'RS'
use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering::SeqCst}};
use http_body_util::Full;
use hyper::{Response, body::Bytes, client, server, service};
use hyper_util::{client::pool, rt::{TokioExecutor, TokioIo}};
use tokio::{net::{TcpListener, TcpStream}, task::LocalSet};
use tower::{BoxError, Service, ServiceExt, layer::layer_fn, service_fn, util::AndThen};
static OPENED: AtomicU32 = AtomicU32::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let answer = service::service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tcp), answer));
        }
    });
    let open = service_fn(move |()| Box::pin(async move {
        OPENED.fetch_add(1, SeqCst);
        Ok::<_, BoxError>(TokioIo::new(TcpStream::connect(host).await?))
    }));
    let shake = |io| Box::pin(async move {
        let (sender, line) = client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io).await?;
        tokio::spawn(line);
        Ok::<_, BoxError>(sender)
    });
    let pool = pool::negotiate::builder().connect(open).inspect(|_: &TokioIo<TcpStream>| true)
        .fallback(layer_fn(move |line| pool::cache::builder().build::<_, ()>(AndThen::new(line, shake))))
        .upgrade(layer_fn(move |line| pool::singleton::Singleton::<_, ()>::new(AndThen::new(line, shake)))).build::<()>();
    for when in ["at once, to a cold host", "at once, afterwards"] {
        let set = LocalSet::new();
        for mut pool in vec![pool.clone(); 20] {
            set.spawn_local(async move { drop(pool.ready().await.unwrap().call(()).await.unwrap()) });
        }
        set.await;
        println!("20 calls {when}: lines opened: {}", OPENED.swap(0, SeqCst));
    }
}
RS
cargo run --quiet --manifest-path "$work/Cargo.toml" | tee "$work/seen"
[ "$(awk '{print $NF}' "$work/seen" | paste -sd' ')" = "20 0" ]
