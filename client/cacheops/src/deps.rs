//! What a result depends on.

use crate::Condition;

/// Tables, and for each the rows that a result depends on.
///
/// A result that depends on no table is never stored: nothing could ever invalidate it.
///
/// ```
/// use cacheops::{Condition, Deps};
///
/// let deps = Deps::on("post", Condition::all().term("author", 7)).and("tag", Condition::all());
/// assert_eq!(deps.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deps(Vec<(Vec<u8>, Vec<u8>)>);

impl Deps {
    /// Nothing that is known.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The rows of one table that satisfy a condition.
    pub fn on(table: impl AsRef<[u8]>, condition: Condition) -> Self {
        Self::none().and(table, condition)
    }

    /// Any row of one table.
    pub fn on_table(table: impl AsRef<[u8]>) -> Self {
        Self::on(table, Condition::all())
    }

    /// The same, and the rows of one more table. Conditions on one table are or-ed.
    pub fn and(self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.and_text(table, condition.to_bytes())
    }

    /// The same, and a condition that is written in the grammar already, as an analyser of SQL does.
    pub fn and_text(mut self, table: impl AsRef<[u8]>, condition: impl Into<Vec<u8>>) -> Self {
        self.0.push((table.as_ref().to_vec(), condition.into()));
        self
    }

    /// The same, and all of another.
    pub fn and_all(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether no table is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of pairs of table and condition.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tables and conditions, in the grammar's text.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(table, condition)| (table.as_slice(), condition.as_slice()))
    }
}

impl<T: AsRef<[u8]>> From<(T, Condition)> for Deps {
    fn from((table, condition): (T, Condition)) -> Self {
        Self::on(table, condition)
    }
}

impl<T: AsRef<[u8]>, const N: usize> From<[(T, Condition); N]> for Deps {
    fn from(pairs: [(T, Condition); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T: AsRef<[u8]>> From<Vec<(T, Condition)>> for Deps {
    fn from(pairs: Vec<(T, Condition)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T: AsRef<[u8]>> FromIterator<(T, Condition)> for Deps {
    fn from_iter<I: IntoIterator<Item = (T, Condition)>>(pairs: I) -> Self {
        pairs.into_iter().fold(Self::none(), |deps, (table, condition)| deps.and(table, condition))
    }
}
