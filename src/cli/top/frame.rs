//! One picture of `top`, made from what is known and from the size of the terminal.

use super::board::{Board, Prompt};
use crate::cli::documents::{Seen, SeenApp, SeenConnection};
use crate::cli::overrides;
use crate::cli::status::{head, odd};
use crate::cli::text::{bar, clean, column, cut, long, row, width};

/// Columns and lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct TermSize {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineLook {
    Plain,
    Head,
    Title,
    Quiet,
    Warning,
    Selected,
}

/// One line of the screen, without anything that a terminal obeys.
#[derive(Debug)]
pub(super) struct FrameLine {
    pub(super) look: LineLook,
    pub(super) text: String,
}

/// Title and width of each column behind the name. Those that don't fit are left out, the last first.
const COLUMNS: [(&str, usize); 6] =
    [("slots", 11), ("used", 9), ("waiting", 7), ("calls/s", 7), ("saved/s", 7), ("refused", 7)];
/// The name keeps so many columns.
const NAME: usize = 14;
/// The slowest calls and overrides that are shown.
const BELOW: usize = 3;

const HELP: [&str; 8] = [
    "w r s     sort by waiting calls, by calls a second, by slots",
    "↑ ↓       select an app (also k j)",
    "p         pause it: you are asked how long and why",
    "e         end the newest change of it",
    "q         quit (also Ctrl-C)",
    "",
    "slots: █ in use, ▒ resting until a window is over, · free",
    "used: in use and resting, of the limit; of an app: what it holds",
];
const KEYS: &str = "q quit  w r s sort  ↑ ↓ app  p pause  e end  ? help";

/// At most as many lines as `size` has, and none is wider.
pub(super) fn frame(board: &Board, size: TermSize) -> Vec<FrameLine> {
    let columns = size.columns;
    let mut lines = vec![FrameLine { look: LineLook::Head, text: top_line(board, columns) }];
    let body = size.lines.saturating_sub(2);
    if board.help {
        let help = HELP.iter().map(|text| line(LineLook::Plain, cut(text, columns)));
        lines.extend(help.take(body));
    } else {
        let below = below(board.seen.as_ref(), columns, body);
        lines.extend(list(board, columns, body - below.len()));
        lines.extend(below);
    }
    while lines.len() + 1 < size.lines {
        lines.push(line(LineLook::Plain, String::new()));
    }
    lines.push(foot(board, columns));
    lines.truncate(size.lines);
    lines
}

fn line(look: LineLook, text: String) -> FrameLine {
    FrameLine { look, text }
}

fn top_line(board: &Board, columns: usize) -> String {
    let mut cells = vec![format!("tollgate {}", clean(&board.at))];
    cells.push(format!("by {}", board.order.as_str()));
    cells.extend(board.seen.as_ref().map(head));
    column(&row(&cells, columns), columns)
}

/// What is typed, or what went wrong, or what was done, or the keys.
fn foot(board: &Board, columns: usize) -> FrameLine {
    if let Some(entry) = &board.entry {
        let said = if board.said.is_empty() { String::new() } else { format!(" ({})", board.said) };
        return line(LineLook::Title, entry_line(entry, &clean(&said), columns));
    }
    match &board.trouble {
        Some(reason) => line(LineLook::Warning, cut(&clean(reason), columns)),
        None if board.help => line(LineLook::Title, cut("any key goes back", columns)),
        None if board.said.is_empty() => line(LineLook::Quiet, cut(KEYS, columns)),
        None => line(LineLook::Title, cut(&clean(&board.said), columns)),
    }
}

/// The end of what is typed is always seen.
fn entry_line(entry: &Prompt, said: &str, columns: usize) -> String {
    let question = match &entry.lasts {
        None => format!("pause {} for{said}: ", entry.of.name()),
        Some(_) => format!("because{said}: "),
    };
    let question = cut(&question, columns / 2);
    let room = columns.saturating_sub(width(&question) + 1);
    let mut typed = clean(&entry.text);
    while width(&typed) > room {
        typed.remove(0);
    }
    cut(&format!("{question}{typed}_"), columns)
}

/// Connections and apps in `lines`; the selected app is among them.
fn list(board: &Board, columns: usize, lines: usize) -> Vec<FrameLine> {
    let grid = Grid::of(columns);
    let (mut all, mut selected) = (Vec::new(), None);
    for (connection, apps) in board.sorted() {
        all.push(line(LineLook::Plain, grid.connection(connection)));
        let odd = odd(connection);
        let trouble = odd.is_some() || connection.paused || connection.all_waiting() > 0;
        let words = [Some(clean(&connection.words)), odd];
        let words: Vec<String> = words.into_iter().flatten().filter(|it| !it.is_empty()).collect();
        let look = if trouble { LineLook::Warning } else { LineLook::Quiet };
        all.push(line(look, cut(&format!("  {}", words.join("; ")), columns)));
        for app in apps {
            let is_it = board.selected.as_ref().is_some_and(|it| it.is(connection, app));
            let look = if is_it { LineLook::Selected } else { LineLook::Plain };
            selected = if is_it { Some(all.len()) } else { selected };
            all.push(line(look, grid.app(app, is_it)));
        }
    }
    if all.is_empty() {
        let text = if board.seen.is_some() { "no connections" } else { "asking the gateway" };
        all.push(line(LineLook::Quiet, cut(text, columns)));
    }
    let Some(room) = lines.checked_sub(1) else { return Vec::new() };
    let first = selected.map_or(0, |at| (at + 1).saturating_sub(room));
    let titles = line(LineLook::Title, grid.titles(board));
    std::iter::once(titles).chain(all.into_iter().skip(first).take(room)).collect()
}

/// Overrides and the slowest calls, in at most half of `lines`.
fn below(seen: Option<&Seen>, columns: usize, lines: usize) -> Vec<FrameLine> {
    let Some(seen) = seen else { return Vec::new() };
    let mut all = Vec::new();
    let mut part = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            all.push(line(LineLook::Title, cut(title, columns)));
            all.extend(rows.into_iter().map(|text| line(LineLook::Plain, cut(&text, columns))));
        }
    };
    part("overrides", seen.overrides.iter().take(BELOW).map(overrides::line).collect());
    let slowest = seen.slowest.iter().take(BELOW).map(|call| {
        let operation = call.operation.as_deref().unwrap_or("–");
        format!(
            "{:>8.3} s  {:>8.3} s queued  {}  {}  {}  {}",
            call.total_ms / 1_000.0,
            call.queue_ms / 1_000.0,
            clean(operation),
            clean(&call.app),
            clean(&call.code),
            clean(&call.id)
        )
    });
    part("slowest", slowest.collect());
    all.truncate(lines / 2);
    all
}

/// Columns that fit.
struct Grid {
    name: usize,
    columns: usize,
    shown: usize,
}

impl Grid {
    fn of(columns: usize) -> Self {
        let taken = |shown: usize| COLUMNS[..shown].iter().map(|(_, wide)| wide + 2).sum::<usize>();
        let fits = |shown: &usize| NAME + taken(*shown) <= columns;
        let shown = (0..=COLUMNS.len()).rev().find(fits).unwrap_or(0);
        let name = columns.saturating_sub(taken(shown)).min(30);
        Self { name, columns, shown }
    }

    /// A name, and a text for each column; the first one stands to the left, numbers to the right.
    fn line(&self, name: &str, cells: &[String]) -> String {
        let mut text = column(name, self.name);
        for (at, (cell, (_, wide))) in cells.iter().zip(&COLUMNS[..self.shown]).enumerate() {
            let cell = cut(cell, *wide);
            let spaces = " ".repeat(wide.saturating_sub(width(&cell)));
            text += &match at {
                0 => format!("  {cell}{spaces}"),
                _ => format!("  {spaces}{cell}"),
            };
        }
        cut(&text, self.columns)
    }

    fn titles(&self, board: &Board) -> String {
        let count = board.seen.as_ref().map_or(0, |seen| seen.connections.len());
        self.line(&format!("{count} connections"), &COLUMNS.map(|(title, _)| title.to_owned()))
    }

    fn connection(&self, it: &SeenConnection) -> String {
        let slots = it.slots;
        let rate = |rate: f64| format!("{rate:.1}");
        self.line(
            &clean(&it.connection),
            &[
                bar(slots.in_use, slots.resting, slots.limit, COLUMNS[0].1),
                format!("{}/{}", it.taken(), slots.limit),
                it.all_waiting().to_string(),
                rate(it.rates.started),
                rate(it.rates.saved),
                rate(it.rates.refused),
            ],
        )
    }

    fn app(&self, it: &SeenApp, selected: bool) -> String {
        let mark = if selected { ">" } else { " " };
        let state = match (&it.refused, it.wait_ms) {
            _ if it.paused => "paused".into(),
            (Some(_), _) => "refused".into(),
            (None, Some(ms)) if ms > 0 => long(ms),
            _ => "now".into(),
        };
        self.line(
            &format!("{mark} {}/{}", clean(&it.tenant), clean(&it.app)),
            &[clean(&it.lane), it.held.to_string(), it.waiting.to_string(), state],
        )
    }
}

#[cfg(test)]
mod tests;
