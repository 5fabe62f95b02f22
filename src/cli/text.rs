//! Words and bars in columns of a terminal.

use crate::words::is_invisible;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// `text` without what a terminal would obey: it may hold what somebody typed elsewhere.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_invisible(c) { '?' } else { c }).collect()
}

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns`; what is cut ends in `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut taken, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        taken.push(c);
    }
    // A letter and its marks may be narrower or wider than one by one.
    while !taken.is_empty() && width(&taken) >= columns {
        taken.pop();
    }
    if columns > 0 {
        taken.push('…');
    }
    taken
}

/// `text` in exactly `columns`, with spaces behind it.
pub(super) fn column(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let spaces = columns.saturating_sub(width(&text));
    text + &" ".repeat(spaces)
}

/// As many of `cells` as fit in `columns`, two spaces apart. The first is cut if need be, the others
/// are whole or absent.
pub(super) fn row(cells: &[String], columns: usize) -> String {
    let mut text = String::new();
    for (at, cell) in cells.iter().enumerate() {
        match at {
            0 => text = cut(cell, columns),
            _ if width(&text) + 2 + width(cell) <= columns => text += &format!("  {cell}"),
            _ => break,
        }
    }
    text
}

/// Rows as a table: each column but the last is as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max();
    let widths: Vec<usize> = (0..columns).map(|at| widest(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| column(cell, *width)).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A bar of `columns`: used, resting and free parts of `limit`.
pub(super) fn bar(in_use: u64, resting: u64, limit: u64, columns: usize) -> String {
    let limit = limit.max(in_use + resting).max(1);
    let scaled = |part: u64| {
        let wide = u128::from(part) * columns as u128;
        usize::try_from(wide.div_ceil(u128::from(limit))).unwrap_or(columns).min(columns)
    };
    let used = scaled(in_use);
    let taken = scaled(in_use.saturating_add(resting)).max(used);
    "█".repeat(used) + &"▒".repeat(taken - used) + &"·".repeat(columns - taken)
}

/// A length of time for people: `0.3 s`, `42 s`, `9 min`, `2 h 5 min`, `3 d`.
pub(super) fn long(ms: u64) -> String {
    let whole = ms.div_ceil(1_000);
    match ms {
        0 => "0 s".into(),
        1..10_000 => format!("{}.{} s", ms.div_ceil(100) / 10, ms.div_ceil(100) % 10),
        10_000..120_000 => format!("{whole} s"),
        120_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..172_800_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// A moment in UTC, given in milliseconds since the epoch.
pub(super) fn moment(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "–".into(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_said_in_the_unit_that_people_would_take() {
        for (ms, text) in [
            (0, "0 s"),
            (300, "0.3 s"),
            (9_950, "10.0 s"),
            (12_000, "12 s"),
            (540_000, "9 min"),
            (7_500_000, "2 h 5 min"),
            (300_000_000, "3 d"),
        ] {
            assert_eq!(long(ms), text);
        }
        assert_eq!(moment(1_795_910_400_000), "2026-11-29 00:00:00Z");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e"), "a?[2Jb??c?d?e");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_never_wider_than_its_columns(text in "\\PC*", columns in 0_usize..60) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
            prop_assert_eq!(width(&column(&text, columns)), columns);
        }

        #[test]
        fn a_row_is_never_wider_than_its_columns(
            cells in proptest::collection::vec("\\PC{0,12}", 0..6), columns in 0_usize..60
        ) {
            prop_assert!(width(&row(&cells, columns)) <= columns);
        }

        #[test]
        fn a_bar_has_its_columns_and_shows_what_is_not_zero(
            in_use in 0_u64..1_000, resting in 0_u64..1_000, limit in 0_u64..1_000, columns in 2_usize..60
        ) {
            let bar = bar(in_use, resting, limit, columns);
            prop_assert_eq!(width(&bar), columns);
            prop_assert_eq!(bar.contains('█'), in_use > 0);
        }
    }
}
