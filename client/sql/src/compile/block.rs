//! Queries: which relations they read, and which rows of these can matter.
//!
//! Each occurrence of a table gets the condition that its rows must satisfy to have any part in the result. A block of
//! SELECT narrows an occurrence by its WHERE, and by the ON of a join if that join drops the rows that fail it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SetExpr,
    TableFactor, TableWithJoins, Visit, Visitor, With,
};

use super::dnf::Dnf;
use super::formula::{Column, Formula};
use super::functions;
use crate::canon::Side;
use crate::factor::{Factor, NullMeans};
use crate::{ColumnKind, Dialect, Schema};

/// More relations in one block are tracked whole.
const MAX_RELATIONS: usize = 64;

/// Collects what a statement depends on.
pub(crate) struct Compiler<'s> {
    pub(crate) dialect: Dialect,
    pub(crate) schema: &'s Schema,
    pub(crate) side: Side,
    #[cfg(feature = "fault-injection")]
    pub(crate) fault: Option<crate::Fault>,
    /// What each table's rows must satisfy, in the order of appearance.
    pub(crate) tables: Vec<(String, Dnf)>,
    /// How often a name was met as a relation, common table expressions included.
    pub(crate) met: HashMap<String, usize>,
    /// Reads something that is not a table of the user's: its rows cannot be tracked.
    pub(crate) untracked: bool,
    /// Whether any expression holds a query.
    pub(crate) nested: bool,
    visible: Vec<Common>,
}

/// A common table expression that a name may mean.
struct Common {
    name: String,
    /// Not only perhaps.
    certain: bool,
}

/// The relations that one SELECT joins.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) relations: Vec<Relation>,
    /// A name that nobody here has may belong to a query outside.
    correlated: bool,
    /// Columns of two relations are one (USING, NATURAL).
    merged: bool,
    outer: bool,
}

/// One occurrence of a relation.
#[derive(Debug)]
pub(crate) struct Relation {
    alias: String,
    /// The table; `None` for what is derived, or has its columns renamed.
    pub(crate) table: Option<String>,
    /// On the side of an outer join, so far, that may have no row.
    pub(crate) nullable: bool,
    pub(crate) filter: Dnf,
}

/// What WHERE and the ON of inner joins say of the whole block.
#[derive(Default)]
struct Known {
    facts: Vec<(usize, Arc<Factor>)>,
    equal: Vec<(Column, Column)>,
}

impl<'s> Compiler<'s> {
    pub(crate) fn new(dialect: Dialect, schema: &'s Schema, side: Side) -> Self {
        Self {
            dialect,
            schema,
            side,
            #[cfg(feature = "fault-injection")]
            fault: None,
            tables: Vec::new(),
            met: HashMap::new(),
            untracked: false,
            nested: true,
            visible: Vec::new(),
        }
    }

    /// Adds what one occurrence of a table depends on.
    pub(crate) fn add(&mut self, table: &str, condition: Dnf) {
        self.untracked |=
            self.schema.excludes(table) || table.is_empty() || table.len() > super::MAX_NAME_BYTES;
        if let Some(tables) = self.schema.view_of(table) {
            for table in tables {
                self.add_table(table, Dnf::any());
            }
        } else {
            self.add_table(table, condition);
        }
    }

    fn add_table(&mut self, table: &str, condition: Dnf) {
        match self.tables.iter_mut().find(|(known, _)| known == table) {
            Some((_, known)) => *known = std::mem::replace(known, Dnf::none()).or(condition),
            None => self.tables.push((table.to_owned(), condition)),
        }
    }

    /// The name of a relation: with its schema if that is not the default one.
    pub(crate) fn key(&mut self, name: &ObjectName) -> Option<String> {
        let mut names = Vec::with_capacity(2);
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => names.push(self.dialect.name(ident)),
                ObjectNamePart::Function(_) => {
                    self.untracked = true;
                    return None;
                }
            }
        }
        let table = names.pop()?;
        let qualifier = names.pop();
        if functions::is_system_relation(self.dialect, qualifier.as_deref(), &table) {
            self.untracked = true;
        }
        let key = match (self.schema.schema_name(), qualifier) {
            (Some(default), Some(qualifier)) if default != qualifier => {
                format!("{qualifier}.{table}")
            }
            _ => table,
        };
        Some(key)
    }

    pub(crate) fn query(&mut self, query: &Query, correlated: bool) {
        let visible = self.visible.len();
        if let Some(with) = &query.with {
            self.with(with, correlated);
        }
        self.set(&query.body, correlated);
        self.subqueries(&query.order_by);
        self.subqueries(&query.limit_clause);
        self.subqueries(&query.fetch);
        if !query.pipe_operators.is_empty() {
            self.untracked = true;
        }
        self.visible.truncate(visible);
    }

    fn with(&mut self, with: &With, correlated: bool) {
        let name =
            |compiler: &Self, at: usize| compiler.dialect.name(&with.cte_tables[at].alias.name);
        let first = self.visible.len();
        // Where a query may be recursive it sees itself, and perhaps those behind it.
        let recursive = with.recursive || self.dialect == Dialect::Sqlite;
        if recursive {
            for at in 0..with.cte_tables.len() {
                let name = name(self, at);
                self.visible.push(Common { name, certain: false });
            }
        }
        for (at, common) in with.cte_tables.iter().enumerate() {
            if with.recursive {
                self.visible[first + at].certain = true;
            }
            self.query(&common.query, correlated);
            if recursive {
                self.visible[first + at].certain = true;
            } else {
                let name = name(self, at);
                self.visible.push(Common { name, certain: true });
            }
        }
    }

    fn set(&mut self, body: &SetExpr, correlated: bool) {
        // Long unions lean to the left.
        let mut body = body;
        while let SetExpr::SetOperation { left, right, .. } = body {
            self.set(right, correlated);
            body = left;
        }
        match body {
            SetExpr::Select(select) => self.select(select, correlated),
            SetExpr::Query(query) => self.query(query, correlated),
            SetExpr::Values(values) => self.subqueries(values),
            SetExpr::Table(table) => {
                // The parser kept no quotes, so the name is only known without regard to case.
                self.untracked |= self.dialect == Dialect::Postgres;
                if let Some(name) = &table.table_name {
                    let name = self.dialect.catalogue_name(name);
                    self.add(&name, Dnf::any());
                }
            }
            _ => self.untracked = true,
        }
    }

    fn select(&mut self, select: &Select, correlated: bool) {
        let mut block = Block { correlated, ..Block::default() };
        let mut known = Known::default();
        for item in &select.from {
            let first = block.relations.len();
            let had_outer = std::mem::replace(&mut block.outer, false);
            self.join(&mut block, item, &mut known);
            if block.outer {
                // In SQLite a comma binds as tightly as JOIN.
                block.relations[..first].iter_mut().for_each(|relation| relation.nullable = true);
            }
            block.outer |= had_outer;
        }
        if let Some(condition) = &select.selection {
            let formula = self.formula(&block, condition, false, Some(&mut known.equal));
            formula.facts(&mut known.facts);
            self.narrow(&mut block, .., &formula);
            self.subqueries(condition);
        }
        self.subqueries(&select.projection);
        self.subqueries(&select.group_by);
        self.subqueries(&select.having);
        self.subqueries(&select.named_window);
        self.subqueries(&select.qualify);
        self.subqueries(&select.distinct);
        let plain = select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.into.is_none()
            && select.top.is_none();
        self.untracked |= !plain;
        if !block.outer {
            self.propagate(&mut block, known);
        }
        self.finish(block);
    }

    /// Hands the conditions of a block's tables over.
    pub(crate) fn finish(&mut self, block: Block) {
        let many = block.relations.len() > MAX_RELATIONS;
        for relation in block.relations {
            if let Some(table) = relation.table {
                let filter = if many { Dnf::any() } else { relation.filter };
                #[cfg(feature = "fault-injection")]
                let filter = match self.fault {
                    Some(fault) => fault.spoil(filter),
                    None => filter,
                };
                self.add(&table, filter);
            }
        }
    }

    /// Narrows some relations of the block by a formula that their rows must satisfy.
    pub(crate) fn narrow(
        &self,
        block: &mut Block,
        range: impl std::slice::SliceIndex<[Relation], Output = [Relation]> + RangeStart,
        formula: &Formula,
    ) {
        let first = range.first();
        if block.relations.len() > MAX_RELATIONS {
            return;
        }
        for (at, relation) in block.relations[range].iter_mut().enumerate() {
            let filter = std::mem::replace(&mut relation.filter, Dnf::any());
            relation.filter = filter.and(formula.project(first + at));
        }
    }

    /// Adds the relations of one item of FROM.
    fn join(&mut self, block: &mut Block, item: &TableWithJoins, known: &mut Known) {
        let left = block.relations.len();
        self.relation(block, &item.relation, known);
        for join in &item.joins {
            let right = block.relations.len();
            self.relation(block, &join.relation, known);
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
                let inner = !keeps_left && !keeps_right;
                let equal = if inner { Some(&mut known.equal) } else { None };
                let formula = self.formula(block, on, false, equal);
                if inner {
                    formula.facts(&mut known.facts);
                }
                if !keeps_left || self.is_faulty() {
                    self.narrow(block, left..right, &formula);
                }
                if !keeps_right {
                    self.narrow(block, right.., &formula);
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

    #[cfg(feature = "fault-injection")]
    fn is_faulty(&self) -> bool {
        self.fault == Some(crate::Fault::OuterJoin)
    }

    #[cfg(not(feature = "fault-injection"))]
    fn is_faulty(&self) -> bool {
        false
    }

    fn relation(&mut self, block: &mut Block, factor: &TableFactor, known: &mut Known) {
        match factor {
            TableFactor::Table { name, alias, args, version, sample, .. } => {
                let Some(key) = self.key(name) else { return };
                *self.met.entry(key.clone()).or_default() += 1;
                self.untracked |= version.is_some() || sample.is_some();
                if args.is_some() {
                    self.untracked |= !functions::is_pure_relation(&key);
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
                let alias = match (alias, name.0.last()) {
                    (Some(alias), _) => self.dialect.name(&alias.name),
                    (None, Some(ObjectNamePart::Identifier(ident))) => self.dialect.name(ident),
                    _ => key.clone(),
                };
                let common = if name.0.len() == 1 {
                    self.visible
                        .iter()
                        .rev()
                        .find(|common| common.name == key)
                        .map(|common| common.certain)
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
                        block.push(alias, Some(key))
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
                let pure = self.key(name).is_some_and(|name| functions::is_pure_relation(&name));
                self.untracked |= !pure;
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

    /// Constants hold for equal columns too, if no row is made up by an outer join.
    fn propagate(&self, block: &mut Block, mut known: Known) {
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
            crate::factor::Slot::Plain(text) => {
                text.iter().all(u8::is_ascii_digit) && text.len() <= 15
            }
            _ => true,
        });
        let mut field = Vec::new();
        cacheops_condition::write_field(&mut field, column.as_bytes());
        portable.then(|| Factor {
            column: column.clone(),
            field: field.into(),
            place,
            propagated: true,
            ..factor.clone()
        })
    }

    /// The column that `expr` names, if it is one of a table of this block for certain.
    pub(crate) fn column(&self, block: &Block, expr: &Expr) -> Option<Column> {
        let (relation, column) = match expr {
            Expr::Nested(inner) => return self.column(block, inner),
            Expr::Identifier(ident) => {
                let column = self.dialect.name(ident);
                (block.owner(self.schema, &column)?, column)
            }
            Expr::CompoundIdentifier(names) if (2..=3).contains(&names.len()) => {
                let relation = self.dialect.name(&names[names.len() - 2]);
                (block.named(&relation)?, self.dialect.name(&names[names.len() - 1]))
            }
            _ => return None,
        };
        let table = block.relations[relation].table.as_ref()?;
        let hidden =
            self.dialect.is_system_column(&column) && !self.schema.has_column(table, &column);
        (!hidden).then_some((relation, column))
    }

    /// Looks for queries inside expressions.
    pub(crate) fn subqueries<V: Visit>(&mut self, node: &V) {
        if self.nested {
            let _ = node.visit(&mut Nested { compiler: self, depth: 0 });
        }
    }
}

/// Where a range of relations begins.
pub(crate) trait RangeStart {
    fn first(&self) -> usize;
}
impl RangeStart for std::ops::RangeFull {
    fn first(&self) -> usize {
        0
    }
}
impl RangeStart for std::ops::Range<usize> {
    fn first(&self) -> usize {
        self.start
    }
}
impl RangeStart for std::ops::RangeFrom<usize> {
    fn first(&self) -> usize {
        self.start
    }
}

impl Block {
    /// A block of one table, for the condition of a write.
    pub(crate) fn of(alias: String, table: String) -> Self {
        let mut block = Self::default();
        block.push(alias, Some(table));
        block
    }

    fn push(&mut self, alias: String, table: Option<String>) {
        self.relations.push(Relation { alias, table, nullable: false, filter: Dnf::any() });
    }

    /// The only relation of this name.
    fn named(&self, name: &str) -> Option<usize> {
        let mut found =
            self.relations.iter().enumerate().filter(|(_, relation)| relation.alias == name);
        let (at, _) = found.next()?;
        found.next().is_none().then_some(at)
    }

    /// The relation that an unqualified column must belong to.
    fn owner(&self, schema: &Schema, column: &str) -> Option<usize> {
        if let [only] = self.relations.as_slice() {
            let confirmed =
                || only.table.as_ref().is_some_and(|table| schema.has_column(table, column));
            return (!self.correlated || confirmed()).then_some(0);
        }
        if self.merged {
            return None;
        }
        let has = |relation: &Relation| {
            relation.table.as_ref().is_some_and(|table| schema.has_column(table, column))
        };
        let mut owners = self.relations.iter().enumerate().filter(|(_, relation)| has(relation));
        let (at, _) = owners.next()?;
        owners.next().is_none().then_some(at)
    }
}

/// Hands the queries inside an expression to the compiler, outermost first.
struct Nested<'c, 's> {
    compiler: &'c mut Compiler<'s>,
    depth: usize,
}

impl Visitor for Nested<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.compiler.query(query, true);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
