//! INSERT, REPLACE and upserts: the rows that they insert, and those that they change instead.

use sqlparser::ast::{
    ConflictTarget, Expr, GroupByExpr, Insert, OnConflictAction, OnInsert, Query, Select,
    SelectItem, SetExpr, SqliteOnConflict, TableObject,
};

use super::Write;
use super::assign::{Set, Statement, assigned_name, last_name, pairs, row};
use super::changed::{self, changed, whole_if_many};
use super::returning::{returning, settled_rows};
use crate::Dialect;
use crate::canon::Side;
use crate::condition::dnf::{Dnf, MAX_CONJUNCTIONS};
use crate::condition::factor::Conjunction;
use crate::read::Compiler;
use crate::read::scope::Context;
use crate::template::{Kind, Template, WriteKind};

/// INSERT, REPLACE and upserts.
pub(crate) fn insert(write: &Write<'_>, insert: &Insert) -> Template {
    let setting = write.setting;
    let plain = insert.partitioned.is_none()
        && insert.multi_table_into_clauses.is_empty()
        && insert.multi_table_when_clauses.is_empty()
        && insert.multi_table_else_clause.is_none()
        && insert.output.is_none()
        && !insert.overwrite
        && !with_is_odd(insert.source.as_deref());
    let replaces = insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
    let kind = if insert.on.is_some() || replaces { WriteKind::Upsert } else { WriteKind::Insert };
    let unknown = || {
        let template = changed::unknown(setting, write.inventory, Kind::Write(kind));
        Template { replaces, ..template }
    };
    let TableObject::TableName(name) = &insert.table else { return unknown() };
    let mut compiler = Compiler::new(setting, Side::Assigned);
    let Some(table) = compiler.key(name) else { return unknown() };
    if !plain || write.inventory.writes {
        return unknown();
    }
    let columns = insert_columns(setting.dialect, insert);
    let rows = columns.as_ref().and_then(|columns| rows(write.context(), &table, columns, insert));
    // IGNORE makes MySQL change values until they fit.
    let known = !(replaces || insert.ignore && setting.dialect == Dialect::MySql);
    let images = match (rows, columns) {
        (Some(rows), Some(columns)) if known => {
            match updated(write.context(), &table, &columns, &rows, insert) {
                Some(updated) if updated.is_empty() => whole_if_many(Dnf(rows)),
                // An inserted row has the terms of the row it would replace, and more.
                Some(updated) => whole_if_many(Dnf(updated)),
                None => Dnf::any(),
            }
        }
        _ => Dnf::any(),
    };
    let alias = match &insert.table_alias {
        Some(alias) => Some(setting.dialect.name(&alias.alias)),
        None => last_name(setting.dialect, &name.0),
    };
    let given = returning(setting.dialect, alias, false, insert.returning.as_deref());
    let given = settled_rows(setting, &table, given);
    let mut template = changed(setting, table, images, kind);
    template.returning = given;
    let renamed = |columns: &Vec<String>| {
        columns.iter().any(|column| setting.dialect.is_system_column(column))
    };
    template.assigned =
        upserted(setting.dialect, insert).filter(|columns| known && !renamed(columns));
    template.replaces = replaces;
    template
}

/// The columns that DO UPDATE assigns.
fn upserted(dialect: Dialect, insert: &Insert) -> Option<Vec<String>> {
    let Some(OnInsert::OnConflict(conflict)) = &insert.on else { return None };
    let OnConflictAction::DoUpdate(update) = &conflict.action else { return None };
    let pairs = pairs(dialect, &update.assignments)?;
    Some(pairs.into_iter().map(|(column, _)| column).collect())
}

/// Whether the source of an INSERT has a syntax that is not understood.
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
    // PostgreSQL does not qualify them: `a.b` is a part of the column `a`.
    let parts = dialect == Dialect::Postgres && insert.columns.iter().any(|name| name.0.len() > 1);
    if parts {
        return None;
    }
    insert.columns.iter().map(|name| last_name(dialect, &name.0)).collect()
}

/// A conjunction for each row, if the rows are written out.
fn rows(
    context: Context<'_>,
    table: &str,
    columns: &[String],
    insert: &Insert,
) -> Option<Vec<Conjunction>> {
    if !insert.assignments.is_empty() {
        let values = insert.assignments.iter().map(|assignment| &assignment.value);
        return Some(vec![row(context, table, columns, values, Statement::Insert)]);
    }
    let source = insert.source.as_deref()?;
    let values = match source.body.as_ref() {
        SetExpr::Select(select) => {
            let values = selected(select)?;
            return (values.len() == columns.len()).then(|| {
                vec![row(context, table, columns, values.into_iter(), Statement::Insert)]
            });
        }
        SetExpr::Values(values) => values,
        // The arms of a union agree on types, and what one arm says is converted for the other.
        _ => return None,
    };
    let bare = source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none();
    if !bare || values.rows.len() > MAX_CONJUNCTIONS {
        return None;
    }
    let rows = values.rows.iter().map(|values| {
        let values = &values.content;
        (values.len() == columns.len())
            .then(|| row(context, table, columns, values.iter(), Statement::Insert))
    });
    rows.collect()
}

/// What a SELECT gives for each column: a constant among it is in every row.
fn selected(select: &Select) -> Option<Vec<&Expr>> {
    // ROLLUP, CUBE and GROUPING SETS replace a constant that they group by with NULL.
    let ungrouped = match &select.group_by {
        GroupByExpr::Expressions(expressions, modifiers) => {
            expressions.is_empty() && modifiers.is_empty()
        }
        GroupByExpr::All(_) => false,
    };
    if !ungrouped || select.into.is_some() || select.value_table_mode.is_some() {
        return None;
    }
    let items = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    items.collect()
}

/// The images of the rows that an upsert updates in the place of inserting. `None` if any row may be.
fn updated(
    context: Context<'_>,
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
    let dialect = context.setting.dialect;
    let target: Vec<String> = target.iter().map(|ident| dialect.name(ident)).collect();
    let set = Set::of(context, table, pairs(dialect, &update.assignments)?);
    if set.renamed {
        return None;
    }
    let mut images = Vec::new();
    for inserted in rows {
        // The existing row has the same key; its other values are not known.
        let old: Conjunction =
            inserted.iter().filter(|factor| target.contains(&factor.column)).cloned().collect();
        if old.is_empty() || columns.len() < target.len() {
            return None;
        }
        if set.moves(context, table, &old) {
            images.push(set.applied_to(&old));
        }
        images.push(old);
    }
    Some(images)
}
