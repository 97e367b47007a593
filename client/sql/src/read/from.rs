//! FROM: relations and joins.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectNamePart, TableAlias, TableFactor, TableWithJoins,
};

use crate::Dialect;
use crate::condition::dnf::Dnf;
use crate::parse::functions;
use crate::read::Compiler;
use crate::read::formula::{Column, Formula};
use crate::read::propagate::{Compared, Equality, Fact, Holds};
use crate::read::scope::Block;

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

impl Compiler<'_> {
    /// Adds the relations of one item of FROM.
    pub(crate) fn join(&mut self, block: &mut Block, item: &TableWithJoins, known: &mut Known) {
        let left = block.relations.len();
        self.relation(block, &item.relation, known);
        for join in &item.joins {
            let right = block.relations.len();
            let had_outer = std::mem::replace(&mut block.outer, false);
            self.relation(block, &join.relation, known);
            if block.outer && self.dialect == Dialect::MySql {
                // `a JOIN b RIGHT JOIN c ON ..` makes up rows for both, and looks like one with parentheses.
                block.relations[left..].iter_mut().for_each(|relation| relation.nullable = true);
            }
            block.outer |= had_outer;
            self.join_step(block, join, left, right, known);
        }
    }

    fn join_step(
        &mut self,
        block: &mut Block,
        join: &Join,
        left: usize,
        right: usize,
        known: &mut Known,
    ) {
        use JoinOperator as J;
        let (constraint, keeps_left, keeps_right) = match &join.join_operator {
            J::Join(on) | J::Inner(on) | J::CrossJoin(on) | J::StraightJoin(on) => {
                (Some(on), false, false)
            }
            J::Left(on) | J::LeftOuter(on) => (Some(on), true, false),
            J::Right(on) | J::RightOuter(on) => (Some(on), false, true),
            J::FullOuter(on) => (Some(on), true, true),
            _ => {
                // A join of another dialect: nothing is known of what it keeps.
                self.untracked = true;
                (None, true, true)
            }
        };
        block.outer |= keeps_left || keeps_right;
        match constraint {
            Some(JoinConstraint::On(on)) => {
                let end = block.relations.len();
                let place = if keeps_left || keeps_right {
                    Compared::Outer {
                        left: left..right,
                        right: right..end,
                        keeps_left,
                        keeps_right,
                    }
                } else {
                    Compared::Inner
                };
                let mut equal = Vec::new();
                let formula = self.formula(block, on, false, Some(&mut equal));
                known.add(&formula, equal, &self.compared(place));
                if !keeps_left || self.is_mutated() {
                    self.narrow(block, left..right, &formula);
                }
                if !keeps_right {
                    self.narrow(block, right..end, &formula);
                }
                self.subqueries(on);
            }
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => block.merged = true,
            Some(JoinConstraint::None) | None => {}
        }
        if keeps_left {
            block.relations[right..].iter_mut().for_each(|relation| relation.nullable = true);
        }
        if keeps_right {
            block.relations[left..right].iter_mut().for_each(|relation| relation.nullable = true);
        }
    }

    fn is_pure_relation(&self, name: &str) -> bool {
        functions::is_pure_relation(self.dialect, name) || self.schema.is_pure(name)
    }

    #[cfg(feature = "fault-injection")]
    fn is_mutated(&self) -> bool {
        self.mutation == Some(crate::Mutation::OuterJoin)
    }

    #[cfg(feature = "fault-injection")]
    fn compared(&self, place: Compared) -> Compared {
        match self.mutation {
            Some(crate::Mutation::OuterConstant) => Compared::Where,
            _ => place,
        }
    }

    #[cfg(not(feature = "fault-injection"))]
    fn compared(&self, place: Compared) -> Compared {
        place
    }

    #[cfg(not(feature = "fault-injection"))]
    fn is_mutated(&self) -> bool {
        false
    }

    fn relation(&mut self, block: &mut Block, factor: &TableFactor, known: &mut Known) {
        match factor {
            TableFactor::Table { name, alias, args, version, sample, .. } => {
                let Some(key) = self.key(name) else { return };
                *self.met.entry(key.clone()).or_default() += 1;
                self.untracked |= version.is_some() || sample.is_some();
                if args.is_some() {
                    self.untracked |= name.0.len() > 1 || !self.is_pure_relation(&key);
                    self.subqueries(args);
                    block.push(
                        alias.as_ref().map_or(key, |alias| self.dialect.name(&alias.name)),
                        None,
                    );
                    return;
                }
                let plain = alias
                    .as_ref()
                    .is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none());
                let (alias, spelled) = match (alias, name.0.last()) {
                    (Some(TableAlias { name, .. }), _)
                    | (None, Some(ObjectNamePart::Identifier(name))) => {
                        (self.dialect.name(name), name.value.as_str())
                    }
                    _ => (key.clone(), ""),
                };
                let common = if name.0.len() == 1 {
                    self.visible
                        .iter()
                        .rev()
                        .find(|common| common.name == key)
                        // MySQL tells them from tables by case, on most systems.
                        .map(|common| {
                            let same = self.dialect != Dialect::MySql
                                || name
                                    .0
                                    .last()
                                    .and_then(|part| part.as_ident())
                                    .is_some_and(|ident| ident.value == common.spelled);
                            common.certain && same
                        })
                } else {
                    None
                };
                match common {
                    Some(true) => block.push(alias, None),
                    Some(false) => {
                        self.add(&key, Dnf::any());
                        block.push(alias, None);
                    }
                    None if plain && self.schema.view_of(&key).is_none() => {
                        block.push_table(alias, spelled, key);
                    }
                    None => {
                        self.add(&key, Dnf::any());
                        block.push(alias, None);
                    }
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                self.untracked |= sample.is_some();
                self.query(subquery, block.correlated || *lateral);
                block.push(
                    alias.as_ref().map_or_else(String::new, |alias| self.dialect.name(&alias.name)),
                    None,
                );
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.join(block, table_with_joins, known);
            }
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } => {
                // The alias hides the names inside.
                let mut inner = Block { correlated: block.correlated, ..Block::default() };
                self.join(&mut inner, table_with_joins, &mut Known::default());
                self.finish(inner);
                block.push(self.dialect.name(&alias.name), None);
            }
            TableFactor::Function { name, alias, args, .. } => {
                let pure = self.key(name).is_some_and(|name| self.is_pure_relation(&name));
                self.untracked |= !pure || name.0.len() > 1;
                self.subqueries(args);
                block.push(
                    alias.as_ref().map_or_else(String::new, |alias| self.dialect.name(&alias.name)),
                    None,
                );
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                self.subqueries(array_exprs);
                block.push(
                    alias.as_ref().map_or_else(String::new, |alias| self.dialect.name(&alias.name)),
                    None,
                );
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.subqueries(json_expr);
                block.push(
                    alias.as_ref().map_or_else(String::new, |alias| self.dialect.name(&alias.name)),
                    None,
                );
            }
            _ => {
                self.untracked = true;
                block.push(String::new(), None);
            }
        }
    }
}
