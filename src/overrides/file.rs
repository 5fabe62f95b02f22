//! The file of the state folder that keeps overrides over a restart.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::set::{Override, OverrideSet};
use crate::targets;

/// The version of the form that is written.
const VERSION: u32 = 1;

/// It is replaced as a whole: a process that is killed leaves the old one or the new one.
pub(super) struct OverridesFile {
    path: PathBuf,
    /// It could not be written, and that was said.
    said: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    version: u32,
    overrides: Vec<Override>,
}

impl OverridesFile {
    /// The file in `dir`, and what it has. One that can't be read is set aside, and that is said.
    pub(super) fn open(dir: &Path) -> (Self, Vec<Override>) {
        let file = Self { path: dir.join("overrides.json"), said: false };
        let kept = match fs::read(&file.path).map(|text| serde_json::from_slice::<Sheet>(&text)) {
            Ok(Ok(sheet)) if sheet.version == VERSION => {
                if sheet.overrides.iter().all(Override::is_sound) {
                    sheet.overrides
                } else {
                    file.set_aside("it has what nobody could have made")
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Ok(Ok(sheet)) => file.set_aside(&format!("its version is {}", sheet.version)),
            Ok(Err(error)) => file.set_aside(&error.to_string()),
            Err(error) => file.set_aside(&error.to_string()),
        };
        (file, kept)
    }

    fn set_aside(&self, cause: &str) -> Vec<Override> {
        let free = |number: &u32| !self.path.with_extension(format!("broken-{number}")).exists();
        let number = (1..u32::MAX).find(free).unwrap_or_default();
        let aside = self.path.with_extension(format!("broken-{number}"));
        let moved = fs::rename(&self.path, &aside).is_ok();
        tracing::error!(
            target: targets::USAGE,
            file = %self.path.display(),
            cause,
            moved,
            "the overrides of before can't be read, and hold no more; a file that was moved ends with .broken-1 or a higher number"
        );
        Vec::new()
    }

    /// Writes `set`. False if that can't be done, which is said once.
    pub(super) async fn write(&mut self, set: &OverrideSet) -> bool {
        let sheet = Sheet { version: VERSION, overrides: set.all().cloned().collect() };
        let text = serde_json::to_vec_pretty(&sheet).expect("strings and numbers are JSON");
        let path = self.path.clone();
        // A small file, on whatever it lies.
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        match written.unwrap_or_else(|_| Err(ErrorKind::Other.into())) {
            Ok(()) => {
                self.said = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::error!(target: targets::USAGE, file = %self.path.display(), cause = %error, "overrides can't be written: a restart ends them");
                }
                false
            }
        }
    }
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
