//! The entries of a parsed document: found by their place, taken out, replaced by stand-ins.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Places from here on mark entries that were taken out. No file is as long.
const HOLLOW: usize = usize::MAX / 2;

/// The way from the root to an entry.
pub(super) type Path = Vec<EntryPart>;

/// One part of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryPart {
    Key(String),
    Index(usize),
}

/// True for the place of an entry that was taken out.
pub(super) const fn is_hollow(start: usize) -> bool {
    start >= HOLLOW
}

/// The place of the stand-in number `n`.
pub(super) const fn hollow(n: usize) -> Range<usize> {
    HOLLOW + n..HOLLOW + n
}

/// The way to the entry whose key or value stands exactly at `span`. A list of tables has the place
/// of its first table. Then the table is meant, or the list if `lists`.
pub(super) fn find(table: &DeTable<'_>, span: &Range<usize>, lists: bool) -> Option<Path> {
    table.iter().find_map(|(key, value)| {
        let first = value.get_ref().as_array().and_then(|array| array.first());
        let is_list = !lists && first.is_some_and(|first| first.span() == *span);
        let here = key.span() == *span || (value.span() == *span && !is_list);
        let rest = if here { Some(Path::new()) } else { find_in(value, span, lists) };
        rest.map(|rest| [vec![EntryPart::Key(key.get_ref().to_string())], rest].concat())
    })
}

fn find_in(value: &Spanned<DeValue<'_>>, span: &Range<usize>, lists: bool) -> Option<Path> {
    match value.get_ref() {
        DeValue::Table(table) => find(table, span, lists),
        DeValue::Array(array) => array.iter().enumerate().find_map(|(at, element)| {
            let here = element.span() == *span;
            let rest = if here { Some(Path::new()) } else { find_in(element, span, lists) };
            rest.map(|rest| [vec![EntryPart::Index(at)], rest].concat())
        }),
        _ => None,
    }
}

/// What `path` leads to; `None` for the root, and if there is nothing.
pub(super) fn get<'a, 'i>(
    root: &'a DeTable<'i>,
    path: &[EntryPart],
) -> Option<&'a Spanned<DeValue<'i>>> {
    let (EntryPart::Key(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(root.get(first.as_str())?, |value, part| match part {
        EntryPart::Key(name) => value.get_ref().as_table()?.get(name.as_str()),
        EntryPart::Index(at) => value.get_ref().as_array()?.get(*at),
    })
}

fn get_mut<'a, 'i>(
    root: &'a mut DeTable<'i>,
    path: &[EntryPart],
) -> Option<&'a mut Spanned<DeValue<'i>>> {
    let (EntryPart::Key(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(root.get_mut(first.as_str())?, |value, part| {
        match (part, value.get_mut()) {
            (EntryPart::Key(name), DeValue::Table(table)) => table.get_mut(name.as_str()),
            (EntryPart::Index(at), DeValue::Array(array)) => array.get_mut(*at),
            _ => None,
        }
    })
}

/// The table that `path` leads to.
pub(super) fn table<'a, 'i>(
    root: &'a mut DeTable<'i>,
    path: &[EntryPart],
) -> Option<&'a mut DeTable<'i>> {
    if path.is_empty() {
        return Some(root);
    }
    match get_mut(root, path)?.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Removes the entry at `path`.
pub(super) fn remove(root: &mut DeTable<'_>, path: &[EntryPart]) -> bool {
    let Some((last, parent)) = path.split_last() else { return false };
    match last {
        EntryPart::Key(name) => {
            table(root, parent).is_some_and(|t| t.remove(name.as_str()).is_some())
        }
        EntryPart::Index(index) => {
            let Some(DeValue::Array(array)) = get_mut(root, parent).map(Spanned::get_mut) else {
                return false;
            };
            let all = std::mem::replace(array, DeArray::new()).into_iter().enumerate();
            *array = all.filter(|(at, _)| at != index).map(|(_, element)| element).collect();
            true
        }
    }
}

/// Replaces what is at `path` with `value`.
pub(super) fn replace<'i>(root: &mut DeTable<'i>, path: &[EntryPart], value: DeValue<'i>) -> bool {
    get_mut(root, path).map(|there| *there.get_mut() = value).is_some()
}

/// Marks the entry at `path` as taken out. An element of a list is removed, and its list is marked.
pub(super) fn mark(root: &mut DeTable<'_>, path: &[EntryPart]) {
    let marked = match path.split_last() {
        Some((EntryPart::Index(_), list)) => {
            remove(root, path);
            list
        }
        _ => path,
    };
    if let Some(value) = get_mut(root, marked) {
        let inner = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
        *value = Spanned::new(hollow(0), inner);
    }
}

/// Puts `value` under `name` into the table at `path`.
pub(super) fn put<'i>(
    root: &mut DeTable<'i>,
    path: &[EntryPart],
    name: &str,
    value: Spanned<DeValue<'i>>,
) -> bool {
    let Some(table) = table(root, path) else { return false };
    match table.get_mut(name) {
        Some(there) => *there = value,
        None => drop(table.insert(Spanned::new(value.span(), name.to_owned().into()), value)),
    }
    true
}

/// The stand-in number `n`, tried as the `attempt`-th kind of value; `None` if there is no other
/// kind.
pub(super) fn stand_in<'i>(n: usize, attempt: usize) -> Option<Spanned<DeValue<'i>>> {
    let text = |text: String| DeValue::String(text.into());
    let span = hollow(n);
    let value = match attempt {
        0 => text(format!("standin{n}")),
        1 => DeValue::parse("1").ok()?.into_inner(),
        2 => DeValue::Array(DeArray::new()),
        3 => text("1s".into()),
        4 => text(format!("{n:064}")),
        5 => {
            let mut table = DeTable::new();
            let key = Spanned::new(span.clone(), "env".into());
            table.insert(key, Spanned::new(span.clone(), text("TOLLGATE".into())));
            DeValue::Table(table)
        }
        6 => text("read".into()),
        7 => text("*".into()),
        8 => DeValue::Table(DeTable::new()),
        _ => return None,
    };
    Some(Spanned::new(span, value))
}

/// True if something below `path` was taken out.
pub(super) fn has_hollow(root: &DeTable<'_>, path: &[EntryPart]) -> bool {
    if path.is_empty() {
        return has_hollow_part(root);
    }
    get(root, path).and_then(|value| value.get_ref().as_table()).is_some_and(has_hollow_part)
}

/// True if something in a table, or in the tables below it, was taken out. Lists are not searched.
pub(super) fn has_hollow_part(table: &DeTable<'_>) -> bool {
    table.values().any(|value| {
        is_hollow(value.span().start) || value.get_ref().as_table().is_some_and(has_hollow_part)
    })
}
