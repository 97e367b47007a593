//! What a write has changed, as exactly as it is known. Pure but for the rows it reads.
//!
//! The analyser tells from text and values which rows a write can have changed, before and after: always enough,
//! often too much. Rows that the database gave make it exact.

use cacheops::{Changes, OwnedConjunction};
use cacheops_sql::{ChangedRows, Kind, Template, Value, WriteKind};
use sea_orm::Statement;

use crate::connection::Shared;
use crate::rows::Row;
use crate::value::values_of;

/// Beyond, what the text tells is sent in the place of single rows.
const MAX_IMAGES: usize = 1024;

/// A write, and what its text and values tell of the rows that it changes.
pub(crate) struct Write<'t> {
    template: &'t Template,
    values: Vec<Value<'t>>,
    changes: ChangedRows<'t>,
}

impl<'t> Write<'t> {
    pub(crate) fn new(template: &'t Template, statement: Option<&'t Statement>) -> Self {
        let values = statement.map(values_of).unwrap_or_default();
        let changes = template.changed_rows(&values);
        Self { template, values, changes }
    }

    /// The most that it can change.
    pub(crate) fn feared(&self, shared: &Shared) -> Changes {
        let template = self.template;
        if template.may_change_more() {
            return Changes::everything();
        }
        let mut changes = Changes::new();
        for (table, rows) in self.changes.iter() {
            add_rows(&mut changes, table, rows);
            // Of a trigger's table all rows: it may delete some, or change keys.
            if self.changes.is_whole(table) && template.target() != Some(table) {
                shared.cascades.any(table, &mut changes);
            }
            if template.may_delete() {
                shared.cascades.deleted(table, rows, &mut changes);
            }
            if updates(template.kind()) {
                shared.cascades.updated(table, template.assigned_columns(), &mut changes);
            }
        }
        changes
    }

    /// What it has changed, given its rows. None where they do not help.
    pub(crate) fn exact(&self, shared: &Shared, shown: &Shown) -> Option<Changes> {
        let Self { template, values, changes } = self;
        let target = template.target()?;
        // A trigger or view that changes other tables by the schema's word: those stay as feared.
        let told = changes.get(target)?;
        let rows = match shown {
            Shown::Before(rows) | Shown::Returned(rows) | Shown::Both(rows, _) => rows.as_slice(),
            Shown::Numbered(_) => &[],
        };
        if rows.len() * told.len() > MAX_IMAGES {
            return None;
        }
        let mut exact = Changes::new();
        for (table, rows) in changes.iter().filter(|(table, _)| *table != target) {
            add_rows(&mut exact, table, rows);
            shared.cascades.any(table, &mut exact);
        }
        let mut add = |image: OwnedConjunction| exact.add_row(target, image);
        match (template.kind(), shown) {
            (Kind::Write(WriteKind::Insert), Shown::Numbered(number)) => {
                told.iter().for_each(|told| add(told.or(number)));
            }
            // A trigger may have done something else in the place of what is not there.
            (Kind::Write(WriteKind::Insert), Shown::Returned(rows)) if rows.len() < told.len() => {
                return None;
            }
            (Kind::Write(WriteKind::Delete), Shown::Returned(rows)) if rows.is_empty() => {
                return None;
            }
            (Kind::Write(WriteKind::Insert), Shown::Returned(rows))
            | (Kind::Write(WriteKind::Delete), Shown::Before(rows) | Shown::Returned(rows)) => {
                // What the row does not tell is in one of the images of the text, nobody knows which.
                let merged: Vec<_> = rows
                    .iter()
                    .flat_map(|row| told.iter().map(|told| row.image.or(told)))
                    .collect();
                merged.iter().cloned().for_each(&mut add);
                if matches!(template.kind(), Kind::Write(WriteKind::Delete)) {
                    shared.cascades.deleted(target, &merged, &mut exact);
                }
            }
            (Kind::Write(WriteKind::Update), Shown::Both(before, after)) => {
                before.iter().for_each(|row| add(row.image.clone()));
                match (before.as_slice(), after.as_slice()) {
                    ([old], [new]) => add(new.image.or(old.kept.as_ref()?)),
                    _ => after.iter().for_each(|row| add(row.image.clone())),
                }
                shared.cascades.updated(target, template.assigned_columns(), &mut exact);
            }
            (Kind::Write(WriteKind::Update), _) => {
                let assigned = template.assigned_values(values);
                for row in rows {
                    add(row.image.clone());
                    // The other image: the same row, but for what was assigned.
                    let kept = row.kept.as_ref()?;
                    match shown {
                        Shown::Before(_) => add(kept.or(&assigned)),
                        _ => told.iter().for_each(|told| add(kept.or(told))),
                    }
                }
                shared.cascades.updated(target, template.assigned_columns(), &mut exact);
            }
            (Kind::Write(WriteKind::Upsert), Shown::Returned(rows)) if !template.may_delete() => {
                for row in rows {
                    add(row.image.clone());
                    add(row.kept.clone()?);
                }
                shared.cascades.updated(target, template.assigned_columns(), &mut exact);
            }
            _ => return None,
        }
        Some(exact)
    }
}

fn add_rows(changes: &mut Changes, table: &str, rows: &[OwnedConjunction]) {
    rows.iter().for_each(|row| changes.add_row(table, row.clone()));
}

/// Whether rows may be there before and after.
fn updates(kind: &Kind) -> bool {
    !matches!(kind, Kind::Write(WriteKind::Insert | WriteKind::Delete | WriteKind::Truncate))
}

/// The rows that the database has shown.
pub(crate) enum Shown {
    /// The rows as they were, all of them.
    Before(Vec<Row>),
    /// What RETURNING gave of each row.
    Returned(Vec<Row>),
    /// The number of the one new row, which the database has given it.
    Numbered(OwnedConjunction),
    /// The rows as they were and as RETURNING gave them. Which became which is not known.
    Both(Vec<Row>, Vec<Row>),
}
