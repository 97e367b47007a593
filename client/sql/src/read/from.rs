//! FROM: relations and joins.

use std::ops::Range;

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor,
    TableWithJoins,
};

use super::Compiler;
use super::logic::formula;
use super::propagate::{Compared, Known};
use super::scope::Block;
use crate::Dialect;
use crate::condition::dnf::Dnf;
use crate::mutation::Mutation;
use crate::parse::functions;

/// Adds the relations of a FROM to a block.
pub(super) struct Relations<'a, 's> {
    pub(super) compiler: &'a mut Compiler<'s>,
    pub(super) block: &'a mut Block,
    pub(super) known: &'a mut Known,
}

impl Relations<'_, '_> {
    pub(super) fn add(&mut self, items: &[TableWithJoins]) {
        for item in items {
            let first = self.block.relations.len();
            let had_outer = std::mem::replace(&mut self.block.outer, false);
            self.joined(item);
            if self.block.outer {
                // In SQLite a comma binds as tightly as JOIN.
                self.make_nullable(0..first);
            }
            self.block.outer |= had_outer;
        }
    }

    fn joined(&mut self, item: &TableWithJoins) {
        let left = self.block.relations.len();
        self.relation(&item.relation);
        for join in &item.joins {
            let right = self.block.relations.len();
            let had_outer = std::mem::replace(&mut self.block.outer, false);
            self.relation(&join.relation);
            let end = self.block.relations.len();
            if self.block.outer && self.compiler.dialect() == Dialect::MySql {
                // `a JOIN b RIGHT JOIN c ON ..` makes up rows for both, and looks like one with parentheses.
                self.make_nullable(left..end);
            }
            self.block.outer |= had_outer;
            self.join(join, left..right, right..end);
        }
    }

    /// Narrows both sides of a join by its ON, as far as it drops the rows that fail it.
    fn join(&mut self, join: &Join, left: Range<usize>, right: Range<usize>) {
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
                self.compiler.untracked = true;
                (None, true, true)
            }
        };
        self.block.outer |= keeps_left || keeps_right;
        match constraint {
            Some(JoinConstraint::On(on)) => {
                let context = self.compiler.context;
                let mut equal = Vec::new();
                let formula = formula(context, self.block, on, &mut equal);
                let compared = if context.setting.has(Mutation::OuterConstant) {
                    Compared::Where
                } else if keeps_left || keeps_right {
                    let (left, right) = (left.clone(), right.clone());
                    Compared::Outer { left, right, keeps_left, keeps_right }
                } else {
                    Compared::Inner
                };
                self.known.add(&formula, equal, &compared);
                if !keeps_left || context.setting.has(Mutation::OuterJoin) {
                    formula.narrow(self.block, left.clone());
                }
                if !keeps_right {
                    formula.narrow(self.block, right.clone());
                }
                self.compiler.subqueries(on);
            }
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => self.block.merged = true,
            Some(JoinConstraint::None) | None => {}
        }
        if keeps_left {
            self.make_nullable(right);
        }
        if keeps_right {
            self.make_nullable(left);
        }
    }

    fn make_nullable(&mut self, relations: Range<usize>) {
        self.block.relations[relations].iter_mut().for_each(|relation| relation.nullable = true);
    }

    fn is_pure(&self, function: &str) -> bool {
        functions::is_pure_relation(self.compiler.dialect(), function)
            || self.compiler.schema().is_pure(function)
    }

    /// Adds a relation that is not a table, under its alias.
    fn add_derived(&mut self, alias: &Option<TableAlias>) {
        let name = |alias: &TableAlias| self.compiler.dialect().name(&alias.name);
        let name = alias.as_ref().map(name).unwrap_or_default();
        self.block.push(name, None);
    }

    fn relation(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, alias, args: Some(args), version, sample, .. } => {
                let Some(key) = self.compiler.key(name) else { return };
                self.compiler.count_occurrence(&key);
                let plain = version.is_none() && sample.is_none();
                self.compiler.untracked |= !plain || name.0.len() > 1 || !self.is_pure(&key);
                self.compiler.subqueries(args);
                let name = |alias: &TableAlias| self.compiler.dialect().name(&alias.name);
                let alias = alias.as_ref().map_or(key, name);
                self.block.push(alias, None);
            }
            TableFactor::Table { name, alias, args: None, version, sample, .. } => {
                let Some(key) = self.compiler.key(name) else { return };
                self.compiler.count_occurrence(&key);
                self.compiler.untracked |= version.is_some() || sample.is_some();
                self.table(name, alias.as_ref(), key);
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                self.compiler.untracked |= sample.is_some();
                self.compiler.query(subquery, self.block.correlated || *lateral);
                self.add_derived(alias);
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined(table_with_joins);
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                // The alias hides the names inside.
                let mut inner = Block { correlated: self.block.correlated, ..Block::default() };
                let known = &mut Known::default();
                Relations { compiler: self.compiler, block: &mut inner, known }
                    .joined(table_with_joins);
                self.compiler.finish(inner);
                self.add_derived(alias);
            }
            TableFactor::Function { name, alias, args, .. } => {
                let pure = self.compiler.key(name).is_some_and(|name| self.is_pure(&name));
                self.compiler.untracked |= !pure || name.0.len() > 1;
                self.compiler.subqueries(args);
                self.add_derived(alias);
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                self.compiler.subqueries(array_exprs);
                self.add_derived(alias);
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.compiler.subqueries(json_expr);
                self.add_derived(alias);
            }
            _ => {
                self.compiler.untracked = true;
                self.add_derived(&None);
            }
        }
    }

    /// A table, a view or a common table expression.
    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, key: String) {
        let dialect = self.compiler.dialect();
        let plain = alias.is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none());
        let common = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => self.compiler.common(&key, &ident.value),
            _ => None,
        };
        let (alias, spelled) = match (alias, name.0.last()) {
            (Some(TableAlias { name, .. }), _) | (None, Some(ObjectNamePart::Identifier(name))) => {
                (dialect.name(name), name.value.as_str())
            }
            _ => (key.clone(), ""),
        };
        match common {
            Some(true) => self.block.push(alias, None),
            None if plain && self.compiler.schema().view_of(&key).is_none() => {
                self.block.push_table(alias, spelled, key);
            }
            Some(false) | None => {
                self.compiler.add(&key, Dnf::any());
                self.block.push(alias, None);
            }
        }
    }
}
