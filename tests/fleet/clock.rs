//! A wall clock that can be set for one program, by the library of `faketime`.

use std::path::{Path, PathBuf};

use crate::servers::Folder;

/// The time of a program, as far as its wall clock goes. Its monotonic clocks stay right.
pub struct Clock {
    folder: Folder,
}

impl Clock {
    pub fn new() -> Self {
        let clock = Self { folder: Folder::new() };
        clock.set("+0");
        clock
    }

    /// Moves it, by `+3600` or `-3600` seconds from the right time.
    pub fn set(&self, by: &str) {
        // Replaced as a whole: it is read at any time.
        let next = self.folder.write("next", by);
        std::fs::rename(next, self.file()).unwrap();
    }

    /// What a program needs to start under this clock.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.0.join("time")
    }
}

/// Debian has a folder for each kind of machine.
fn library() -> PathBuf {
    let kinds = std::fs::read_dir("/usr/lib").unwrap().map_while(Result::ok);
    let name = Path::new("faketime/libfaketime.so.1");
    { kinds }
        .map(|kind| kind.path().join(name))
        .find(|library| library.exists())
        .expect("faketime is needed")
}
