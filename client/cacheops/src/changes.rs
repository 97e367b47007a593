//! What changed in the database, to be told to the cache.

use std::collections::{BTreeMap, BTreeSet};

use cacheops_condition::{OwnedConjunction, Term};

use crate::Condition;

/// Rows of one table that are remembered one by one; more become the whole table.
const MAX_ROWS: usize = 10_000;

/// Changed rows of any number of tables: what one invalidation sends.
///
/// A set: rows that are told twice count once, and a whole table contains its rows. More than 10,000
/// rows of one table become the whole table, so that neither memory nor command grow without bound.
///
/// ```
/// use cacheops::{Changes, Row};
///
/// let mut changes = Changes::row("post", Row::new().set("id", 7));
/// changes.add_change("post", Row::new().set("author", 1), Row::new().set("author", 2));
/// changes.add_table("tag");
/// assert_eq!(changes.tables().collect::<Vec<_>>(), [b"post", b"tag".as_slice()]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "changes do nothing until they are sent"]
pub struct Changes {
    tables: BTreeMap<Vec<u8>, Rows>,
    everything: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rows {
    Some(BTreeSet<OwnedConjunction>),
    All,
}

/// The text of a row of which nothing is known.
const ANY: &[u8] = b"*";

impl Changes {
    /// No change at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// One row that was inserted or deleted. Where fields are missing: every row that has the rest.
    pub fn row(table: impl AsRef<[u8]>, row: impl Into<OwnedConjunction>) -> Self {
        let mut changes = Self::new();
        changes.add_row(table, row);
        changes
    }

    /// Any row of one table.
    pub fn table(table: impl AsRef<[u8]>) -> Self {
        let mut changes = Self::new();
        changes.add_table(table);
        changes
    }

    /// Everything that the cache holds.
    pub fn everything() -> Self {
        Self { tables: BTreeMap::new(), everything: true }
    }

    /// Adds a row that was inserted or deleted. Where fields are missing: every row that has the
    /// rest.
    ///
    /// ```
    /// use cacheops::{Changes, OwnedConjunction, Row};
    ///
    /// let mut changes = Changes::new();
    /// changes.add_row("post", Row::new().set("id", 7)); // built by the application
    /// changes.add_row("post", OwnedConjunction::new().with(b"id", Some(b"7"))); // or by an analyser
    /// assert_eq!(changes.rows(), 1);
    /// ```
    pub fn add_row(&mut self, table: impl AsRef<[u8]>, row: impl Into<OwnedConjunction>) {
        let row = row.into();
        if let Some(rows) = self.rows_of(table.as_ref()) {
            rows.insert(row);
        }
    }

    /// Adds a row that was updated: its image before and after.
    pub fn add_change(
        &mut self,
        table: impl AsRef<[u8]>,
        old: impl Into<OwnedConjunction>,
        new: impl Into<OwnedConjunction>,
    ) {
        let table = table.as_ref();
        self.add_row(table, old);
        self.add_row(table, new);
    }

    /// Adds any row of a table.
    pub fn add_table(&mut self, table: impl AsRef<[u8]>) {
        self.add_row(table, OwnedConjunction::new());
    }

    /// Adds all rows that satisfy a condition: a mass change, known by its WHERE.
    pub fn add_matching(&mut self, table: impl AsRef<[u8]>, condition: &Condition) {
        if let Some(rows) = self.rows_of(table.as_ref()) {
            condition.conjunctions().iter().for_each(|row| rows.insert(row.clone()));
        }
    }

    /// The rows of one table, to add some to; none where everything has changed already.
    fn rows_of(&mut self, table: &[u8]) -> Option<&mut Rows> {
        if self.everything {
            return None;
        }
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_vec(), Rows::Some(BTreeSet::new()));
        }
        self.tables.get_mut(table)
    }

    /// Adds all changes of another set.
    pub fn merge(&mut self, other: Self) {
        if other.everything {
            *self = Self::everything();
        }
        if self.everything {
            return;
        }
        for (table, rows) in other.tables {
            let known = self.tables.entry(table).or_insert_with(|| Rows::Some(BTreeSet::new()));
            match rows {
                Rows::All => *known = Rows::All,
                Rows::Some(rows) => rows.into_iter().for_each(|row| known.insert(row)),
            }
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.tables.is_empty()
    }

    /// Whether it is everything that the cache holds.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// The tables that changed, in order. None where everything did.
    pub fn tables(&self) -> impl Iterator<Item = &[u8]> {
        self.tables.keys().map(Vec::as_slice)
    }

    /// The number of rows and whole tables.
    pub fn rows(&self) -> usize {
        self.tables.values().map(Rows::len).sum()
    }

    /// The tables, and whether the whole of each.
    #[cfg(feature = "metrics")]
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.tables.iter().map(|(table, rows)| (table.as_slice(), *rows == Rows::All))
    }

    /// The bytes of names and rows, as a measure of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.tables.iter().map(|(table, rows)| table.len() + rows.bytes()).sum()
    }

    /// Forgets which rows they were: the whole of every table.
    pub(crate) fn widen(&mut self) {
        self.tables.values_mut().for_each(|rows| *rows = Rows::All);
    }

    /// Table and rows, as INVALIDATE takes them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
        self.tables.iter().map(|(table, rows)| (table.as_slice(), rows.text()))
    }
}

/// The bytes of a term in a text without escapes.
fn length((field, value): Term<'_>) -> usize {
    field.len() + 1 + value.map_or(0, <[u8]>::len)
}

impl Rows {
    fn insert(&mut self, row: OwnedConjunction) {
        let Self::Some(rows) = self else { return };
        if row.is_empty() || (rows.len() >= MAX_ROWS && !rows.contains(&row)) {
            *self = Self::All;
        } else {
            rows.insert(row);
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Some(rows) => rows.len(),
            Self::All => 1,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Some(rows) => rows.iter().flat_map(OwnedConjunction::terms).map(length).sum(),
            Self::All => ANY.len(),
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Self::Some(rows) => {
                let mut text = Vec::new();
                OwnedConjunction::write_all(rows, &mut text);
                text
            }
            Self::All => ANY.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Row;

    fn texts(changes: &Changes) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        changes.texts().map(|(table, rows)| (text(table), text(&rows))).collect()
    }

    #[test]
    fn is_a_set_of_rows_in_which_a_table_contains_its_rows() {
        let row = |id: i64| Row::new().set("id", id);
        let mut changes = Changes::row("b", row(2));
        changes.add_row("b", row(1));
        changes.add_row("b", row(2));
        changes.add_table("a");
        changes.add_row("a", row(1));
        let mut more = Changes::row("c", row(3));
        more.add_matching("c", &Condition::all().one_of("x", [1, 2]));
        changes.merge(more);

        let expected = [("a", "*"), ("b", "id=1|id=2"), ("c", "id=3|x=1|x=2")];
        assert_eq!(texts(&changes), expected.map(|(t, r)| (t.to_owned(), r.to_owned())));
        assert_eq!(changes.rows(), 6);
    }

    #[test]
    fn a_row_counts_once_however_it_was_added() {
        let mut changes = Changes::row("t", Row::new().set("a", 1).null("b"));
        changes.add_row("t", OwnedConjunction::new().with(b"b", None).with(b"a", Some(b"1")));
        changes.add_matching("t", &Condition::all().one_of("a", [1, 2]).null("b"));

        assert_eq!(texts(&changes), [("t".to_owned(), "a=1&b|a=2&b".to_owned())]);
        assert_eq!(changes.rows(), 2);
    }

    #[test]
    fn too_many_rows_become_the_table() {
        let mut changes = Changes::new();
        for id in 0..MAX_ROWS {
            changes.add_row("t", Row::new().set("id", id));
        }
        assert_eq!(changes.rows(), MAX_ROWS);
        changes.add_row("t", Row::new().set("id", 0));
        assert_eq!(changes.rows(), MAX_ROWS);

        changes.add_row("t", Row::new().set("id", MAX_ROWS));

        assert_eq!(texts(&changes), [("t".to_owned(), "*".to_owned())]);
    }

    #[test]
    fn everything_contains_all_tables() {
        let mut changes = Changes::table("t");
        changes.merge(Changes::everything());
        changes.add_table("u");

        assert_eq!(changes, Changes::everything());
        assert!(!changes.is_empty());
    }
}
