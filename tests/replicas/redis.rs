//! A Redis of one's own, on a socket in a folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub struct Redis {
    folder: PathBuf,
    process: Child,
    socket: BufReader<UnixStream>,
}

impl Redis {
    pub fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("redis.sock");
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&path)
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is needed");
        let mut log = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = |line: &String| line.contains("ready to accept connections");
        assert!(log.by_ref().map_while(Result::ok).any(|line| ready(&line)), "it starts");
        // What else it logs is read, so that it never waits for that.
        std::thread::spawn(move || log.for_each(drop));
        let socket = BufReader::new(UnixStream::connect(&path).unwrap());
        Self { folder, process, socket }
    }

    /// Sends a command and reads its answer, which is a text or nothing.
    ///
    /// # Errors
    /// What Redis says is wrong.
    pub fn ask(&mut self, words: &[&str]) -> Result<Option<String>, String> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.socket.get_mut().write_all(command.as_bytes()).unwrap();
        let mut line = String::new();
        self.socket.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match (kind, rest) {
            ("-", said) => Err(said.to_owned()),
            ("$", "-1") => Ok(None),
            ("$", length) => {
                let mut text = vec![0; length.parse::<usize>().unwrap() + 2];
                self.socket.read_exact(&mut text).unwrap();
                text.truncate(text.len() - 2);
                Ok(Some(String::from_utf8(text).unwrap()))
            }
            (_, said) => Ok(Some(said.to_owned())),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
