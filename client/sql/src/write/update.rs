//! UPDATE, DELETE and writes behind a WITH: which rows they change.
//!
//! What is sent must cover each changed row, before and after. So a term stands here only if it holds for certain, and
//! what is not known is left out.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Delete, Expr, FromTable, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    SqliteOnConflict, Statement, TableFactor, TableWithJoins, Update, UpdateTableFromKind, Visit,
    Visitor,
};

use super::assign::{Set, last_name, pairs};
use super::{insert, joined};
use crate::Dialect;
use crate::canon::Side;
use crate::condition::dnf::{Dnf, MAX_CONJUNCTIONS};
use crate::condition::factor::Conjunction;
use crate::condition::text::TableConditions;
use crate::parse::inventory::Inventory;
use crate::parse::old_rows::OldRows;
use crate::read::{Common, Compiler};
use crate::setting::Setting;
use crate::statement::other;
use crate::template::{Kind, Returning, Template, WriteKind};

/// A statement that writes, and what is known of its surroundings.
pub(crate) struct Write<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) inventory: &'a Inventory<'a>,
    /// The common table expressions that it may name.
    pub(crate) common: &'a [String],
    /// The whole text, if this is its only statement.
    pub(crate) sql: &'a str,
    /// MySQL changes values until they fit.
    pub(crate) ignores: bool,
}

impl Write<'_> {
    /// A compiler that reads conditions, and whose tables nobody asks for.
    pub(crate) fn reader(&self) -> Compiler<'_> {
        let mut compiler = Compiler::new(self.setting, Side::Predicate);
        compiler.nested = false;
        compiler.visible = self.common.iter().map(|name| Common::of(name)).collect();
        compiler
    }
}

/// The table that an UPDATE or DELETE writes, and the tables that decide on its rows.
pub(crate) struct Target<'e> {
    pub(crate) alias: String,
    pub(crate) table: String,
    /// What stands behind FROM or USING.
    pub(crate) from: &'e [TableWithJoins],
    pub(crate) selection: Option<&'e Expr>,
}

/// UPDATE.
pub(crate) fn update(write: &Write<'_>, update: &Update) -> Template {
    let (setting, kind) = (write.setting, Kind::Write(WriteKind::Update));
    if write.inventory.writes || update.output.is_some() {
        return other::unknown(setting, write.inventory, kind);
    }
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let from = match &update.from {
        None => &[][..],
        Some(UpdateTableFromKind::AfterSet(from)) => from,
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return other::visible(setting, write.inventory, kind);
        }
    };
    let Some((alias, table)) = single(&mut compiler, &update.table) else {
        if setting.dialect == Dialect::MySql && from.is_empty() {
            return joined::update(write, update);
        }
        return other::visible(setting, write.inventory, kind);
    };
    let set = pairs(setting.dialect, &update.assignments)
        .map(|pairs| write.assigned(&compiler, &table, pairs));
    let target = Target { alias: alias.clone(), table, from, selection: update.selection.as_ref() };
    // REPLACE deletes rows besides those it updates.
    let set = set.filter(|_| update.or != Some(SqliteOnConflict::Replace));
    let images = match &set {
        Some(set) => {
            let old = joined::condition(write, &target);
            whole_if_many(set.images(&compiler, &target.table, old))
        }
        None => Dnf::any(),
    };
    let joined = !from.is_empty();
    let given = returning(setting.dialect, Some(alias), joined, update.returning.as_deref());
    let given = settled_rows(setting, &target.table, given);
    let mut template = changed(setting, compiler, target.table, images, WriteKind::Update);
    template.assigns = set.as_ref().map(|set| set.known_of(template.target.as_deref()));
    template.assigned = set.filter(|set| !set.renamed).map(|set| set.columns);
    template.returning = given;
    let settled = write.is_settled(&update.selection) && write.is_settled(&update.from);
    let plain = update.or.is_none() && update.limit.is_none() && settled;
    if plain && write.shows(&update.table) && template.target.is_some() {
        template.old_rows =
            OldRows::of_update(setting.dialect, write.sql, &update.update_token, joined);
    }
    template
}

/// DELETE.
pub(crate) fn delete(write: &Write<'_>, delete: &Delete) -> Template {
    let (setting, kind) = (write.setting, Kind::Write(WriteKind::Delete));
    if write.inventory.writes || delete.output.is_some() {
        return other::unknown(setting, write.inventory, kind);
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
        return other::visible(setting, write.inventory, kind);
    };
    let shown = &from[0];
    let from = delete.using.as_deref().unwrap_or_default();
    let target = Target { alias: alias.clone(), table, from, selection: delete.selection.as_ref() };
    let images = joined::condition(write, &target);
    let mut template = changed(setting, compiler, target.table, images, WriteKind::Delete);
    let joined = !from.is_empty();
    template.returning =
        returning(setting.dialect, Some(alias), joined, delete.returning.as_deref());
    let settled = write.is_settled(&delete.selection) && write.is_settled(&delete.using);
    let plain = delete.limit.is_none() && settled && write.shows(shown);
    if plain && template.target.is_some() {
        template.old_rows =
            OldRows::of_delete(setting.dialect, write.sql, &delete.delete_token, joined);
    }
    template
}

impl Write<'_> {
    /// Whether this part of the statement means the same rows when it is asked once more, in the same transaction.
    pub(crate) fn is_settled<V: Visit + ?Sized>(&self, part: &V) -> bool {
        self.inventory.is_settled(part)
    }

    /// Whether a query sees the same table under this name.
    fn shows(&self, item: &TableWithJoins) -> bool {
        let TableFactor::Table { name, .. } = &item.relation else { return false };
        let name = last_name(self.setting.dialect, &name.0);
        name.is_some_and(|name| !self.common.contains(&name))
    }

    /// What is assigned. MySQL's IGNORE changes values until they fit.
    pub(crate) fn assigned(
        &self,
        compiler: &Compiler<'_>,
        table: &str,
        pairs: Vec<super::assign::Pair<'_>>,
    ) -> Set {
        if self.ignores {
            return Set::unknown(pairs.into_iter().map(|(column, _)| column).collect());
        }
        Set::of(compiler, table, pairs)
    }
}

/// A query that writes: behind a WITH, or in one.
pub(crate) fn with(write: &Write<'_>, query: &Query) -> Template {
    let setting = write.setting;
    let kind = Kind::Write(WriteKind::Other);
    if write.inventory.into {
        return other::unknown(setting, write.inventory, kind);
    }
    let common = query.with.iter().flat_map(|with| &with.cte_tables);
    let common: Vec<String> =
        common.map(|common| setting.dialect.name(&common.alias.name)).collect();
    // Of several nobody asks for the old rows, which would take the whole text for each.
    let sql = if write.inventory.statements > 2 { "" } else { write.sql };
    let mut writes = Writes { write: &Write { common: &common, sql, ..*write }, found: Vec::new() };
    let _ = query.visit(&mut writes);
    let main =
        matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_));
    let mut found = writes.found;
    if main && found.len() == 1 {
        return found.remove(0);
    }
    let mut template = Template::of(kind);
    for one in found {
        template.unknown |= one.unknown;
        for table in one.changes {
            match template.changes.iter_mut().find(|known| known.table == table.table) {
                Some(known) => known.merge(table),
                None => template.changes.push(table),
            }
        }
    }
    template.unknown |= template.changes.is_empty();
    template.tables = template.changes.iter().map(|table| table.table.clone()).collect();
    template
}

/// The statements inside a query, each compiled by itself: all of them see the rows as they were before.
struct Writes<'w> {
    write: &'w Write<'w>,
    found: Vec<Template>,
}

impl Visitor for Writes<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        let write = self.write;
        let inventory = Inventory::of(write.setting.dialect, &write.setting.schema, statement);
        let write = Write { inventory: &inventory, ..*write };
        self.found.push(match statement {
            Statement::Insert(statement) => insert::insert(&write, statement),
            Statement::Update(statement) => update(&write, statement),
            Statement::Delete(statement) => delete(&write, statement),
            _ => other::visible(write.setting, &inventory, Kind::Write(WriteKind::Other)),
        });
        ControlFlow::Continue(())
    }
}

/// The template of a write to one table, and of what the database changes along with it.
pub(crate) fn changed(
    setting: &Setting,
    compiler: Compiler<'_>,
    table: String,
    images: Dnf,
    kind: WriteKind,
) -> Template {
    let mut template = changed_all(setting, compiler, vec![(table.clone(), images)], kind);
    template.target = target(setting, table);
    template
}

/// The table, if who has its rows knows all that changes in it: not of a view, and not if the database itself goes on to
/// change others of its rows.
pub(crate) fn target(setting: &Setting, table: String) -> Option<String> {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let also = setting.schema.get(&table).map(|table| table.also_changes()).unwrap_or_default();
    also.iter().for_each(|other| compiler.add(other, Dnf::any()));
    add_others(setting, &mut compiler);
    let again = compiler.tables.iter().any(|(other, _)| *other == table);
    (!again && setting.schema.view_of(&table).is_none()).then_some(table)
}

/// The same for several tables.
pub(crate) fn changed_all(
    setting: &Setting,
    mut compiler: Compiler<'_>,
    tables: Vec<(String, Dnf)>,
    kind: WriteKind,
) -> Template {
    for (table, images) in tables {
        #[cfg(feature = "fault-injection")]
        let images = match setting.mutation {
            Some(mutation) => mutation.spoil_write(images),
            None => images,
        };
        compiler.add(&table, images);
    }
    add_others(setting, &mut compiler);
    let mut template = Template::of(Kind::Write(kind));
    template.changes = TableConditions::of(compiler.tables);
    template.tables = template.changes.iter().map(|table| table.table.clone()).collect();
    template
}

/// The tables that change where any rows of one do: itself or what it is a view of, and others.
pub(crate) fn with_others(setting: &Setting, table: &str) -> Vec<String> {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    compiler.add(table, Dnf::any());
    add_others(setting, &mut compiler);
    compiler.tables.into_iter().map(|(table, _)| table).collect()
}

/// Adds what the database changes along with the tables.
pub(crate) fn add_others(setting: &Setting, compiler: &mut Compiler<'_>) {
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

pub(crate) fn whole_if_many(dnf: Dnf) -> Dnf {
    if dnf.0.len() > MAX_CONJUNCTIONS || dnf.0.iter().any(Conjunction::is_empty) {
        Dnf::any()
    } else {
        dnf
    }
}

/// What RETURNING gives of the rows of the target. In a joined write a bare name may be another table's.
pub(crate) fn returning(
    dialect: Dialect,
    target: Option<String>,
    joined: bool,
    items: Option<&[SelectItem]>,
) -> Returning {
    let Some(items) = items else { return Returning::Nothing };
    let is_target = |name: String| target.as_ref() == Some(&name);
    match items {
        // SQLite leaves the other tables out.
        [SelectItem::Wildcard(_)] if !joined || dialect == Dialect::Sqlite => {
            return Returning::All;
        }
        [SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)]
            if last_name(dialect, &name.0).is_some_and(is_target) =>
        {
            return Returning::All;
        }
        _ => {}
    }
    let names = items.iter().map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) if !joined => Some(dialect.name(ident)),
        // `old.a` is no value of the new row.
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => match idents.as_slice() {
            [.., table, column] if is_target(dialect.name(table)) => Some(dialect.name(column)),
            _ => None,
        },
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().map_or(Returning::Expressions, Returning::Columns)
}

/// The same, if the rows are as they will be: not where a trigger goes on to change one of the columns.
pub(crate) fn settled_rows(setting: &Setting, table: &str, returning: Returning) -> Returning {
    let schema = &setting.schema;
    let changes = match &returning {
        Returning::All => schema.has_triggered(table),
        Returning::Columns(names) => names.iter().any(|name| schema.is_triggered(table, name)),
        Returning::Nothing | Returning::Expressions => false,
    };
    if changes { Returning::Expressions } else { returning }
}
