//! Starts the programs on free ports of this machine, each in a folder of its own, and ends them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tollgate::ids::RandomId;

/// A folder that is removed with it.
pub struct Folder(pub PathBuf);

/// A program that runs until it is dropped.
pub struct Server {
    pub port: u16,
    pub folder: Folder,
    program: &'static str,
    child: Child,
}

/// The line by which a program says that it can be used.
const READY: [&str; 2] = ["Ready to accept connections", "+monitor"];

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-redis-{}", RandomId::new()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// A Redis with the lines `settings` in its configuration.
    pub fn redis(settings: &str) -> Self {
        let line = |port| {
            format!(
                "port {port}\nsave \"\"\nappendonly no\nenable-debug-command local\n{settings}\n"
            )
        };
        Self::any("redis-server", &line)
    }

    /// A sentinel with the lines `settings`.
    pub fn sentinel(settings: &str) -> Self {
        Self::any("redis-sentinel", &|port| format!("port {port}\n{settings}\n"))
    }

    /// A program under a configuration that is made for its port. A port that was taken meanwhile is
    /// replaced.
    pub fn any(program: &'static str, settings: &dyn Fn(u16) -> String) -> Self {
        for _ in 0..5 {
            let (folder, port) = (Folder::new(), free_port());
            let dir = folder.0.display();
            folder.write("conf", &format!("bind 127.0.0.1\ndir {dir}\n{}", settings(port)));
            if let Some(child) = run(program, &folder.0) {
                return Self { port, folder, program, child };
            }
        }
        panic!("{program} does not start");
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on its port, without its data.
    pub fn again(&mut self) {
        self.kill();
        self.child = run(self.program, &self.folder.0).expect("its port is free");
    }

    /// It stays, and does nothing any more.
    pub fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// What it answers to a command, without password.
    pub fn ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut client.get_connection()?)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `program` under the file `conf` in `folder`; nothing if it ends before it is ready.
fn run(program: &str, folder: &Path) -> Option<Child> {
    let mut child = Command::new(program)
        .arg(folder.join("conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed and does not run: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if lines.by_ref().any(|line| READY.iter().any(|ready| line.contains(ready))) {
        // A full pipe would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    let _ = child.wait();
    None
}
