//! A line to a server that can be cut, held up or slow.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// No connection stays, and none is made.
    pub cut: bool,
    /// Connections stay, and nothing comes through.
    pub held: bool,
    /// What the server says comes later.
    pub delay: Duration,
}

/// Takes connections on a port of its own, and passes them on to one server.
pub struct Proxy {
    pub port: u16,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, state) = watch::channel(Line::default());
        let task = tokio::spawn(accept(listener, server, state));
        Self { port, line, task }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if !line.borrow().cut {
            connections.spawn(pass(client, server, line.clone()));
        }
    }
}

async fn pass(client: TcpStream, server: u16, mut line: watch::Receiver<Line>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ((client_in, client_out), (server_in, server_out)) =
        (client.into_split(), server.into_split());
    let there = copy(client_in, server_out, line.clone(), |_| Duration::ZERO);
    let back = copy(server_in, client_out, line.clone(), |line| line.delay);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = line.wait_for(|line| line.cut) => {}
    }
}

/// Copies what is read, each part as late as `delay` says when it came.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: watch::Receiver<Line>,
    delay: fn(&Line) -> Duration,
) {
    let (sender, mut parts) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let mut at_exit = line.clone();
    let read = async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + delay(&line.borrow());
            if sender.send((due, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, part)) = parts.recv().await {
            sleep_until(due).await;
            if at_exit.wait_for(|line| !line.held).await.is_err()
                || to.write_all(&part).await.is_err()
            {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
