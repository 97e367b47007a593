//! Constants that hold for one column hold for those that equal it, across joins too.
//!
//! A constant passes an outer join too. Let every row that WHERE keeps have `a.x = 1`, and let the ON of a join, of any
//! kind, compare `a.x = b.x` with `a` on one side and `b` on the other. Take a row of `b` whose `x` is not 1, and add or
//! remove it. In the output of the join this changes rows that contain it, and rows of the other side which were its
//! partner or lose the NULLs that stood for one. All of these have an `a.x` that is not 1, because it equals the `x` of
//! that row, or have no `a` at all. Joins further out make changed rows of changed rows only, and leave `a.x` as it
//! is. So WHERE drops every row that changes, and the result depends on `b` where `x=1` only.
//!
//! The columns must be of the two sides: a side that is kept keeps its rows whatever ON says of its own columns. And a
//! constant in the ON of an outer join is none that WHERE requires.
//!
//! From `b` the constant passes on with care, because `b` may have no row. A fact is *firm* if each row that WHERE keeps
//! has the relation's row and the value, and *loose* if it has the value or no row of the relation. Loose facts pass the ON
//! of outer joins further out, where a missing row equals nothing (the argument above, with the first join's rows in the
//! place of `a`), and become firm where a comparison drops the missing row.

use std::ops::Range;
use std::sync::Arc;

use super::formula::Formula;
use super::scope::{Block, Column, Context};
use crate::ColumnKind;
use crate::condition::factor::{Factor, NullMeans, Slot};

/// The terms of WHERE and of the ON of inner joins, and the columns that WHERE and any ON compare.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) facts: Vec<Fact>,
    pub(crate) equal: Vec<Equality>,
}

impl Known {
    /// Adds what a formula says, and the columns that were found equal in it.
    pub(crate) fn add(
        &mut self,
        formula: &Formula,
        equal: Vec<(Column, Column)>,
        place: &Compared,
    ) {
        let holds = match place {
            Compared::Where => Some(Holds::Firm),
            Compared::Inner => Some(Holds::Joined),
            Compared::Outer { .. } => None,
        };
        if let Some(holds) = holds {
            let mut terms = Vec::new();
            formula.facts(&mut terms);
            self.facts.extend(terms.into_iter().map(|(relation, factor)| Fact {
                relation,
                factor,
                holds: holds.clone(),
            }));
        }
        self.equal.extend(
            equal
                .into_iter()
                .map(|(left, right)| Equality { columns: [left, right], place: place.clone() }),
        );
    }
}

/// A term that narrows a relation.
pub(crate) struct Fact {
    pub(crate) relation: usize,
    pub(crate) factor: Arc<Factor>,
    pub(crate) holds: Holds,
}

/// Of which rows a fact is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    /// All that WHERE keeps.
    Firm,
    /// All that come out of an inner join: firm if no other join makes up rows in their place.
    Joined,
    /// All that WHERE keeps and that have a row of the relation. It came from another of these relations.
    Loose(Range<usize>),
}

/// Two columns that are compared.
pub(crate) struct Equality {
    pub(crate) columns: [Column; 2],
    pub(crate) place: Compared,
}

/// Where two columns are compared.
#[derive(Debug, Clone)]
pub(crate) enum Compared {
    Where,
    Inner,
    /// In the ON of an outer join of these relations, which keeps the rows of a side that have no partner.
    Outer {
        left: Range<usize>,
        right: Range<usize>,
        keeps_left: bool,
        keeps_right: bool,
    },
}

impl Compared {
    /// What is known of a column, given what is known of the one that it is compared with.
    fn pass(&self, block: &Block, from: usize, holds: &Holds, to: usize) -> Option<Holds> {
        match (self, holds) {
            (_, Holds::Joined) => None,
            (Self::Where, _) | (Self::Inner, Holds::Firm) => Some(Holds::Firm),
            (Self::Inner, Holds::Loose(_)) => {
                (!block.relations[to].nullable).then_some(Holds::Firm)
            }
            (Self::Outer { left, right, keeps_left, keeps_right }, holds) => {
                let (side, kept) = if left.contains(&from) && right.contains(&to) {
                    (left, keeps_left)
                } else if right.contains(&from) && left.contains(&to) {
                    (right, keeps_right)
                } else {
                    return None;
                };
                match holds {
                    Holds::Loose(within) if within.start < side.start || within.end > side.end => {
                        None
                    }
                    // A row that is there has its partner.
                    Holds::Firm if !kept => Some(Holds::Firm),
                    _ => Some(Holds::Loose(left.start..right.end)),
                }
            }
        }
    }
}

impl Known {
    /// Narrows relations by the constants of others.
    pub(crate) fn propagate(self, context: Context<'_>, block: &mut Block) {
        const MAX_FACTS: usize = 64;
        let Self { mut facts, equal } = self;
        for fact in &mut facts {
            if fact.holds == Holds::Joined && !block.relations[fact.relation].nullable {
                fact.holds = Holds::Firm;
            }
        }
        let mut at = 0;
        while at < facts.len() && facts.len() < MAX_FACTS {
            let Fact { relation, factor, holds } = &facts[at];
            let (relation, factor, holds) = (*relation, factor.clone(), holds.clone());
            at += 1;
            if factor.null != NullMeans::Nothing {
                continue;
            }
            for Equality { columns: [left, right], place } in &equal {
                for (from, to) in [(left, right), (right, left)] {
                    if from.0 != relation || from.1 != factor.column {
                        continue;
                    }
                    let Some(holds) = place.pass(block, relation, &holds, to.0) else { continue };
                    let repeated = |fact: &Fact| {
                        fact.relation == to.0
                            && fact.factor.column == to.1
                            && (fact.holds == Holds::Firm || holds != Holds::Firm)
                    };
                    if facts.iter().any(repeated) {
                        continue;
                    }
                    if let Some(copy) = propagated(context, block, &factor, to) {
                        let factor = Arc::new(copy);
                        let formula = Formula::Atom(to.0, factor.clone());
                        formula.narrow(block, to.0..to.0 + 1);
                        facts.push(Fact { relation: to.0, factor, holds });
                    }
                }
            }
        }
    }
}

/// The same factor for another column, if the two columns compare values alike.
fn propagated(
    context: Context<'_>,
    block: &Block,
    factor: &Factor,
    (relation, column): &Column,
) -> Option<Factor> {
    let table = block.relations[*relation].table.as_ref()?;
    let place = context.place(table, column);
    if place.kind != factor.place.kind || place.kind == ColumnKind::Opaque {
        return None;
    }
    // The constants are in canonical form already, without their type: only integers compare alike in all types.
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
        generated: context.setting.schema.is_generated(table, column),
        ..factor.clone()
    })
}
