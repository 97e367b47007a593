//! What a template says of one table, without values.

use std::sync::Arc;

use super::dnf::{Dnf, MAX_CONJUNCTIONS};
use super::factor::{Conjunction, Factor};

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

    /// About how many bytes they take. A factor that several conjunctions share counts for each of them in part.
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
