//! What a write has changed, as exactly as it is known. Pure but for the rows it reads.
//!
//! The analyser tells from text and values which rows a write can have changed, before and after: always enough,
//! often too much. Rows that the database gave make it exact.

use cacheops::Changes;
use cacheops_sql::{Kind, Template, Value, WriteKind};

use crate::connection::Shared;
use crate::image::Image;
use crate::rows::Row;

/// Beyond, what the text tells is sent in the place of single rows.
const MAX_IMAGES: usize = 1024;

/// The most that a statement can change.
pub(crate) fn feared(
    shared: &Shared,
    template: &Template,
    values: &[Value<'_>],
    sql: &str,
) -> Changes {
    if template.may_change_more() {
        return Changes::everything();
    }
    let mut changes = Changes::new();
    for (table, rows) in template.changes(values).iter() {
        changes.add_text(table, rows);
        if deletes(template.kind(), sql) {
            shared.cascades.deleted(table, &Image::parse_all(rows), &mut changes);
        }
        if let Some(columns) = template.assigned_columns() {
            shared.cascades.updated(table, columns, &mut changes);
        }
    }
    changes
}

/// Whether rows disappear.
fn deletes(kind: &Kind, sql: &str) -> bool {
    match kind {
        Kind::Write(WriteKind::Insert | WriteKind::Update) => false,
        Kind::Write(WriteKind::Upsert) => {
            let mut words = sql.split_whitespace().map(str::to_ascii_uppercase);
            words.next().is_some_and(|word| word == "REPLACE")
                || words.nth(1).is_some_and(|word| word == "REPLACE")
        }
        _ => true,
    }
}

/// The rows that the database has shown.
pub(crate) enum Shown {
    /// The rows as they were, all of them.
    Before(Vec<Row>),
    /// What RETURNING gave of each row.
    Returned(Vec<Row>),
}

/// What a statement has changed, given its rows. None where they do not help.
pub(crate) fn exact(
    shared: &Shared,
    template: &Template,
    values: &[Value<'_>],
    sql: &str,
    shown: &Shown,
) -> Option<Changes> {
    let target = template.target()?;
    let changes = template.changes(values);
    // A trigger or view that changes other tables by the schema's word: those stay as feared.
    let told = changes.get(target).map(Image::parse_all)?;
    let (Shown::Before(rows) | Shown::Returned(rows)) = shown;
    if rows.len() * told.len() > MAX_IMAGES {
        return None;
    }
    let mut exact = Changes::new();
    for (table, rows) in changes.iter().filter(|(table, _)| *table != target) {
        exact.add_text(table, rows);
    }
    let mut add = |image: &Image| exact.add_text(target, image.to_bytes());
    match (template.kind(), shown) {
        (Kind::Write(WriteKind::Insert), Shown::Returned(rows))
        | (Kind::Write(WriteKind::Delete), Shown::Before(rows) | Shown::Returned(rows)) => {
            // What the row does not tell is in one of the images of the text, nobody knows which.
            let merged: Vec<_> =
                rows.iter().flat_map(|row| told.iter().map(|told| row.image.or(told))).collect();
            merged.iter().for_each(&mut add);
            if matches!(template.kind(), Kind::Write(WriteKind::Delete)) {
                shared.cascades.deleted(target, &merged, &mut exact);
            }
        }
        (Kind::Write(WriteKind::Update), _) => {
            for row in rows {
                add(&row.image);
                // The other image: the same row, but for what was assigned.
                let kept = row.kept.as_ref()?;
                told.iter().for_each(|told| add(&kept.or(told)));
            }
            shared.cascades.updated(target, template.assigned_columns()?, &mut exact);
        }
        (Kind::Write(WriteKind::Upsert), Shown::Returned(rows))
            if !deletes(template.kind(), sql) =>
        {
            for row in rows {
                add(&row.image);
                add(row.kept.as_ref()?);
            }
            shared.cascades.updated(target, template.assigned_columns()?, &mut exact);
        }
        _ => return None,
    }
    Some(exact)
}
