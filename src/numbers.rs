//! Numbers in place of names. A configuration counts what it has once; a call carries the numbers,
//! and layers look nothing up by name.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

/// A number that stands for something of a configuration, from 0 on without gaps.
pub trait Number: Copy {
    /// The number as a place in a table.
    fn place(self) -> usize;
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl From<usize> for $name {
            /// More than 2^32 - 1 of a kind would share the last number; no configuration has that
            /// many.
            fn from(place: usize) -> Self {
                Self(u32::try_from(place).unwrap_or(u32::MAX))
            }
        }

        impl Number for $name {
            fn place(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number! {
    /// A connection of a configuration, in the order of the file.
    ConnectionIx
}
number! {
    /// An app among those that may use a connection, in the order of the file.
    AppIx
}
number! {
    /// A row of a catalogue; the last one stands for what no row fits.
    OperationIx
}

/// A value for each number of a kind.
#[derive(Clone)]
pub struct Table<N, T> {
    values: Box<[T]>,
    numbers: PhantomData<fn(N)>,
}

impl<N, T> FromIterator<T> for Table<N, T> {
    /// The values in the order of their numbers.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self { values: values.into_iter().collect(), numbers: PhantomData }
    }
}

impl<N: Number, T> Index<N> for Table<N, T> {
    type Output = T;

    /// The value of a number of the same configuration.
    fn index(&self, number: N) -> &T {
        &self.values[number.place()]
    }
}

impl<N: From<usize>, T> Table<N, T> {
    /// All numbers with their values.
    pub fn iter(&self) -> impl Iterator<Item = (N, &T)> {
        self.values.iter().enumerate().map(|(place, value)| (N::from(place), value))
    }
}

impl<N, T: fmt::Debug> fmt::Debug for Table<N, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_gives_each_number_its_own_value() {
        let table: Table<ConnectionIx, &str> = ["a", "b"].into_iter().collect();
        let all: Vec<_> = table.iter().collect();
        assert_eq!(all, [(ConnectionIx::from(0), &"a"), (ConnectionIx::from(1), &"b")]);
        assert_eq!(table[ConnectionIx::from(1)], "b");
    }
}
