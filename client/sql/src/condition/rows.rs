//! The rows that a write changes, as values.

use cacheops_condition::OwnedConjunction;
use smallvec::SmallVec;

use super::dnf::MAX_CONJUNCTIONS;
use super::product::{Choices, Product};
use super::table::TableConditions;
use crate::Value;

/// The rows that a write changes: for each table conjunctions, of which every changed row, old and new, satisfies one.
///
/// No table occurs twice. A conjunction without terms stands for any row of its table, and is then the table's only one.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Value};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 100);
/// let write = analyser.analyse("UPDATE article SET tag = $1 WHERE tag = $2");
///
/// let rows = write.changed_rows(&[Value::Int(3), Value::Int(2)]);
/// let texts: Vec<_> = rows.get("article").iter().flat_map(|rows| *rows).map(|row| row.to_text()).collect();
/// assert_eq!(texts, [b"tag=2", b"tag=3"]);
/// assert!(!rows.is_whole("article"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedRows<'t> {
    tables: SmallVec<[(&'t str, Vec<OwnedConjunction>); 1]>,
}

impl<'t> ChangedRows<'t> {
    /// The tables and their rows.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'t str, &[OwnedConjunction])> + '_ {
        self.tables.iter().map(|(table, rows)| (*table, rows.as_slice()))
    }

    /// How many tables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The rows of one table.
    #[must_use]
    pub fn get(&self, table: &str) -> Option<&[OwnedConjunction]> {
        self.iter().find(|(name, _)| *name == table).map(|(_, rows)| rows)
    }

    /// Whether any row of the table may have changed.
    #[must_use]
    pub fn is_whole(&self, table: &str) -> bool {
        self.get(table).is_some_and(|rows| rows.iter().any(OwnedConjunction::is_empty))
    }

    /// The tables and the texts of their rows, for a client that writes `CACHEOPS.INVALIDATE ON` itself.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let analyser = Analyser::new(Dialect::Sqlite, Schema::new(), 100);
    /// let write = analyser.analyse("DELETE FROM article WHERE tag IN (2, 3)");
    /// assert_eq!(write.changed_rows(&[]).to_pairs(), [("article".to_owned(), b"tag=2|tag=3".to_vec())]);
    /// ```
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(String, Vec<u8>)> {
        let text = |rows: &[OwnedConjunction]| {
            let mut text = Vec::new();
            OwnedConjunction::write_all(rows, &mut text);
            text
        };
        self.iter().map(|(table, rows)| (table.to_owned(), text(rows))).collect()
    }

    pub(crate) fn fill(tables: &'t [TableConditions], values: &[Value<'_>]) -> Self {
        let budget = MAX_CONJUNCTIONS / tables.len().max(1);
        let mut filled = Self::default();
        for table in tables {
            let mut left = budget;
            let mut rows = Vec::with_capacity(table.conjunctions.len());
            for conjunction in &table.conjunctions {
                match Product::of(conjunction, values, &mut left) {
                    Choices::None => {}
                    Choices::AnyRow => {
                        rows = vec![OwnedConjunction::new()];
                        break;
                    }
                    Choices::Some(product) => product.each(|terms| {
                        let terms = terms.map(|(factor, value)| (factor.column.as_bytes(), value));
                        rows.push(terms.collect());
                    }),
                }
            }
            if !rows.is_empty() {
                filled.tables.push((&table.table, rows));
            }
        }
        filled
    }
}

impl<'t> IntoIterator for ChangedRows<'t> {
    type Item = (&'t str, Vec<OwnedConjunction>);
    type IntoIter = smallvec::IntoIter<[(&'t str, Vec<OwnedConjunction>); 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.tables.into_iter()
    }
}
