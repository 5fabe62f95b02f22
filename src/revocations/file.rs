//! `revoked.json` in the state folder: replaced as a whole, so that a crash leaves the old one or
//! the new one.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hex::Hex;
use crate::identity::{Revocation, RevokedKeys};

const NAME: &str = "revoked.json";
/// The version of the form that is written. A file of another version is not read.
const VERSION: u32 = 1;
/// Reasons may name people.
const MODE: u32 = 0o600;

/// The file.
pub(super) struct File {
    folder: PathBuf,
    /// std, not tokio: held while the file is written, on a thread that may block. It holds how many
    /// were written last; they only become more, or other.
    written: Mutex<Vec<Revocation>>,
}

/// What is in it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    version: u32,
    /// SHA-256 of `revoked` as it is written.
    check: String,
    revoked: Vec<Revocation>,
}

impl File {
    /// The file in `folder`, and what it holds.
    ///
    /// # Errors
    /// It can't be read, or is damaged; the text says what to do.
    pub(super) fn open(folder: &Path) -> Result<(Self, Vec<Revocation>), String> {
        let path = folder.join(NAME);
        let known = match fs::read(&path) {
            Ok(bytes) => decode(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        };
        let known = known.map_err(|reason| {
            format!(
                "revoked keys '{}': {reason}: put the file back, or take the keys that were revoked out of the configuration and remove it",
                path.display()
            )
        })?;
        Ok((Self { folder: folder.into(), written: Mutex::new(known.clone()) }, known))
    }

    /// Writes `keys`, unless they are what it holds. Blocks.
    pub(super) fn write(&self, keys: &RevokedKeys) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that an older set never follows a newer one.
        let all: Vec<_> = keys.load().all().into_iter().cloned().collect();
        if *written == all {
            return Ok(());
        }
        let replaced = encode(&all).map_err(Into::into).and_then(|bytes| self.replace(&bytes));
        replaced.map_err(|error| error.to_string())?;
        *written = all;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let new = self.folder.join("revoked.new");
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(MODE).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(NAME))?;
        // The new name itself.
        fs::File::open(&self.folder)?.sync_all()
    }
}

fn encode(all: &[Revocation]) -> Result<Vec<u8>, serde_json::Error> {
    let sheet = Sheet { version: VERSION, check: check(all)?, revoked: all.to_vec() };
    serde_json::to_vec_pretty(&sheet)
}

fn decode(bytes: &[u8]) -> Result<Vec<Revocation>, String> {
    let sheet: Sheet = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if sheet.version != VERSION {
        return Err(format!("version {}; this program reads {VERSION}", sheet.version));
    }
    match check(&sheet.revoked) {
        Ok(check) if check == sheet.check => Ok(sheet.revoked),
        _ => Err("its check is wrong".into()),
    }
}

fn check(all: &[Revocation]) -> Result<String, serde_json::Error> {
    Ok(Hex(&Sha256::digest(serde_json::to_vec(all)?)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{KeyId, RandomId};

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tollgate-revoked-{}", RandomId::new()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn of(key: &str) -> Revocation {
        Revocation {
            key: KeyId::try_from(key.to_owned()).unwrap(),
            print: "00ff".into(),
            at_ms: 1,
            by: "ops1".into(),
            because: "in a \"chat\"\n".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = folder();
        let (file, known) = File::open(&folder).unwrap();
        assert_eq!(known, []);
        let keys = RevokedKeys::default();
        for key in ["k1", "k2"] {
            keys.add(&[of(key)]);
            file.write(&keys).unwrap();
        }
        assert_eq!(File::open(&folder).unwrap().1, [of("k1"), of("k2")]);
    }

    #[test]
    fn a_damaged_file_is_no_empty_one() {
        let folder = folder();
        let (file, _) = File::open(&folder).unwrap();
        let keys = RevokedKeys::default();
        keys.add(&[of("k1")]);
        file.write(&keys).unwrap();
        let path = folder.join(NAME);
        let good = fs::read_to_string(&path).unwrap();
        let damages: [fn(&str) -> String; 4] = [
            |text| text[..text.len() / 2].to_owned(),
            |_| String::new(),
            |text| text.replace("\"k1\"", "\"k2\""),
            |text| text.replace("\"version\": 1", "\"version\": 2"),
        ];
        for damage in damages {
            let bad = damage(&good);
            assert_ne!(bad, good);
            fs::write(&path, bad).unwrap();
            let refused = File::open(&folder).err().unwrap();
            assert!(refused.contains("put the file back"), "{refused}");
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_is_done_later() {
        let folder = folder();
        let (file, _) = File::open(&folder).unwrap();
        let keys = RevokedKeys::default();
        keys.add(&[of("k1")]);
        file.write(&keys).unwrap();
        // A folder stands where the new file would be written.
        fs::create_dir(folder.join("revoked.new")).unwrap();
        keys.add(&[of("k2")]);
        assert!(file.write(&keys).is_err());
        assert_eq!(File::open(&folder).unwrap().1, [of("k1")]);
        fs::remove_dir(folder.join("revoked.new")).unwrap();
        file.write(&keys).unwrap();
        assert_eq!(File::open(&folder).unwrap().1, [of("k1"), of("k2")]);
    }
}
