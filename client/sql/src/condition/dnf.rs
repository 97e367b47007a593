//! Conditions in disjunctive normal form: ORs of ANDs. One that grows too large is widened: it then matches more rows.

use std::sync::Arc;

use smallvec::smallvec;

use crate::condition::factor::{Conjunction, Factor};

/// The most conjunctions of one table. A condition with more becomes a wider one.
pub(crate) const MAX_CONJUNCTIONS: usize = 1024;
/// The most terms of one conjunction. The others are left out, so that it matches more rows.
pub(crate) const MAX_TERMS: usize = 16;

/// An OR of ANDs over one table. `[]` is false, `[[]]` is true: any row.
#[derive(Debug, Clone)]
pub(crate) struct Dnf(pub(crate) Vec<Conjunction>);

impl Dnf {
    pub(crate) fn any() -> Self {
        Self(vec![Conjunction::new()])
    }

    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn atom(factor: Arc<Factor>) -> Self {
        Self(vec![smallvec![factor]])
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0.first().is_some_and(|first| first.is_empty())
    }

    /// The rows of either.
    pub(crate) fn or(mut self, other: Self) -> Self {
        if self.is_any() || other.is_any() {
            return Self::any();
        }
        for conjunction in other.0 {
            self.push(conjunction);
        }
        if self.0.len() > MAX_CONJUNCTIONS { Self::any() } else { self }
    }

    fn push(&mut self, conjunction: Conjunction) {
        if let [factor] = conjunction.as_slice() {
            // `a = 1 OR a = 2` is one factor with two alternatives.
            for known in &mut self.0 {
                if let [same] = known.as_mut_slice()
                    && same.column == factor.column
                    && same.reads_alike(factor)
                {
                    Arc::make_mut(same).slots.extend(factor.slots.iter().cloned());
                    return;
                }
            }
        }
        self.0.push(conjunction);
    }

    /// The rows of both, or more: what would be too large keeps only one side.
    pub(crate) fn and(self, other: Self) -> Self {
        if self.is_any() || other.0.is_empty() {
            return other;
        }
        if other.is_any() || self.0.is_empty() {
            return self;
        }
        if self.0.len() * other.0.len() > MAX_CONJUNCTIONS {
            return if self.0.len() <= other.0.len() { self } else { other };
        }
        let mut product = Vec::with_capacity(self.0.len() * other.0.len());
        for left in &self.0 {
            for right in &other.0 {
                product.push(merge(left, right));
            }
        }
        Self(product)
    }
}

/// The AND of both. Of two factors of one column the one with fewer alternatives is kept.
fn merge(left: &Conjunction, right: &Conjunction) -> Conjunction {
    let mut merged = left.clone();
    for factor in right {
        match merged.iter().position(|known| known.column == factor.column) {
            Some(at) if factor.slots.len() < merged[at].slots.len() => merged[at] = factor.clone(),
            None if merged.len() < MAX_TERMS => merged.push(factor.clone()),
            _ => {}
        }
    }
    merged
}
