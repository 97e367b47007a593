//! UPDATE and DELETE.

use sqlparser::ast::{
    Delete, FromTable, SqliteOnConflict, TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};

use super::assign::{last_name, pairs};
use super::changed::{changed, unknown, visible, whole_if_many};
use super::returning::{returning, settled_rows};
use super::{Target, Write, joined};
use crate::Dialect;
use crate::canon::Side;
use crate::condition::dnf::Dnf;
use crate::parse::old_rows::OldRows;
use crate::read::Compiler;
use crate::template::{Kind, Template, WriteKind};

/// UPDATE.
pub(crate) fn update(write: &Write<'_>, update: &Update) -> Template {
    let (setting, kind) = (write.setting, Kind::Write(WriteKind::Update));
    if write.inventory.writes || update.output.is_some() {
        return unknown(setting, write.inventory, kind);
    }
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let from = match &update.from {
        None => &[][..],
        Some(UpdateTableFromKind::AfterSet(from)) => from,
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return visible(setting, write.inventory, kind);
        }
    };
    let Some((alias, table)) = single(&mut compiler, &update.table) else {
        if setting.dialect == Dialect::MySql && from.is_empty() {
            return joined::update(write, update);
        }
        return visible(setting, write.inventory, kind);
    };
    let set =
        pairs(setting.dialect, &update.assignments).map(|pairs| write.assigned(&table, pairs));
    let target = Target { alias: alias.clone(), table, from, selection: update.selection.as_ref() };
    // REPLACE deletes rows besides those it updates.
    let set = set.filter(|_| update.or != Some(SqliteOnConflict::Replace));
    let images = match &set {
        Some(set) => {
            let old = joined::condition(write, &target);
            whole_if_many(set.images(write.context(), &target.table, old))
        }
        None => Dnf::any(),
    };
    let joined = !from.is_empty();
    let given = returning(setting.dialect, Some(alias), joined, update.returning.as_deref());
    let given = settled_rows(setting, &target.table, given);
    let mut template = changed(setting, target.table, images, WriteKind::Update);
    template.assigns = set.as_ref().map(|set| set.known_of(template.target.as_deref()));
    template.assigned = set.filter(|set| !set.renamed).map(|set| set.columns);
    template.returning = given;
    let settled = write.is_settled(&update.selection) && write.is_settled(&update.from);
    let plain = update.or.is_none() && update.limit.is_none() && settled;
    if plain && is_visible(write, &update.table) && template.target.is_some() {
        template.old_rows =
            OldRows::of_update(setting.dialect, write.sql, &update.update_token, joined);
    }
    template
}

/// DELETE.
pub(crate) fn delete(write: &Write<'_>, delete: &Delete) -> Template {
    let (setting, kind) = (write.setting, Kind::Write(WriteKind::Delete));
    if write.inventory.writes || delete.output.is_some() {
        return unknown(setting, write.inventory, kind);
    }
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    // MySQL may delete from each of the tables that it joins.
    let many =
        !delete.tables.is_empty() || delete.using.is_some() && setting.dialect != Dialect::Postgres;
    let target = match from.as_slice() {
        [only] if !many => single(&mut compiler, only),
        _ => None,
    };
    let Some((alias, table)) = target else {
        if setting.dialect == Dialect::MySql {
            return joined::delete(write, delete);
        }
        return visible(setting, write.inventory, kind);
    };
    let shown = &from[0];
    let from = delete.using.as_deref().unwrap_or_default();
    let target = Target { alias: alias.clone(), table, from, selection: delete.selection.as_ref() };
    let images = joined::condition(write, &target);
    let mut template = changed(setting, target.table, images, WriteKind::Delete);
    let joined = !from.is_empty();
    template.returning =
        returning(setting.dialect, Some(alias), joined, delete.returning.as_deref());
    let settled = write.is_settled(&delete.selection) && write.is_settled(&delete.using);
    let plain = delete.limit.is_none() && settled && is_visible(write, shown);
    if plain && template.target.is_some() {
        template.old_rows =
            OldRows::of_delete(setting.dialect, write.sql, &delete.delete_token, joined);
    }
    template
}

/// The alias and name of the only table.
fn single(compiler: &mut Compiler<'_>, item: &TableWithJoins) -> Option<(String, String)> {
    let TableFactor::Table { name, alias, args: None, .. } = &item.relation else { return None };
    if !item.joins.is_empty() {
        return None;
    }
    let table = compiler.key(name)?;
    let alias = match alias {
        Some(alias) if alias.columns.is_empty() => compiler.dialect().name(&alias.name),
        Some(_) => return None,
        None => last_name(compiler.dialect(), &name.0)?,
    };
    Some((alias, table))
}

/// Whether a query reads the same table under this name, and not a common table expression.
fn is_visible(write: &Write<'_>, item: &TableWithJoins) -> bool {
    let TableFactor::Table { name, .. } = &item.relation else { return false };
    let name = last_name(write.setting.dialect, &name.0);
    name.is_some_and(|name| !write.common.contains(&name))
}
