//! The last lines, for those who ask.

use std::collections::VecDeque;
use std::sync::Arc;

use super::AuditLine;

/// Acts that are kept.
const DONE: usize = 1000;
/// Refused ones, apart: whoever is refused must not push out what was done.
const REFUSED: usize = 250;

/// The last lines of both kinds, each with its place in the whole.
#[derive(Default)]
pub(super) struct KeptActs {
    done: VecDeque<(u64, Arc<AuditLine>)>,
    refused: VecDeque<(u64, Arc<AuditLine>)>,
    next: u64,
}

impl KeptActs {
    pub(super) fn add(&mut self, line: AuditLine) {
        let (lines, most) = match line.is_refused() {
            true => (&mut self.refused, REFUSED),
            false => (&mut self.done, DONE),
        };
        if lines.len() >= most {
            lines.pop_front();
        }
        lines.push_back((self.next, Arc::new(line)));
        self.next += 1;
    }

    /// The last `limit` of both kinds, the newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<Arc<AuditLine>> {
        let newest = |lines: &VecDeque<(u64, Arc<AuditLine>)>| {
            lines.iter().rev().take(limit).cloned().collect::<Vec<_>>()
        };
        let mut all = [newest(&self.done), newest(&self.refused)].concat();
        all.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        all.into_iter().take(limit).map(|(_, line)| line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Deed;

    fn line(what: &str, refused: bool) -> AuditLine {
        let act = Deed { what: what.to_owned(), ..Deed::default() };
        AuditLine::new(act, refused.then_some("no"))
    }

    #[test]
    fn the_newest_are_told_first_and_refused_ones_push_nothing_out() {
        let mut kept = KeptActs::default();
        kept.add(line("first", false));
        (0..2000).for_each(|n| kept.add(line(&format!("refused {n}"), true)));
        kept.add(line("last", false));
        let what = |kept: &KeptActs, limit| {
            kept.last(limit).iter().map(|line| line.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(what(&kept, 2), ["last", "refused 1999"]);
        let all = what(&kept, usize::MAX);
        assert_eq!((all.len(), all.last().unwrap().as_str()), (REFUSED + 2, "first"));
        (0..2000).for_each(|n| kept.add(line(&n.to_string(), false)));
        assert_eq!(what(&kept, usize::MAX).len(), DONE + REFUSED);
    }
}
