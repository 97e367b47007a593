//! Constants that hold for one column hold for those that equal it.

use std::sync::Arc;

use super::block::Compiler;
use super::formula::{Column, Formula};
use super::from::Known;
use super::scope::Block;
use crate::ColumnKind;
use crate::factor::{Factor, NullMeans, Slot};

impl Compiler<'_> {
    /// Constants hold for equal columns too, if no row is made up by an outer join.
    pub(crate) fn propagate(&self, block: &mut Block, mut known: Known) {
        const MAX_FACTS: usize = 64;
        let mut at = 0;
        while at < known.facts.len() && known.facts.len() < MAX_FACTS {
            let (relation, factor) = known.facts[at].clone();
            at += 1;
            if factor.null != NullMeans::Nothing {
                continue;
            }
            for (left, right) in &known.equal {
                for (from, to) in [(left, right), (right, left)] {
                    if from.0 != relation || from.1 != factor.column {
                        continue;
                    }
                    if known.facts.iter().any(|(other, fact)| *other == to.0 && fact.column == to.1)
                    {
                        continue;
                    }
                    if let Some(copy) = self.propagated(block, &factor, to) {
                        let formula = Formula::Atom(to.0, Arc::new(copy));
                        self.narrow(block, to.0..to.0 + 1, &formula);
                        formula.facts(&mut known.facts);
                    }
                }
            }
        }
    }

    fn propagated(
        &self,
        block: &Block,
        factor: &Factor,
        (relation, column): &Column,
    ) -> Option<Factor> {
        let table = block.relations[*relation].table.as_ref()?;
        let place = self.place(table, column);
        if place.kind != factor.place.kind || place.kind == ColumnKind::Opaque {
            return None;
        }
        // Constants were made canonical already: only integers compare alike everywhere.
        let portable = factor.slots.iter().all(|slot| match slot {
            Slot::Plain(text) => text.iter().all(u8::is_ascii_digit) && text.len() <= 15,
            _ => true,
        });
        let mut field = Vec::new();
        cacheops_condition::write_field(&mut field, column.as_bytes());
        portable.then(|| Factor {
            column: column.clone(),
            field: field.into(),
            place,
            propagated: true,
            generated: self.schema.is_generated(table, column),
            ..factor.clone()
        })
    }
}
