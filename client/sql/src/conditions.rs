//! Conditions with values: the text that the server reads.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::Value;
use crate::compile::dnf::{Dnf, MAX_CONJUNCTIONS};
use crate::factor::{Alternatives, Conjunction, Factor, Filled};

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
        return product(conjunction, values, start, left, text);
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
            Filled::Values => {
                if alternatives[0].is_none() {
                    text.truncate(equals);
                }
            }
        }
    }
    if text.len() == from || *left == 0 {
        return false;
    }
    *left -= 1;
    true
}

/// The same where some fields have several values: `a IN (1, 2) AND b = 3` is `a=1&b=3|a=2&b=3`.
fn product(
    conjunction: &Conjunction,
    values: &[Value<'_>],
    start: usize,
    left: &mut usize,
    text: &mut Vec<u8>,
) -> bool {
    let mut buffer = Vec::new();
    let mut fields: SmallVec<[(&[u8], Alternatives); 4]> = SmallVec::new();
    for factor in conjunction {
        let mut alternatives = Alternatives::new();
        match factor.fill(values, &mut buffer, &mut alternatives) {
            Filled::Impossible => return true,
            Filled::Unknown => {}
            Filled::Values => {
                distinct(&mut alternatives, &buffer);
                fields.push((&factor.field, alternatives));
            }
        }
    }
    // Too many: the longest list goes, which widens.
    let size = |fields: &[(&[u8], Alternatives)]| {
        fields.iter().fold(1_usize, |size, (_, list)| size.saturating_mul(list.len()))
    };
    while size(&fields) > *left {
        let longest = (0..fields.len()).max_by_key(|&at| fields[at].1.len());
        let Some(longest) = longest else { return false };
        fields.remove(longest);
    }
    if fields.is_empty() {
        return false;
    }
    *left -= size(&fields);
    let mut choice: SmallVec<[usize; 4]> = fields.iter().map(|_| 0).collect();
    loop {
        if text.len() > start {
            text.push(b'|');
        }
        for (at, (field, alternatives)) in fields.iter().enumerate() {
            if at > 0 {
                text.push(b'&');
            }
            text.extend_from_slice(field);
            if let Some((from, to)) = alternatives[choice[at]] {
                text.push(b'=');
                text.extend_from_slice(&buffer[from as usize..to as usize]);
            }
        }
        // The next choice, as one counts.
        let Some(at) = (0..fields.len()).rfind(|&at| choice[at] + 1 < fields[at].1.len()) else {
            return true;
        };
        choice[at] += 1;
        choice[at + 1..].fill(0);
    }
}

/// Drops alternatives that are written alike.
fn distinct(alternatives: &mut Alternatives, buffer: &[u8]) {
    let bytes =
        |range: &Option<(u32, u32)>| range.map(|(from, to)| &buffer[from as usize..to as usize]);
    alternatives.sort_by(|left, right| bytes(left).cmp(&bytes(right)));
    alternatives.dedup_by(|left, right| bytes(left) == bytes(right));
}
