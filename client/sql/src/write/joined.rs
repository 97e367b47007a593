//! Writes that several tables decide on: `UPDATE .. FROM`, `DELETE .. USING`, and MySQL's writes to a join.
//!
//! A row of the target is changed if the joined block has a row with it. So the changed rows satisfy what a read of the same
//! join depends on: the terms of WHERE and ON on columns of the target, as far as outer joins let them count, and constants
//! that pass over equal columns.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, ObjectName, ObjectNamePart, TableFactor,
    TableWithJoins, Update,
};
use sqlparser::keywords::Keyword;

use super::assign::{Pair, last_name, pairs};
use super::changed::{changed_all, target, visible, whole_if_many};
use super::{Target, Write};
use crate::condition::dnf::Dnf;
use crate::mutation::Mutation;
use crate::parse::old_rows::OldRows;
use crate::read::propagate::Known;
use crate::read::scope::Block;
use crate::template::{Kind, Template, WriteKind};

/// The condition that the changed rows of the target satisfy.
pub(crate) fn condition(write: &Write<'_>, target: &Target<'_>) -> Dnf {
    let mut block = Block::of(target.alias.clone(), target.table.clone());
    join(write, &mut block, target.from, target.selection);
    take(write, &mut block, 0)
}

/// Joins the tables, and narrows each of them.
fn join(write: &Write<'_>, block: &mut Block, from: &[TableWithJoins], selection: Option<&Expr>) {
    let mut compiler = write.reader();
    let mut known = Known::default();
    compiler.from(block, from, &mut known);
    if let Some(selection) = selection {
        compiler.selection(block, selection, &mut known);
    }
    known.propagate(write.context(), block);
}

fn take(write: &Write<'_>, block: &mut Block, at: usize) -> Dnf {
    if write.setting.has(Mutation::OtherTable) {
        let all = block.relations.iter().map(|relation| relation.filter.clone());
        return all.fold(Dnf::any(), Dnf::and);
    }
    std::mem::replace(&mut block.relations[at].filter, Dnf::any())
}

/// MySQL's `UPDATE a JOIN b .. SET ..`, which may write to each of them.
pub(crate) fn update(write: &Write<'_>, update: &Update) -> Template {
    let kind = Kind::Write(WriteKind::Update);
    let mut block = Block::default();
    join(write, &mut block, std::slice::from_ref(&update.table), update.selection.as_ref());
    let Some(mut sets) = sets(write, &block, &update.assignments) else {
        return visible(write.setting, write.inventory, kind);
    };
    sets.retain(|(_, pairs)| !pairs.is_empty());
    let (mut tables, mut columns) = (Vec::new(), Vec::new());
    let targets: Vec<usize> = sets.iter().map(|(at, _)| *at).collect();
    for (at, pairs) in sets {
        // A derived table cannot be written, but a view can be, and a name of the WITH.
        let Some(table) = block.relations[at].table.clone() else {
            return visible(write.setting, write.inventory, kind);
        };
        let same = |other: &usize| block.relations[*other].table.as_ref() == Some(&table);
        let alone = targets.iter().filter(|other| same(other)).count() == 1;
        let set = write.assigned(&table, pairs);
        let old = take(write, &mut block, at);
        // A row that is written under both names has an image with assignments of both.
        let images = if alone {
            whole_if_many(set.images(write.context(), &table, old))
        } else {
            Dnf::any()
        };
        columns.extend(set.columns);
        tables.push((table, images));
    }
    let mut template = changed_all(write.setting, tables, WriteKind::Update);
    template.assigned = Some(columns);
    if let [at] = targets[..] {
        template.target =
            block.relations[at].table.clone().and_then(|table| target(write.setting, table));
        let shown = spelled(&update.table, at).filter(|_| template.target.is_some());
        template.old_rows = shown
            .filter(|_| write.is_settled(&update.table) && write.is_settled(&update.selection))
            .and_then(|target| OldRows::of_joined_update(write.sql, &update.update_token, &target));
    }
    template
}

/// What is assigned to each relation. A column whose owner is not known counts for each of them.
fn sets<'e>(
    write: &Write<'_>,
    block: &Block,
    assignments: &'e [Assignment],
) -> Option<Vec<(usize, Vec<Pair<'e>>)>> {
    let dialect = write.setting.dialect;
    let mut sets: Vec<_> = (0..block.relations.len()).map(|at| (at, Vec::new())).collect();
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else { return None };
        let pair = pairs(dialect, std::slice::from_ref(assignment))?.pop()?;
        let owner = match name.0.as_slice() {
            [.., ObjectNamePart::Identifier(table), _] => Some(block.named(&dialect.name(table))?),
            _ => block.owner(&write.setting.schema, &pair.0),
        };
        match owner {
            Some(at) => sets[at].1.push(pair),
            None => {
                for (at, pairs) in &mut sets {
                    if block.relations[*at].table.is_some() {
                        pairs.push((pair.0.clone(), None));
                    }
                }
            }
        }
    }
    Some(sets)
}

/// MySQL's `DELETE a, b FROM ..` and `DELETE FROM a, b USING ..`.
pub(crate) fn delete(write: &Write<'_>, delete: &Delete) -> Template {
    let (setting, kind) = (write.setting, Kind::Write(WriteKind::Delete));
    let visible = || visible(setting, write.inventory, kind.clone());
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let names: Option<Vec<&ObjectName>> = match &delete.using {
        Some(_) => from.iter().map(plain_name).collect(),
        None => Some(delete.tables.iter().collect()),
    };
    let (Some(names), from) = (names, delete.using.as_ref().unwrap_or(from)) else {
        return visible();
    };
    let mut block = Block::default();
    join(write, &mut block, from, delete.selection.as_ref());
    let mut tables = Vec::new();
    let mut only = None;
    for name in &names {
        let at = last_name(setting.dialect, &name.0).and_then(|name| block.named(&name));
        let found = at.and_then(|at| Some((at, block.relations[at].table.clone()?)));
        let Some((at, table)) = found else { return visible() };
        only = Some((at, table.clone()));
        tables.push((table, take(write, &mut block, at)));
    }
    if tables.is_empty() {
        return visible();
    }
    let mut template = changed_all(setting, tables, WriteKind::Delete);
    if let ([name], Some((_, table))) = (names.as_slice(), only) {
        template.target = target(setting, table);
        let tables = if delete.using.is_some() { Keyword::USING } else { Keyword::FROM };
        let settled = write.is_settled(from) && write.is_settled(&delete.selection);
        if settled && template.target.is_some() {
            let (verb, target) = (&delete.delete_token, name.to_string());
            template.old_rows = OldRows::of_joined_delete(write.sql, verb, tables, &target);
        }
    }
    template
}

fn plain_name(item: &TableWithJoins) -> Option<&ObjectName> {
    match &item.relation {
        TableFactor::Table { name, alias: None, args: None, .. } if item.joins.is_empty() => {
            Some(name)
        }
        _ => None,
    }
}

/// The name that the text has for the relation with this number.
fn spelled(item: &TableWithJoins, at: usize) -> Option<String> {
    let relations = std::iter::once(&item.relation).chain(item.joins.iter().map(|j| &j.relation));
    let names = relations.map(|relation| match relation {
        TableFactor::Table { alias: Some(alias), .. } => Some(alias.name.to_string()),
        TableFactor::Table { name, .. } => Some(name.to_string()),
        TableFactor::Derived { .. } => Some(String::new()),
        // More than one relation, or none.
        _ => None,
    });
    names.collect::<Option<Vec<_>>>()?.into_iter().nth(at)
}
