//! A line to Redis on which some of what it pushes is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

/// Loses one in `one_in` of the messages of channels.
pub struct Proxy {
    pub port: u16,
    pub lost: Arc<AtomicU64>,
}

impl Proxy {
    pub async fn before(redis: u16, one_in: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lost = Arc::new(AtomicU64::new(0));
        let counts = lost.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", redis)).await.unwrap();
                tokio::spawn(pass(client, server, one_in, counts.clone()));
            }
        });
        Self { port, lost }
    }
}

async fn pass(client: TcpStream, server: TcpStream, one_in: u64, lost: Arc<AtomicU64>) {
    let (mut asks, mut answers) = client.into_split();
    let (mut says, mut hears) = server.into_split();
    tokio::spawn(async move { copy(&mut asks, &mut hears).await });
    let (mut read, mut pushed) = (Vec::new(), 0);
    while says.read_buf(&mut read).await.is_ok_and(|octets| octets > 0) {
        while let Some(end) = frame(&read) {
            let one: Vec<u8> = read.drain(..end).collect();
            let is_message = one.starts_with(b">3\r\n$7\r\nmessage\r\n");
            pushed += u64::from(is_message);
            if is_message && pushed % one_in == 0 {
                lost.fetch_add(1, Ordering::Relaxed);
            } else if answers.write_all(&one).await.is_err() {
                return;
            }
        }
    }
}

/// Where the first value of RESP3 ends, if it is here whole.
fn frame(octets: &[u8]) -> Option<usize> {
    let line = octets.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&octets[1..line - 2]).unwrap().parse::<i64>().unwrap();
    let values = match octets[0] {
        b'$' | b'=' | b'!' => {
            let length = usize::try_from(number()).map_or(0, |length| length + 2);
            return (octets.len() >= line + length).then_some(line + length);
        }
        b'*' | b'>' | b'~' => number(),
        b'%' => number() * 2,
        _ => 0,
    };
    (0..values).try_fold(line, |at, _| Some(at + frame(&octets[at..])?))
}
