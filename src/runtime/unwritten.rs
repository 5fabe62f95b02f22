//! What of the state folder can't be written. Calls go on, so it is no reason to take traffic away; after
//! a restart it would be missed.

use super::State;

impl State {
    /// Files that can't be written now, by what they keep.
    #[must_use]
    pub fn unwritten(&self) -> [(&'static str, usize); 3] {
        let usage = self.0.usage.as_ref().is_some_and(|usage| usage.is_unwritten());
        [
            ("slots", self.admission().unwritten()),
            ("made-keys", self.keys().is_unwritten().into()),
            ("usage", usage.into()),
        ]
    }

    /// The text of a readiness check that goes well.
    #[must_use]
    pub fn readiness(&self) -> String {
        let unwritten = self.unwritten().into_iter().filter(|(_, files)| *files > 0);
        let words: Vec<&str> = unwritten.map(|(word, _)| word).collect();
        match words.as_slice() {
            [] => "ok\n".into(),
            words => format!("ok\nthe state folder can't be written: {}\n", words.join(", ")),
        }
    }
}
