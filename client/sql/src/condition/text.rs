//! Conditions with values: the text that the server reads.

use smallvec::SmallVec;

use super::dnf::MAX_CONJUNCTIONS;
use super::factor::{Alternatives, Conjunction, Filled};
use super::product::{Choices, Product};
use super::table::TableConditions;
use crate::Value;

/// What a query result depends on: tables, and for each the text of a condition, as `CACHEOPS.STORE .. ON` takes them.
///
/// The conditions are in the grammar of [`cacheops_condition`], escaped. No table occurs twice.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Value};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let read = analyser.analyse("SELECT * FROM article, author WHERE author.name = $1");
/// let name = Value::from("R&D");
/// let conditions = read.dependencies(std::slice::from_ref(&name)).unwrap();
///
/// let pairs: Vec<_> = conditions.iter().collect();
/// assert_eq!(pairs, [("article", &b"*"[..]), ("author", b"name=r%26d")]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions<'t> {
    text: Vec<u8>,
    tables: SmallVec<[(&'t str, u32); 4]>,
}

impl<'t> Conditions<'t> {
    /// The pairs of table and condition.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'t str, &[u8])> + '_ {
        (0..self.tables.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.tables[before].1);
            let (table, end) = self.tables[at];
            (table, &self.text[start as usize..end as usize])
        })
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

    /// The condition of one table.
    #[must_use]
    pub fn get(&self, table: &str) -> Option<&[u8]> {
        self.iter().find(|(name, _)| *name == table).map(|(_, condition)| condition)
    }

    /// The pairs of table and condition, not borrowed from the template.
    #[must_use]
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

/// The bytes that are escaped in values.
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
    // Which of the fields have values without a byte to escape, as numbers have.
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
