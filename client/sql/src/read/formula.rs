//! What a condition says of single columns: terms, AND and OR. All else counts as true, which narrows nothing.

use std::ops::Range;
use std::sync::Arc;

use super::scope::Block;
use crate::condition::dnf::Dnf;
use crate::condition::factor::Factor;

/// A formula over the relations of one block.
#[derive(Debug, Clone)]
pub(crate) enum Formula {
    /// True, or not understood.
    True,
    /// Holds for no row.
    False,
    /// A term of the relation with this number.
    Atom(usize, Arc<Factor>),
    /// Depends on a parameter alone.
    Guard(Arc<Factor>),
    And(Vec<Formula>),
    Or(Vec<Formula>),
}

impl Formula {
    /// What the formula says of one relation alone.
    pub(crate) fn project(&self, relation: usize) -> Dnf {
        match self {
            Self::True => Dnf::any(),
            Self::False => Dnf::none(),
            Self::Atom(at, factor) if *at == relation => Dnf::atom(factor.clone()),
            Self::Atom(..) => Dnf::any(),
            Self::Guard(factor) => Dnf::atom(factor.clone()),
            Self::And(parts) => {
                parts.iter().map(|part| part.project(relation)).fold(Dnf::any(), Dnf::and)
            }
            Self::Or(parts) => {
                parts.iter().map(|part| part.project(relation)).fold(Dnf::none(), Dnf::or)
            }
        }
    }

    /// The terms that hold whenever the formula does.
    pub(crate) fn facts(&self, facts: &mut Vec<(usize, Arc<Factor>)>) {
        match self {
            Self::Atom(at, factor) => facts.push((*at, factor.clone())),
            Self::And(parts) => parts.iter().for_each(|part| part.facts(facts)),
            _ => {}
        }
    }

    /// Narrows some relations of the block to the rows that can satisfy the formula.
    pub(crate) fn narrow(&self, block: &mut Block, range: Range<usize>) {
        let first = range.start;
        if block.is_large() {
            return;
        }
        for (at, relation) in block.relations[range].iter_mut().enumerate() {
            let filter = std::mem::replace(&mut relation.filter, Dnf::any());
            relation.filter = filter.and(self.project(first + at));
        }
    }
}
