//! Writes behind a WITH, or in one.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SetExpr, Statement, Visit, Visitor};

use super::changed::{unknown, visible};
use super::update::{delete, update};
use super::{Write, insert};
use crate::parse::inventory::Inventory;
use crate::template::{Kind, Template, WriteKind};

/// A query that writes: behind a WITH, or in one.
pub(crate) fn with(write: &Write<'_>, query: &Query) -> Template {
    let setting = write.setting;
    let kind = Kind::Write(WriteKind::Other);
    if write.inventory.into {
        return unknown(setting, write.inventory, kind);
    }
    let common = query.with.iter().flat_map(|with| &with.cte_tables);
    let common: Vec<String> =
        common.map(|common| setting.dialect.name(&common.alias.name)).collect();
    // The old rows of several are not offered: that would take the whole text for each.
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

/// The statements inside a query, each compiled by itself: all of them read the rows as they were before the query.
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
            _ => visible(write.setting, &inventory, Kind::Write(WriteKind::Other)),
        });
        ControlFlow::Continue(())
    }
}
