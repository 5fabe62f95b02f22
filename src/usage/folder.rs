//! One file a day: `usage/2026-11-24.json` in the state folder.
//!
//! A file is replaced as a whole. So a process that is killed leaves the old one or the new one. A
//! file that can't be read is set aside under another name and logged. It is never overwritten.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::book::{Counts, UsageRow, Who};
use super::day::{Day, KEPT};

use crate::hex::Hex;
use crate::targets;

/// The version of the form that is written. A file of another version is not read.
const VERSION: u32 = 1;

/// The files of usage.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// The contents of a file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    version: u32,
    day: String,
    /// SHA-256 of `rows` as they are written in the file.
    check: String,
    rows: Vec<Line>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    tenant: String,
    app: String,
    connection: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

impl Folder {
    /// The folder below the state folder `state`. It is made if it is missing.
    ///
    /// # Errors
    /// The text says why it can't be made.
    pub fn create(state: &Path) -> Result<Self, String> {
        let folder = Self::of(state);
        let made = fs::create_dir_all(&folder.path);
        made.map_err(|error| format!("usage folder '{}': {error}", folder.path.display()))?;
        Ok(folder)
    }

    /// The folder below the state folder `state`, as it is.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self { path: state.join("usage") }
    }

    /// True if a gateway has counted here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Adds `rows` to the file of `day`. When a new file is begun, the oldest ones are removed.
    ///
    /// # Errors
    /// Why nothing was added.
    pub fn add(&mut self, day: Day, rows: &[UsageRow]) -> std::io::Result<()> {
        let known = match self.read(day) {
            Ok(known) => known,
            Err(reason) => {
                let aside = self.set_aside(day)?;
                tracing::error!(target: targets::USAGE, %day, reason, aside = %aside.display(), "usage file set aside: it can't be read");
                None
            }
        };
        let is_new = known.is_none();
        let mut all: BTreeMap<Who, Counts> = known.into_iter().flatten().collect();
        for (who, counts) in rows {
            all.entry(who.clone()).or_default().add(counts);
        }
        self.replace(day, &encode(day, all)?)?;
        if is_new {
            self.forget_before(day);
        }
        Ok(())
    }

    /// The rows of `day`, in order, if it has a file.
    ///
    /// # Errors
    /// The text says what is wrong with the file.
    pub fn read(&self, day: Day) -> Result<Option<Vec<UsageRow>>, String> {
        match fs::read(self.file(day)) {
            Ok(bytes) => decode(day, &bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The days that have a file, in order.
    ///
    /// # Errors
    /// Why the folder can't be read.
    pub fn days(&self) -> std::io::Result<Vec<Day>> {
        let names = self.names()?;
        let day = |name: String| name.strip_suffix(".json")?.parse().ok();
        let mut days: Vec<Day> = names.into_iter().filter_map(day).collect();
        days.sort();
        Ok(days)
    }

    /// The files that were set aside, each with its day.
    ///
    /// # Errors
    /// Why the folder can't be read.
    pub fn set_aside_files(&self) -> std::io::Result<Vec<(Day, PathBuf)>> {
        let names = self.names()?;
        let day = |name: &str| name.split_once(".broken-")?.0.parse().ok();
        Ok(names.iter().filter_map(|name| Some((day(name)?, self.path.join(name)))).collect())
    }

    fn names(&self) -> std::io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?.collect::<Result<Vec<_>, _>>()?;
        Ok(entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn file(&self, day: Day) -> PathBuf {
        self.path.join(format!("{day}.json"))
    }

    fn replace(&self, day: Day, bytes: &[u8]) -> std::io::Result<()> {
        let new = self.path.join("new");
        if !self.exists() {
            // The folder was removed, so it is made again. The state folder itself is made only at
            // a start.
            fs::create_dir(&self.path)?;
        }
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.file(day))
    }

    fn set_aside(&self, day: Day) -> std::io::Result<PathBuf> {
        let free = |number: &u32| !self.path.join(format!("{day}.broken-{number}")).exists();
        let number = (1..u32::MAX).find(free).ok_or(ErrorKind::AlreadyExists)?;
        let aside = self.path.join(format!("{day}.broken-{number}"));
        fs::rename(self.file(day), &aside)?;
        Ok(aside)
    }

    /// Removes files that are too old when `new` is begun. Their age counts from the last day
    /// before `new` that has a file. So a clock that is wrong for a while does not cost files that
    /// it should not.
    fn forget_before(&self, new: Day) {
        let days = self.days().unwrap_or_default();
        let Some(last) = days.iter().filter(|day| **day < new).max() else { return };
        for old in days.iter().filter(|day| last.since(**day) >= KEPT - 1) {
            match fs::remove_file(self.file(*old)) {
                Ok(()) => {
                    tracing::info!(target: targets::USAGE, day = %old, "usage is old enough: removed");
                }
                Err(error) => {
                    tracing::error!(target: targets::USAGE, day = %old, cause = %error, "old usage can't be removed");
                }
            }
        }
    }
}

fn encode(day: Day, all: BTreeMap<Who, Counts>) -> std::io::Result<Vec<u8>> {
    let line = |(who, counts): UsageRow| Line {
        tenant: who.tenant.to_string(),
        app: who.app.to_string(),
        connection: who.connection.map(|id| id.to_string()),
        counts,
    };
    let rows: Vec<Line> = all.into_iter().map(line).collect();
    let sheet = Sheet { version: VERSION, day: day.to_string(), check: check(&rows)?, rows };
    Ok(serde_json::to_vec(&sheet)?)
}

fn decode(day: Day, bytes: &[u8]) -> Result<Vec<UsageRow>, String> {
    /// The part that every version has.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let text = |error: serde_json::Error| error.to_string();
    let Version { version } = serde_json::from_slice(bytes).map_err(text)?;
    if version != VERSION {
        return Err(format!("version {version}; this program reads {VERSION}"));
    }
    let sheet: Sheet = serde_json::from_slice(bytes).map_err(text)?;
    if sheet.day != day.to_string() {
        return Err(format!("it is of {}", sheet.day));
    }
    if sheet.check != check(&sheet.rows).map_err(text)? {
        return Err("its check is wrong".into());
    }
    let row = |line: Line| {
        let connection = line.connection.map(|id| id.parse()).transpose()?;
        let who = Who { tenant: line.tenant.parse()?, app: line.app.parse()?, connection };
        Ok((who, line.counts))
    };
    sheet.rows.into_iter().map(row).collect()
}

fn check(rows: &[Line]) -> Result<String, serde_json::Error> {
    let digest = Sha256::digest(serde_json::to_vec(rows)?);
    Ok(Hex(&digest).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomId;
    use std::time::Duration;

    fn folder() -> (PathBuf, Folder) {
        let state = std::env::temp_dir().join(format!("tollgate-usage-{}", RandomId::new()));
        let folder = Folder::create(&state).unwrap();
        (state, folder)
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn row(app: &str, connection: Option<&str>, calls: u64) -> UsageRow {
        let connection = connection.map(|id| id.parse().unwrap());
        let who = Who { tenant: "acme".parse().unwrap(), app: app.parse().unwrap(), connection };
        (who, Counts { calls, bytes_out: 10 * calls, ..Counts::default() })
    }

    #[test]
    fn what_is_added_is_read_back_and_adds_up() {
        let (state, mut folder) = folder();
        let day = day("2026-11-24");
        assert_eq!(folder.read(day), Ok(None));
        folder.add(day, &[row("b", Some("acme-prod"), 1), row("a", None, 2)]).unwrap();
        // Another process comes later on the same day. One app was removed, and one is new.
        let mut folder = Folder::create(&state).unwrap();
        folder.add(day, &[row("b", Some("acme-prod"), 4), row("c", Some("acme-eu"), 1)]).unwrap();
        let all =
            vec![row("a", None, 2), row("b", Some("acme-prod"), 5), row("c", Some("acme-eu"), 1)];
        assert_eq!(folder.read(day), Ok(Some(all)));
        assert_eq!(folder.days().unwrap(), [day]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside_as_it_is() {
        let damages: [fn(&str) -> String; 6] = [
            |text| text[..text.len() / 2].to_owned(),
            |_| String::new(),
            |text| text.replace("\"calls\":1,", "\"calls\":9,"),
            |text| text.replace("\"version\":1", "\"version\":2"),
            |text| text.replace("2026-11-24", "2026-11-23"),
            |text| text.replace("\"app\":\"a\"", "\"app\":\"=a\""),
        ];
        let (day, one) = (day("2026-11-24"), [row("a", None, 1)]);
        let (_, mut folder) = folder();
        for (number, damage) in (1..).zip(damages) {
            folder.add(day, &one).unwrap();
            let good = fs::read_to_string(folder.file(day)).unwrap();
            let bad = damage(&good);
            assert_ne!(bad, good, "{number}");
            fs::write(folder.file(day), &bad).unwrap();
            assert!(folder.read(day).is_err(), "{number}: {bad}");
            folder.add(day, &one).unwrap();
            assert_eq!(folder.read(day), Ok(Some(one.to_vec())), "{number}");
            let aside = folder.path.join(format!("2026-11-24.broken-{number}"));
            assert_eq!(fs::read_to_string(aside).unwrap(), bad);
            assert_eq!(folder.set_aside_files().unwrap().len(), number);
            fs::remove_file(folder.file(day)).unwrap();
        }
    }

    #[test]
    fn sixty_two_days_are_kept_and_nothing_else_is_removed() {
        let (_, mut folder) = folder();
        let strangers = ["2026-01-01.json.bak", "2026-01-01.broken-1", "notes", "2026-1-1.json"];
        for name in strangers {
            fs::write(folder.path.join(name), "").unwrap();
        }
        let first = day("2026-01-01");
        for n in 0..100 {
            let day = Day::of(first.start() + Duration::from_secs(n * 86_400));
            folder.add(day, &[row("a", None, 1)]).unwrap();
        }
        let days = folder.days().unwrap();
        assert_eq!((days.len(), days[61].since(days[0])), (KEPT as usize, 61));
        assert!(strangers.iter().all(|name| folder.path.join(name).exists()));
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_while_costs_no_file() {
        let (_, mut folder) = folder();
        let days = ["2026-11-23", "2026-11-24", "2070-01-01", "2026-11-25", "2026-11-22"];
        for text in days {
            folder.add(day(text), &[row("a", None, 1)]).unwrap();
        }
        assert_eq!(folder.days().unwrap().len(), days.len());
    }

    #[test]
    fn what_cannot_be_written_is_said_and_leaves_the_old_file() {
        let (_, mut folder) = folder();
        let day = day("2026-11-24");
        folder.add(day, &[row("a", None, 1)]).unwrap();
        // A folder stands where the file would be written, so the write fails.
        fs::create_dir(folder.path.join("new")).unwrap();
        assert!(folder.add(day, &[row("a", None, 1)]).is_err());
        fs::remove_dir(folder.path.join("new")).unwrap();
        assert_eq!(folder.read(day), Ok(Some(vec![row("a", None, 1)])));
    }
}
