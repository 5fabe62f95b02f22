//! The state folder, as far as it can be checked before a start.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use super::{Check, key};

/// A file that is made only to see whether it can be made. It is removed at once.
const TRIAL: &str = ".tollgate-check";

impl Check<'_, '_> {
    /// Checks that this user can use the folder.
    pub(super) fn state(&mut self) {
        let settings = self.settings();
        let dir = settings.state_dir().filter(|dir| !dir.as_os_str().is_empty());
        let Some(dir) = dir else { return };
        if let Err(reason) = usable(&dir) {
            let source = if settings.state.dir.is_some() { "" } else { " (of STATE_DIRECTORY)" };
            let message = format!("state folder '{}'{source} {reason}", dir.display());
            self.refuse(&key(&["state", "dir"]), message);
        }
    }
}

/// Fails if no files can be made in `dir`, and says why and what would be right.
fn usable(dir: &Path) -> Result<(), String> {
    match fs::metadata(dir) {
        Ok(there) if there.is_dir() => writable(dir),
        Ok(_) => Err("is a file: name a folder, or move the file away".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => in_parent(dir),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err("stands below a file: name a folder in a folder".into())
        }
        Err(error) => Err(format!("cannot be looked at: {}; let this user reach it", error.kind())),
    }
}

/// Checks the parent folder, because the gateway makes only the folder itself.
fn in_parent(dir: &Path) -> Result<(), String> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    match fs::metadata(parent) {
        Ok(there) if there.is_dir() => writable(parent),
        Ok(_) => Err("stands below a file: name a folder in a folder".into()),
        Err(_) => Err(format!(
            "has no parent: '{}' is not there; make it, or correct the path",
            parent.display()
        )),
    }
}

fn writable(dir: &Path) -> Result<(), String> {
    let trial = dir.join(format!("{TRIAL}-{}", std::process::id()));
    let made = File::create_new(&trial).map(drop);
    let _ = fs::remove_file(&trial);
    made.map_err(|error| {
        format!(
            "cannot be written by this user: no file can be made in '{}' ({}); name another folder, or let the user write there",
            dir.display(),
            error.kind()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_or_written_is_usable() {
        let root =
            std::env::temp_dir().join(format!("tollgate-usable-{}", crate::ids::RandomId::new()));
        fs::create_dir(&root).unwrap();
        assert_eq!(usable(&root), Ok(()));
        assert_eq!(usable(&root.join("state")), Ok(()));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is left behind");
        fs::write(root.join("file"), "").unwrap();
        for (path, reason) in [
            ("file", "is a file: name a folder"),
            ("file/state", "stands below a file"),
            ("missing/state", "has no parent"),
        ] {
            let found = usable(&root.join(path)).unwrap_err();
            assert!(found.starts_with(reason), "{path}: {found}");
        }
        // No user can make files there.
        let found = usable(Path::new("/proc/tollgate")).unwrap_err();
        assert!(found.starts_with("cannot be written"), "{found}");
        fs::remove_dir_all(root).unwrap();
    }
}
