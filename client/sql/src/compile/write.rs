//! INSERT, UPDATE and DELETE: which rows they change.
//!
//! What is sent must cover each changed row, before and after. So a term stands here only if it holds for certain, and
//! what is not known is left out.

use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Insert, ObjectNamePart,
    OnConflictAction, OnInsert, Query, SelectItem, SetExpr, SqliteOnConflict, TableFactor,
    TableObject, TableWithJoins, Update,
};

use super::block::Compiler;
use super::dnf::{Dnf, MAX_CONJUNCTIONS};
use super::formula::{Built, factor};
use super::inventory::Inventory;
use super::operand::{Operand, operand};
use super::scope::Block;
use super::{Setting, other};
use crate::Dialect;
use crate::canon::Side;
use crate::conditions::TableConditions;
use crate::factor::{Conjunction, Factor, NullMeans};
use crate::old_rows::OldRows;
use crate::template::{Kind, Returning, Template, WriteKind};

/// INSERT, REPLACE and upserts.
pub(super) fn insert(setting: &Setting, insert: &Insert, inventory: &Inventory<'_>) -> Template {
    let plain = insert.partitioned.is_none()
        && insert.multi_table_into_clauses.is_empty()
        && insert.multi_table_when_clauses.is_empty()
        && insert.multi_table_else_clause.is_none()
        && insert.output.is_none()
        && !insert.overwrite
        && !with_is_odd(insert.source.as_deref());
    let TableObject::TableName(name) = &insert.table else {
        return other::unknown(setting, inventory, Kind::Write(WriteKind::Insert));
    };
    let mut compiler = setting.compiler(Side::Assigned);
    let Some(table) = compiler.key(name) else {
        return other::unknown(setting, inventory, Kind::Write(WriteKind::Insert));
    };
    if !plain || inventory.writes {
        return other::unknown(setting, inventory, Kind::Write(WriteKind::Insert));
    }
    let upsert =
        insert.on.is_some() || insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
    let kind = if upsert { WriteKind::Upsert } else { WriteKind::Insert };
    let columns = insert_columns(setting.dialect, insert);
    let rows = columns.as_ref().and_then(|columns| rows(&compiler, &table, columns, insert));
    // IGNORE makes MySQL change values until they fit.
    let ignores = insert.ignore && setting.dialect == Dialect::MySql;
    let replaces = ignores || insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
    let images = match (rows, columns) {
        (Some(rows), Some(columns)) if !replaces => {
            match updated(&mut compiler, &table, &columns, &rows, insert) {
                Some(updated) if updated.is_empty() => whole_if_many(Dnf(rows)),
                // An inserted row has the terms of the row it would replace, and more.
                Some(updated) => whole_if_many(Dnf(updated)),
                None => Dnf::any(),
            }
        }
        _ => Dnf::any(),
    };
    let mut template = changed(setting, compiler, table, images, kind);
    template.returning = returning(setting.dialect, insert.returning.as_deref());
    template.assigned = upserted(setting.dialect, insert).filter(|_| !replaces);
    template
}

/// The columns that DO UPDATE assigns.
fn upserted(dialect: Dialect, insert: &Insert) -> Option<Vec<String>> {
    let Some(OnInsert::OnConflict(conflict)) = &insert.on else { return None };
    let OnConflictAction::DoUpdate(update) = &conflict.action else { return None };
    assigned_names(dialect, &update.assignments)
}

fn assigned_names(dialect: Dialect, assignments: &[Assignment]) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    for assignment in assignments {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => columns.push(last_name(dialect, &name.0)?),
            AssignmentTarget::Tuple(names) => {
                for name in names {
                    columns.push(last_name(dialect, &name.0)?);
                }
            }
        }
    }
    Some(columns)
}

/// WITH before the source of an INSERT may hide anything.
fn with_is_odd(source: Option<&Query>) -> bool {
    source.is_some_and(|query| !query.pipe_operators.is_empty())
}

/// The columns that are given values, by the catalogue's names.
fn insert_columns(dialect: Dialect, insert: &Insert) -> Option<Vec<String>> {
    if !insert.assignments.is_empty() {
        return insert
            .assignments
            .iter()
            .map(|assignment| assigned_name(dialect, &assignment.target))
            .collect();
    }
    if insert.columns.is_empty() || !insert.after_columns.is_empty() {
        return None;
    }
    insert.columns.iter().map(|name| last_name(dialect, &name.0)).collect()
}

/// A conjunction for each row, if the rows are written out.
fn rows(
    compiler: &Compiler<'_>,
    table: &str,
    columns: &[String],
    insert: &Insert,
) -> Option<Vec<Conjunction>> {
    if !insert.assignments.is_empty() {
        let values = insert.assignments.iter().map(|assignment| &assignment.value);
        return Some(vec![row(compiler, table, columns, values, Statement::Insert)]);
    }
    let source = insert.source.as_deref()?;
    let bare = source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none();
    let SetExpr::Values(values) = source.body.as_ref() else { return None };
    if !bare || values.rows.len() > MAX_CONJUNCTIONS {
        return None;
    }
    let rows = values.rows.iter().map(|values| {
        let values = &values.content;
        (values.len() == columns.len())
            .then(|| row(compiler, table, columns, values.iter(), Statement::Insert))
    });
    rows.collect()
}

/// The images of the rows that an upsert updates in the place of inserting. `None` if any row may be.
fn updated(
    compiler: &mut Compiler<'_>,
    table: &str,
    columns: &[String],
    rows: &[Conjunction],
    insert: &Insert,
) -> Option<Vec<Conjunction>> {
    let action = match &insert.on {
        None => return Some(Vec::new()),
        Some(OnInsert::OnConflict(conflict)) => conflict,
        Some(_) => return None,
    };
    let OnConflictAction::DoUpdate(update) = &action.action else { return Some(Vec::new()) };
    let Some(ConflictTarget::Columns(target)) = &action.conflict_target else { return None };
    let dialect = compiler.dialect;
    let target: Vec<String> = target.iter().map(|ident| dialect.name(ident)).collect();
    let set = Set::of(compiler, table, &update.assignments)?;
    let mut images = Vec::new();
    for inserted in rows {
        // The row that was there has the same key; what else it has is not known.
        let old: Conjunction =
            inserted.iter().filter(|factor| target.contains(&factor.column)).cloned().collect();
        if old.is_empty() || columns.len() < target.len() {
            return None;
        }
        if set.moves(compiler, table, &old) {
            images.push(set.applied_to(&old));
        }
        images.push(old);
    }
    Some(images)
}

/// UPDATE.
pub(super) fn update(
    setting: &Setting,
    update: &Update,
    inventory: &Inventory<'_>,
    sql: &str,
) -> Template {
    let kind = Kind::Write(WriteKind::Update);
    let mut compiler = setting.compiler(Side::Predicate);
    compiler.nested = false;
    let target = single(&mut compiler, &update.table);
    let Some((alias, table)) = target else {
        return other::visible(setting, inventory, kind);
    };
    if inventory.writes || update.output.is_some() {
        return other::unknown(setting, inventory, kind);
    }
    let joined = update.from.is_some();
    // Of several tables in FROM only the first one named is written, but which rows is another matter.
    let set = Set::of(&compiler, &table, &update.assignments);
    let images = match &set {
        Some(set) if !joined && update.or != Some(SqliteOnConflict::Replace) => {
            let old = condition(&compiler, alias, &table, update.selection.as_ref());
            let new: Vec<Conjunction> = old
                .0
                .iter()
                .filter(|old| set.moves(&compiler, &table, old))
                .map(|old| set.applied_to(old))
                .collect();
            whole_if_many(old.or_all(new))
        }
        _ => Dnf::any(),
    };
    let mut template = changed(setting, compiler, table, images, WriteKind::Update);
    // REPLACE deletes rows besides those it updates.
    template.assigned =
        set.filter(|_| update.or != Some(SqliteOnConflict::Replace)).map(|set| set.columns);
    template.returning = returning(setting.dialect, update.returning.as_deref());
    if !joined && update.or.is_none() {
        template.old_rows = OldRows::of_update(setting.dialect, sql);
    }
    template
}

/// DELETE.
pub(super) fn delete(
    setting: &Setting,
    delete: &Delete,
    inventory: &Inventory<'_>,
    sql: &str,
) -> Template {
    let kind = Kind::Write(WriteKind::Delete);
    let mut compiler = setting.compiler(Side::Predicate);
    compiler.nested = false;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let target = match from.as_slice() {
        // MySQL may delete from each of the tables that it joins.
        [only]
            if delete.tables.is_empty()
                && (delete.using.is_none() || setting.dialect == Dialect::Postgres) =>
        {
            single(&mut compiler, only)
        }
        _ => None,
    };
    let Some((alias, table)) = target else {
        return other::visible(setting, inventory, kind);
    };
    if inventory.writes || delete.output.is_some() {
        return other::unknown(setting, inventory, kind);
    }
    let joined = delete.using.is_some();
    let images = match delete.selection.as_ref() {
        Some(_) if joined => Dnf::any(),
        selection => condition(&compiler, alias, &table, selection),
    };
    let mut template = changed(setting, compiler, table, images, WriteKind::Delete);
    template.returning = returning(setting.dialect, delete.returning.as_deref());
    if !joined {
        template.old_rows = OldRows::of_delete(setting.dialect, sql);
    }
    template
}

/// The template of a write to one table, and of what the database changes along with it.
fn changed(
    setting: &Setting,
    mut compiler: Compiler<'_>,
    table: String,
    images: Dnf,
    kind: WriteKind,
) -> Template {
    #[cfg(feature = "fault-injection")]
    let images = match setting.fault {
        Some(fault) => fault.spoil_write(images),
        None => images,
    };
    compiler.add(&table, images);
    add_others(setting, &mut compiler);
    let mut template = Template::of(Kind::Write(kind));
    template.changes = TableConditions::of(compiler.tables);
    template.tables = template.changes.iter().map(|table| table.table.clone()).collect();
    template.target = Some(table);
    template
}

/// Adds what the database changes along with the tables.
pub(super) fn add_others(setting: &Setting, compiler: &mut Compiler<'_>) {
    let mut next = 0;
    while let Some((table, _)) = compiler.tables.get(next) {
        next += 1;
        let also = setting.schema.get(table).map(|table| table.also_changes().to_vec());
        for other in also.into_iter().flatten() {
            compiler.add(&other, Dnf::any());
        }
    }
}

/// The alias and name of the only table.
fn single(compiler: &mut Compiler<'_>, item: &TableWithJoins) -> Option<(String, String)> {
    let TableFactor::Table { name, alias, args: None, .. } = &item.relation else { return None };
    if !item.joins.is_empty() {
        return None;
    }
    let table = compiler.key(name)?;
    let alias = match alias {
        Some(alias) if alias.columns.is_empty() => compiler.dialect.name(&alias.name),
        Some(_) => return None,
        None => last_name(compiler.dialect, &name.0)?,
    };
    Some((alias, table))
}

/// The rows that a WHERE lets through.
fn condition(compiler: &Compiler<'_>, alias: String, table: &str, selection: Option<&Expr>) -> Dnf {
    let Some(selection) = selection else { return Dnf::any() };
    let block = Block::of(alias, table.to_owned());
    compiler.formula(&block, selection, false, None).project(0)
}

/// Which statement assigns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Statement {
    Insert,
    Update,
}

/// What a SET assigns.
struct Set {
    columns: Vec<String>,
    /// The columns that get a constant or parameter.
    known: Conjunction,
}

impl Set {
    fn of(compiler: &Compiler<'_>, table: &str, assignments: &[Assignment]) -> Option<Self> {
        let dialect = compiler.dialect;
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for assignment in assignments {
            match (&assignment.target, &assignment.value) {
                (AssignmentTarget::Tuple(names), Expr::Tuple(given))
                    if names.len() == given.len() =>
                {
                    for (name, value) in names.iter().zip(given) {
                        columns.push(last_name(dialect, &name.0)?);
                        values.push(Some(value));
                    }
                }
                (AssignmentTarget::Tuple(names), _) => {
                    for name in names {
                        columns.push(last_name(dialect, &name.0)?);
                        values.push(None);
                    }
                }
                (target, value) => {
                    columns.push(assigned_name(dialect, target)?);
                    values.push(Some(value));
                }
            }
        }
        let mut known = Conjunction::new();
        for (column, value) in columns.iter().zip(values) {
            // Assigned twice: MySQL takes the last, others refuse.
            let once = columns.iter().filter(|other| *other == column).count() == 1;
            if let (true, Some(value)) = (once, value)
                && let Some(factor) = assigned(compiler, table, column, value, Statement::Update)
            {
                known.push(Arc::new(factor));
            }
        }
        Some(Self { columns, known })
    }

    /// Whether a row of this conjunction may leave it.
    fn moves(&self, compiler: &Compiler<'_>, table: &str, old: &Conjunction) -> bool {
        old.iter().any(|factor| {
            self.columns.contains(&factor.column)
                || compiler.schema.is_generated(table, &factor.column)
        })
    }

    /// The image of the rows of a conjunction afterwards.
    fn applied_to(&self, old: &Conjunction) -> Conjunction {
        let kept =
            old.iter().filter(|factor| !self.columns.contains(&factor.column) && !factor.generated);
        let mut new: Conjunction = kept.cloned().collect();
        let room = super::dnf::MAX_TERMS.saturating_sub(new.len());
        new.extend(self.known.iter().take(room).cloned());
        new
    }
}

/// The conjunction of an inserted row.
fn row<'e>(
    compiler: &Compiler<'_>,
    table: &str,
    columns: &[String],
    values: impl Iterator<Item = &'e Expr>,
    statement: Statement,
) -> Conjunction {
    let mut row = Conjunction::new();
    for (column, value) in columns.iter().zip(values) {
        if row.len() == super::dnf::MAX_TERMS {
            break;
        }
        if row.iter().any(|factor| factor.column == *column) {
            continue;
        }
        if let Some(factor) = assigned(compiler, table, column, value, statement) {
            row.push(Arc::new(factor));
        }
    }
    row
}

/// The term that holds after a value was assigned, if any does.
fn assigned(
    compiler: &Compiler<'_>,
    table: &str,
    column: &str,
    value: &Expr,
    statement: Statement,
) -> Option<Factor> {
    let generated = compiler.schema.is_generated(table, column);
    let system =
        compiler.dialect.is_system_column(column) && !compiler.schema.has_column(table, column);
    let operand = operand(compiler.dialect, value)?;
    let inserts = statement == Statement::Insert;
    // NULL, and in MySQL zero, may ask for the next number of the table.
    let null = match (compiler.dialect, statement) {
        (Dialect::Postgres, _) | (Dialect::Sqlite, Statement::Update) => NullMeans::IsNull,
        _ => NullMeans::Unknown,
    };
    let zero = |operand: &Operand| {
        use crate::Value::{Bool, Int};
        matches!(operand, Operand::Constant { value: Int(0) | Bool(false), .. })
    };
    if generated || system || inserts && compiler.dialect == Dialect::MySql && zero(&operand) {
        return None;
    }
    let place = crate::canon::Place { side: Side::Assigned, ..compiler.place(table, column) };
    match factor(column.to_owned(), place, [operand], null) {
        Built::Factor(mut factor) => {
            factor.inserted = inserts;
            Some(factor)
        }
        _ => None,
    }
}

fn assigned_name(dialect: Dialect, target: &AssignmentTarget) -> Option<String> {
    match target {
        AssignmentTarget::ColumnName(name) => last_name(dialect, &name.0),
        AssignmentTarget::Tuple(_) => None,
    }
}

fn last_name(dialect: Dialect, parts: &[ObjectNamePart]) -> Option<String> {
    match parts.last()? {
        ObjectNamePart::Identifier(ident) => Some(dialect.name(ident)),
        ObjectNamePart::Function(_) => None,
    }
}

fn whole_if_many(dnf: Dnf) -> Dnf {
    if dnf.0.len() > MAX_CONJUNCTIONS || dnf.0.iter().any(|conjunction| conjunction.is_empty()) {
        Dnf::any()
    } else {
        dnf
    }
}

impl Dnf {
    /// More conjunctions, without making one of those that have one field.
    fn or_all(mut self, more: Vec<Conjunction>) -> Self {
        self.0.extend(more);
        self
    }
}

/// What RETURNING gives.
fn returning(dialect: Dialect, items: Option<&[SelectItem]>) -> Returning {
    let Some(items) = items else { return Returning::Nothing };
    if let [SelectItem::Wildcard(_)] = items {
        return Returning::All;
    }
    let names = items.iter().map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(dialect.name(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => {
            idents.last().map(|ident| dialect.name(ident))
        }
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().map_or(Returning::Expressions, Returning::Columns)
}
