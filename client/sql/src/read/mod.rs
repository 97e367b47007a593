//! Queries: which relations they read, and which rows of these can have a part in the result.
//!
//! Each occurrence of a table gets the condition that its rows must satisfy to have any part in the result. A block of
//! SELECT narrows an occurrence by its WHERE, and by the ON of a join if that join drops the rows that fail it.

pub(crate) mod comparison;
mod formula;
mod from;
mod logic;
pub(crate) mod operand;
pub(crate) mod propagate;
pub(crate) mod scope;

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, TableWithJoins, Visit,
    Visitor, With,
};

use self::from::Relations;
use self::logic::formula;
use self::propagate::{Compared, Known};
use self::scope::{Block, Context};
use crate::canon::Side;
use crate::condition::dnf::Dnf;
use crate::mutation::Mutation;
use crate::parse::functions;
use crate::setting::{MAX_NAME_BYTES, Setting};
use crate::{Dialect, Schema};

/// Collects what a statement depends on.
pub(crate) struct Compiler<'s> {
    pub(crate) context: Context<'s>,
    /// What each table's rows must satisfy, in the order of appearance.
    pub(crate) tables: Vec<(String, Dnf)>,
    /// How often a name occurs as a relation in the parts that were compiled, common table expressions included.
    occurrences: HashMap<String, usize>,
    /// Reads something that is not known to be a table: neither its rows nor what it does can be tracked.
    pub(crate) untracked: bool,
    /// Reads a system catalogue, which changes without writes to it.
    pub(crate) system: bool,
    /// Whether any expression holds a query.
    pub(crate) nested: bool,
    pub(crate) visible: Vec<Common>,
    /// Whether a query inside of an expression may name columns of the queries around it.
    may_correlate: bool,
    /// The names that the queries around it give to their results.
    outer_names: Vec<String>,
}

/// A common table expression that a name may mean.
pub(crate) struct Common {
    pub(crate) name: String,
    /// The same as it is written.
    pub(crate) spelled: String,
    /// Whether the name certainly means it; otherwise it may also be a table.
    pub(crate) certain: bool,
}

impl Common {
    /// One that is certainly meant by its name.
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), spelled: name.to_owned(), certain: true }
    }
}

impl<'s> Compiler<'s> {
    pub(crate) fn new(setting: &'s Setting, side: Side) -> Self {
        Self {
            context: Context { setting, side },
            tables: Vec::new(),
            occurrences: HashMap::new(),
            untracked: false,
            system: false,
            nested: true,
            visible: Vec::new(),
            may_correlate: true,
            outer_names: Vec::new(),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.context.setting.dialect
    }

    pub(crate) fn schema(&self) -> &'s Schema {
        &self.context.setting.schema
    }

    /// Adds what one occurrence of a table depends on.
    pub(crate) fn add(&mut self, table: &str, condition: Dnf) {
        self.untracked |=
            self.schema().excludes(table) || table.is_empty() || table.len() > MAX_NAME_BYTES;
        if let Some(tables) = self.schema().view_of(table) {
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
                ObjectNamePart::Identifier(ident) => names.push(self.dialect().name(ident)),
                ObjectNamePart::Function(_) => {
                    self.untracked = true;
                    return None;
                }
            }
        }
        let table = names.pop()?;
        let qualifier = names.pop();
        self.system |= functions::is_system_relation(self.dialect(), qualifier.as_deref(), &table);
        Some(self.schema().name(self.dialect(), qualifier.as_deref(), table))
    }

    pub(crate) fn query(&mut self, query: &Query, correlated: bool) {
        let visible = self.visible.len();
        if let Some(with) = &query.with {
            self.with(with, correlated);
        }
        self.set(&query.body, correlated);
        // They may name columns of the arms of the query.
        self.may_correlate = true;
        self.subqueries(&query.order_by);
        self.subqueries(&query.limit_clause);
        self.subqueries(&query.fetch);
        if !query.pipe_operators.is_empty() {
            self.untracked = true;
        }
        self.visible.truncate(visible);
    }

    fn with(&mut self, with: &With, correlated: bool) {
        let common = |compiler: &Self, at: usize, certain: bool| {
            let ident = &with.cte_tables[at].alias.name;
            Common { name: compiler.dialect().name(ident), spelled: ident.value.clone(), certain }
        };
        let first = self.visible.len();
        // A recursive query may name itself, and perhaps those that follow.
        let recursive = with.recursive || self.dialect() == Dialect::Sqlite;
        if recursive {
            for at in 0..with.cte_tables.len() {
                self.visible.push(common(self, at, false));
            }
        }
        for (at, table) in with.cte_tables.iter().enumerate() {
            if with.recursive {
                self.visible[first + at].certain = true;
            }
            self.query(&table.query, correlated);
            if recursive {
                self.visible[first + at].certain = true;
            } else {
                self.visible.push(common(self, at, true));
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
            _ => self.untracked = true,
        }
    }

    fn select(&mut self, select: &Select, correlated: bool) {
        let outer_names = self.outer_names.clone();
        let mut block = Block { correlated, outer_names, ..Block::default() };
        let mut known = Known::default();
        self.may_correlate = true;
        self.from(&mut block, &select.from, &mut known);
        // Without a FROM there is no column to name, but some databases resolve the aliases of results already.
        self.may_correlate = correlated || !select.from.is_empty();
        let before = self.outer_names.len();
        let dialect = self.dialect();
        self.outer_names.extend(select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(dialect.name(alias)),
            _ => None,
        }));
        if let Some(condition) = &select.selection {
            self.selection(&mut block, condition, &mut known);
            self.subqueries(condition);
        }
        self.subqueries(&select.projection);
        self.subqueries(&select.group_by);
        self.subqueries(&select.having);
        self.subqueries(&select.named_window);
        self.subqueries(&select.qualify);
        self.subqueries(&select.distinct);
        self.outer_names.truncate(before);
        let plain = select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.into.is_none()
            && select.top.is_none();
        self.untracked |= !plain;
        known.propagate(self.context, &mut block);
        self.finish(block);
    }

    /// Adds the items of a FROM.
    pub(crate) fn from(&mut self, block: &mut Block, items: &[TableWithJoins], known: &mut Known) {
        Relations { compiler: self, block, known }.add(items);
    }

    /// Narrows all relations by a WHERE.
    pub(crate) fn selection(&self, block: &mut Block, condition: &Expr, known: &mut Known) {
        let mut equal = Vec::new();
        let formula = formula(self.context, block, condition, &mut equal);
        known.add(&formula, equal, &Compared::Where);
        let all = 0..block.relations.len();
        formula.narrow(block, all);
    }

    /// Adds the conditions of a block's tables to those of the statement.
    fn finish(&mut self, block: Block) {
        let large = block.is_large();
        for relation in block.relations {
            if let Some(table) = relation.table {
                let mut filter = if large { Dnf::any() } else { relation.filter };
                if self.context.setting.has(Mutation::LostConjunction) && filter.0.len() > 1 {
                    filter.0.pop();
                }
                self.add(&table, filter);
            }
        }
    }

    /// Counts an occurrence of a relation.
    fn count_occurrence(&mut self, name: &str) {
        *self.occurrences.entry(name.to_owned()).or_default() += 1;
    }

    /// Whether the name is that of a common table expression: none, perhaps or certainly.
    fn common(&self, name: &str, spelled: &str) -> Option<bool> {
        let common = self.visible.iter().rev().find(|common| common.name == name)?;
        // MySQL distinguishes them from tables by case, on most systems.
        let same = self.dialect() != Dialect::MySql || common.spelled == spelled;
        Some(common.certain && same)
    }

    /// Adds the relations that were not compiled, whole.
    pub(crate) fn add_missed(&mut self, relations: &[ObjectName]) {
        for relation in relations {
            let Some(key) = self.key(relation) else { continue };
            match self.occurrences.get_mut(&key) {
                Some(count) if *count > 0 => *count -= 1,
                _ => self.add(&key, Dnf::any()),
            }
        }
    }

    /// Looks for queries inside expressions.
    pub(crate) fn subqueries<V: Visit>(&mut self, node: &V) {
        if self.nested {
            let _ = node.visit(&mut Nested { compiler: self, depth: 0 });
        }
    }
}

/// Compiles the queries inside an expression; the compiler itself goes on to those inside of these.
struct Nested<'c, 's> {
    compiler: &'c mut Compiler<'s>,
    depth: usize,
}

impl Visitor for Nested<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            let may_correlate = self.compiler.may_correlate;
            self.compiler.query(query, may_correlate);
            self.compiler.may_correlate = may_correlate;
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
