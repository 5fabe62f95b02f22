//! An admin port that gives fixed answers and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One that lives as long as the test.
pub struct Port {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// The head, in lower case.
    pub head: String,
    /// The document; null if there was none.
    pub document: Value,
}

/// The answer to lines that begin like this: a status and a document.
pub type Fixed = (&'static str, u16, Value);

impl Port {
    pub fn start<const N: usize>(answers: [Fixed; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers, &heard);
            }
        });
        Self { address, asked }
    }

    /// Runs the program against this port.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command
            .env("TOLLGATE_ADMIN", self.address.to_string())
            .env("TOLLGATE_ADMIN_KEY", "tg_ops1_secret");
        command
    }

    /// What is printed by a command that comes right.
    pub fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What was asked so far; it is forgotten.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// The program without any variable of the person who runs the test.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOLLGATE_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

fn answer(stream: TcpStream, answers: &[Fixed], heard: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    // A port that is only looked at sends nothing.
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|field| field.strip_prefix("content-length: "));
    let mut document = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut document).unwrap();
    let document = serde_json::from_slice(&document).unwrap_or_default();
    let found = answers.iter().find(|(begins, ..)| line.starts_with(begins));
    let nothing = Value::Null;
    let (status, body) = found.map_or((404, &nothing), |(_, status, body)| (*status, body));
    let body = body.to_string();
    heard.lock().unwrap().push(Asked { line, head, document });
    let answer = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = reader.get_mut().write_all(answer.as_bytes());
}
