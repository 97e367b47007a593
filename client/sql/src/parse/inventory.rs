//! What a statement contains anywhere, found by the parser's derived visitor, which visits every node.
//!
//! A relation that is found here but was not compiled is in a place that the compiler does not know. It is then tracked
//! whole.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Distinct, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement,
    TableFactor, Value as Literal, ValueWithSpan, Visit, Visitor,
};

use super::calls;
use crate::parse::functions;
use crate::{Dialect, Schema};

/// What a statement, or a part of one, contains.
pub(crate) struct Inventory<'s> {
    dialect: Dialect,
    schema: &'s Schema,
    pub(crate) relations: Vec<ObjectName>,
    pub(crate) queries: usize,
    pub(crate) statements: usize,
    pub(crate) locking: bool,
    /// Reads the clock, random numbers or the session, or calls a function that may.
    pub(crate) volatile: bool,
    /// A query that writes: DML in a common table expression, SELECT INTO.
    pub(crate) writes: bool,
    /// SELECT INTO.
    pub(crate) into: bool,
    /// `TABLE t` for a query, which the parser misreads.
    pub(crate) misread: bool,
    /// Values that are constant within a transaction do not count as volatile.
    in_transaction: bool,
    /// Takes some of the rows that satisfy it, and not always the same: LIMIT, DISTINCT ON.
    limited: bool,
    /// The names that registered tables have in the statement, and these tables.
    aliases: Vec<(String, String)>,
    /// Names that are written like columns of a relation, with the relation.
    attributes: Vec<(String, String)>,
}

impl<'s> Inventory<'s> {
    pub(crate) fn of(dialect: Dialect, schema: &'s Schema, statement: &Statement) -> Self {
        let mut inventory = Self::new(dialect, schema);
        let _ = statement.visit(&mut inventory);
        inventory.volatile |= inventory.calls_attribute();
        inventory
    }

    fn new(dialect: Dialect, schema: &'s Schema) -> Self {
        Self {
            dialect,
            schema,
            relations: Vec::new(),
            queries: 0,
            statements: 0,
            locking: false,
            volatile: false,
            writes: false,
            into: false,
            misread: false,
            in_transaction: false,
            limited: false,
            aliases: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Whether a part of the statement gives the same result when it is evaluated twice in a transaction.
    pub(crate) fn is_settled<V: Visit + ?Sized>(&self, part: &V) -> bool {
        let mut inventory = Self::new(self.dialect, self.schema);
        inventory.in_transaction = true;
        let _ = part.visit(&mut inventory);
        inventory.volatile |= inventory.calls_attribute();
        !inventory.volatile && !inventory.limited
    }

    /// Whether PostgreSQL gives the same value throughout a transaction: its clock, and values of the session.
    fn stands_still(&self, name: &str) -> bool {
        self.in_transaction
            && self.dialect == Dialect::Postgres
            && (matches!(name, "now" | "transaction_timestamp" | "current_setting")
                || functions::is_volatile_word(self.dialect, name))
    }

    /// Whether it is a column of PostgreSQL that changes without a write to the row, by VACUUM or a lock.
    fn is_moved(&self, name: &str) -> bool {
        self.dialect == Dialect::Postgres
            && !self.in_transaction
            && ["ctid", "xmax", "cmin", "cmax"].iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// PostgreSQL takes `t.f` for `f(t)` where `t` has no such column.
    fn calls_attribute(&self) -> bool {
        self.attributes.iter().any(|(relation, column)| {
            let tables = self.aliases.iter().filter(|(alias, _)| alias == relation);
            tables.into_iter().any(|(_, table)| !self.schema.has_column(table, column))
        })
    }

    fn attribute(&mut self, idents: &[Ident]) {
        let [.., relation, column] = idents else { return };
        let column = self.dialect.name(column);
        if self.dialect == Dialect::Postgres && !self.dialect.is_system_column(&column) {
            self.attributes.push((self.dialect.name(relation), column));
        }
    }

    /// A relation that stands for the rows of a function.
    fn table_function(&mut self, name: &ObjectName) {
        let pure = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => {
                let name = self.dialect.name(ident);
                functions::is_pure_relation(self.dialect, &name) || self.schema.is_pure(&name)
            }
            _ => false,
        };
        self.volatile |= !pure;
    }

    fn function(&mut self, function: &Function) {
        let mut names = function.name.0.iter().rev().map(|part| match part {
            // Between quotes it is another function of PostgreSQL.
            ObjectNamePart::Identifier(ident)
                if ident.quote_style.is_some() && self.dialect == Dialect::Postgres =>
            {
                ident.value.clone()
            }
            ObjectNamePart::Identifier(ident) => ident.value.to_ascii_lowercase(),
            ObjectNamePart::Function(_) => String::new(),
        });
        let name = names.next().unwrap_or_default();
        let own = names.next().is_some_and(|schema| schema != "pg_catalog");
        let arguments = match &function.args {
            FunctionArguments::List(list) => list.args.as_slice(),
            _ => &[],
        };
        let known = match (self.dialect, name.as_str()) {
            (Dialect::Sqlite, name) if functions::is_sqlite_date(name) => {
                timeless(arguments) && (name != "strftime" || arguments.len() > 1)
            }
            (_, "date" | "time" | "timestamp") => !arguments.is_empty(),
            (dialect, name) => functions::is_pure(dialect, name),
        };
        let known = known || self.stands_still(&name);
        self.volatile |= !((known && !own) || self.schema.is_pure(&name.to_ascii_lowercase()));
    }
}

/// Whether no argument of a date function can say `now`, as `subsec` does too. A name between double quotes may be a text.
fn timeless(arguments: &[FunctionArg]) -> bool {
    let says_now = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.contains("now") || text.contains("subsec")
    };
    !arguments.is_empty()
        && arguments.iter().all(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                Literal::SingleQuotedString(text) => !says_now(text),
                Literal::Number(..) | Literal::Null | Literal::Boolean(_) => true,
                _ => false,
            },
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => {
                name.quote_style != Some('"') || !says_now(&name.value)
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(_))) => true,
            _ => false,
        })
}

/// Whether a part of the query that is not a query by itself is `TABLE t`.
fn is_table(body: &SetExpr) -> bool {
    let mut body = body;
    while let SetExpr::SetOperation { left, right, .. } = body {
        if is_table(right) {
            return true;
        }
        body = left;
    }
    matches!(body, SetExpr::Table(_))
}

impl Visitor for Inventory<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<()> {
        self.statements += 1;
        self.writes |= self.statements > 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries += 1;
        self.misread |= is_table(&query.body);
        self.locking |= !query.locks.is_empty() || query.for_clause.is_some();
        self.limited |= query.limit_clause.is_some() || query.fetch.is_some();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.into |= select.into.is_some();
        self.limited |= matches!(select.distinct, Some(Distinct::On(_)));
        self.writes |= self.into;
        // The next statement of the session reads its count.
        self.volatile |=
            select.select_modifiers.as_ref().is_some_and(|modifiers| modifiers.sql_calc_found_rows);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relations.push(relation.clone());
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.table_function(name);
            }
            TableFactor::Table { name, alias, .. } => {
                let mut names = name.0.iter().rev().filter_map(ObjectNamePart::as_ident);
                let Some(last) = names.next() else { return ControlFlow::Continue(()) };
                let qualifier = names.next().map(|ident| self.dialect.name(ident));
                let table = self.dialect.name(last);
                let alias =
                    alias.as_ref().map_or(table.clone(), |alias| self.dialect.name(&alias.name));
                let table = self.schema.name(self.dialect, qualifier.as_deref(), table);
                if self.schema.has_columns(&table) {
                    self.aliases.push((alias, table));
                }
            }
            TableFactor::TableFunction { .. } => self.volatile = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { op: BinaryOperator::Custom(operator), .. } => {
                self.volatile |= !calls::is_known_operator(operator)
            }
            // With a schema of its own.
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(names), .. } => {
                self.volatile |= names.first().is_none_or(|schema| schema != "pg_catalog");
            }
            // `(t).f` is `f(t)` too.
            Expr::CompoundFieldAccess { access_chain, .. } => {
                self.volatile |= access_chain.iter().any(|step| matches!(step, AccessExpr::Dot(_)));
            }
            Expr::Function(function) => self.function(function),
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                let name = ident.value.to_ascii_lowercase();
                self.volatile |=
                    functions::is_volatile_word(self.dialect, &name) && !self.stands_still(&name);
                self.volatile |= self.is_moved(&name);
            }
            Expr::CompoundIdentifier(idents) => {
                self.volatile |= idents.last().is_some_and(|ident| self.is_moved(&ident.value));
                self.attribute(idents);
            }
            // Elsewhere it is a function of the user's.
            Expr::Convert { .. } => self.volatile |= self.dialect != Dialect::MySql,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        let text = match &value.value {
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text)
            | Literal::NationalStringLiteral(text) => text,
            Literal::DollarQuotedString(text) => &text.value,
            _ => return ControlFlow::Continue(()),
        };
        self.volatile |= self.dialect == Dialect::Postgres && functions::is_moving_literal(text);
        ControlFlow::Continue(())
    }
}
