//! Conditions with values: the text that the server reads.

use std::sync::Arc;

use cacheops_condition::OwnedConjunction;
use smallvec::SmallVec;

use crate::Value;
use crate::condition::dnf::{Dnf, MAX_CONJUNCTIONS};
use crate::condition::factor::{Alternatives, Conjunction, Factor, Filled};

/// What a template says of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableConditions {
    pub(crate) table: String,
    pub(crate) conjunctions: Vec<Conjunction>,
}

impl TableConditions {
    pub(crate) fn of(tables: Vec<(String, Dnf)>) -> Vec<Self> {
        tables
            .into_iter()
            .map(|(table, dnf)| {
                let mut conjunctions = dnf.0;
                if conjunctions.iter().any(|conjunction| conjunction.is_empty()) {
                    conjunctions = vec![Conjunction::new()];
                }
                // One order of fields, so that equal conditions are equal texts.
                for conjunction in &mut conjunctions {
                    conjunction.sort_by(|left, right| left.column.cmp(&right.column));
                }
                Self { table, conjunctions }
            })
            .collect()
    }

    /// About how many bytes they take. What several conjunctions share counts for each of them in part.
    pub(crate) fn bytes(&self) -> usize {
        let factor = |factor: &Arc<Factor>| factor.bytes() / Arc::strong_count(factor);
        let conjunction = |conjunction: &Conjunction| {
            let spilled = if conjunction.spilled() { 8 * conjunction.capacity() + 16 } else { 0 };
            size_of::<Conjunction>() + spilled + conjunction.iter().map(factor).sum::<usize>()
        };
        let list = self.conjunctions.iter().map(conjunction).sum::<usize>();
        size_of::<Self>() + self.table.capacity() + list
    }

    /// Adds what another statement says of the same table.
    pub(crate) fn merge(&mut self, other: Self) {
        self.conjunctions.extend(other.conjunctions);
        if self.conjunctions.len() > MAX_CONJUNCTIONS
            || self.conjunctions.iter().any(|conjunction| conjunction.is_empty())
        {
            self.conjunctions = vec![Conjunction::new()];
        }
    }
}

/// Pairs of table and condition, ready to be sent behind `ON`.
///
/// The conditions are in the grammar of [`cacheops_condition`], escaped. No table occurs twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions<'t> {
    text: Vec<u8>,
    tables: SmallVec<[(&'t str, u32); 4]>,
}

impl<'t> Conditions<'t> {
    /// The pairs of table and condition.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'t str, &[u8])> + '_ {
        (0..self.tables.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.tables[before].1);
            let (table, end) = self.tables[at];
            (table, &self.text[start as usize..end as usize])
        })
    }

    /// How many tables there are.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The condition of one table.
    pub fn get(&self, table: &str) -> Option<&[u8]> {
        self.iter().find(|(name, _)| *name == table).map(|(_, condition)| condition)
    }

    /// The pairs, independent of the template.
    pub fn to_pairs(&self) -> Vec<(String, Vec<u8>)> {
        self.iter().map(|(table, condition)| (table.to_owned(), condition.to_vec())).collect()
    }

    pub(crate) fn whole(tables: &'t [TableConditions]) -> Self {
        let mut conditions = Self::default();
        for table in tables {
            conditions.text.push(b'*');
            conditions.tables.push((&table.table, conditions.text.len() as u32));
        }
        conditions
    }

    pub(crate) fn fill(tables: &'t [TableConditions], values: &[Value<'_>]) -> Self {
        let mut conditions =
            Self { text: Vec::with_capacity(48 * tables.len()), tables: SmallVec::new() };
        // The server bounds the conjunctions of an entry, not of a table.
        let budget = MAX_CONJUNCTIONS / tables.len().max(1);
        for table in tables {
            let start = conditions.text.len();
            let mut left = budget;
            for conjunction in &table.conjunctions {
                if !write(conjunction, values, start, &mut left, &mut conditions.text) {
                    conditions.text.truncate(start);
                    conditions.text.push(b'*');
                    break;
                }
            }
            if conditions.text.len() > start {
                conditions.tables.push((&table.table, conditions.text.len() as u32));
            }
        }
        conditions
    }
}

/// Appends a conjunction for each choice of alternatives. False if it is any row.
fn write(
    conjunction: &Conjunction,
    values: &[Value<'_>],
    start: usize,
    left: &mut usize,
    text: &mut Vec<u8>,
) -> bool {
    // Most conjunctions have one value a field, and need no table of alternatives.
    if conjunction.iter().any(|factor| factor.may_have_several()) {
        return write_product(conjunction, values, start, left, text);
    }
    let from = text.len();
    let mut alternatives = Alternatives::new();
    for factor in conjunction {
        alternatives.clear();
        let mark = text.len();
        if mark > from {
            text.push(b'&');
        } else if mark > start {
            text.push(b'|');
        }
        text.extend_from_slice(&factor.field);
        let equals = text.len();
        text.push(b'=');
        match factor.fill(values, text, &mut alternatives) {
            Filled::Impossible => {
                text.truncate(from);
                return true;
            }
            Filled::Unknown => text.truncate(mark),
            Filled::Values => match alternatives[0] {
                Some((value, _)) => escape_from(text, value as usize),
                None => text.truncate(equals),
            },
        }
    }
    if text.len() == from || *left == 0 {
        return false;
    }
    *left -= 1;
    true
}

/// Escapes what was appended since `start`.
fn escape_from(text: &mut Vec<u8>, start: usize) {
    if text[start..].iter().any(|byte| RESERVED.contains(byte)) {
        let plain = text.split_off(start);
        cacheops_condition::write_value(text, &plain);
    }
}

/// What values escape.
const RESERVED: &[u8] = b"%&|=";

fn write_product(
    conjunction: &Conjunction,
    values: &[Value<'_>],
    start: usize,
    left: &mut usize,
    text: &mut Vec<u8>,
) -> bool {
    let product = match Product::of(conjunction, values, left) {
        Choices::None => return true,
        Choices::AnyRow => return false,
        Choices::Some(product) => product,
    };
    // Which of the fields have values that need no escape, as numbers.
    let plain: SmallVec<[bool; 4]> = (0..product.fields.len())
        .map(|at| {
            let values = product.fields[at].1.iter().flatten();
            values
                .into_iter()
                .all(|range| !product.bytes(*range).iter().any(|byte| RESERVED.contains(byte)))
        })
        .collect();
    product.each(|terms| {
        if text.len() > start {
            text.push(b'|');
        }
        for (at, (factor, value)) in terms.enumerate() {
            if at > 0 {
                text.push(b'&');
            }
            text.extend_from_slice(&factor.field);
            match value {
                Some(value) if plain[at] => {
                    text.push(b'=');
                    text.extend_from_slice(value);
                }
                Some(value) => {
                    text.push(b'=');
                    cacheops_condition::write_value(text, value);
                }
                None => {}
            }
        }
    });
    true
}

/// What a conjunction of factors is with these values.
enum Choices<'c> {
    /// No row can satisfy it.
    None,
    /// It says nothing: any row.
    AnyRow,
    Some(Product<'c>),
}

/// Fields with one or several values: `a IN (1, 2) AND b = 3` is `a=1&b=3|a=2&b=3`.
struct Product<'c> {
    buffer: Vec<u8>,
    fields: SmallVec<[(&'c Factor, Alternatives); 4]>,
}

impl<'c> Product<'c> {
    /// At most `left` conjunctions, which it takes from that number.
    fn of(conjunction: &'c Conjunction, values: &[Value<'_>], left: &mut usize) -> Choices<'c> {
        let mut product = Self { buffer: Vec::new(), fields: SmallVec::new() };
        for factor in conjunction {
            let mut alternatives = Alternatives::new();
            match factor.fill(values, &mut product.buffer, &mut alternatives) {
                Filled::Impossible => return Choices::None,
                Filled::Unknown => {}
                Filled::Values => {
                    product.distinct(&mut alternatives);
                    product.fields.push((factor, alternatives));
                }
            }
        }
        // Too many: the longest list goes, which widens.
        while product.size() > *left {
            let fields = &product.fields;
            let longest = (0..fields.len()).max_by_key(|&at| fields[at].1.len());
            let Some(longest) = longest else { return Choices::AnyRow };
            product.fields.remove(longest);
        }
        if product.fields.is_empty() {
            return Choices::AnyRow;
        }
        *left -= product.size();
        Choices::Some(product)
    }

    fn size(&self) -> usize {
        self.fields.iter().fold(1_usize, |size, (_, list)| size.saturating_mul(list.len()))
    }

    fn bytes(&self, (from, to): (u32, u32)) -> &[u8] {
        &self.buffer[from as usize..to as usize]
    }

    /// Drops alternatives that are written alike.
    fn distinct(&self, alternatives: &mut Alternatives) {
        let bytes = |range: &Option<(u32, u32)>| range.map(|range| self.bytes(range));
        alternatives.sort_by(|left, right| bytes(left).cmp(&bytes(right)));
        alternatives.dedup_by(|left, right| bytes(left) == bytes(right));
    }

    /// Calls `write` with the terms of each conjunction: fields and values, none for NULL.
    fn each(&self, mut write: impl FnMut(&mut dyn Iterator<Item = (&'c Factor, Option<&[u8]>)>)) {
        let mut choice: SmallVec<[usize; 4]> = self.fields.iter().map(|_| 0).collect();
        loop {
            let fields = self.fields.iter().zip(&choice);
            write(&mut fields.map(|((factor, alternatives), at)| {
                (*factor, alternatives[*at].map(|range| self.bytes(range)))
            }));
            // The next choice, as one counts.
            let next = (0..choice.len()).rfind(|&at| choice[at] + 1 < self.fields[at].1.len());
            let Some(at) = next else { return };
            choice[at] += 1;
            choice[at + 1..].fill(0);
        }
    }
}

/// The rows that a write changes: for each table the conjunctions that each of its changed rows, old and new, satisfies one of.
///
/// No table occurs twice. A conjunction without terms stands for any row of its table and is then the only one.
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
            rows.iter().map(OwnedConjunction::to_text).collect::<Vec<_>>().join(b"|".as_slice())
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
