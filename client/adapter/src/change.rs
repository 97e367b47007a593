//! What a write has changed, as exactly as it is known: without input or output.
//!
//! The analyser derives from text and values which rows a write can have changed, before and after: always enough, often
//! too much ([`Write::upper_bound`]). Rows that the database returned make it exact ([`Write::refine`]).

use cacheops::{Changes, OwnedConjunction};
use cacheops_sql::{Analyser, ChangedRows, Kind, Template, Value, WriteKind};

use crate::cascade::Cascades;

/// Beyond, the upper bound is sent in the place of single rows.
const MAX_IMAGES: usize = 1024;

/// A row of the table that a write changes, as the database returned it.
#[derive(Debug, Clone)]
pub(crate) struct ObservedRow {
    pub(crate) image: OwnedConjunction,
    /// The same without what the write assigns and the database computes: true of it before and after.
    pub(crate) unchanged: Option<OwnedConjunction>,
}

/// The rows that the database has shown.
#[derive(Debug)]
pub(crate) enum Observed {
    /// The rows as they were, all of them.
    Old(Vec<ObservedRow>),
    /// What RETURNING gave of each row.
    Returned(Vec<ObservedRow>),
    /// The number of the one new row, which the database has given it.
    Numbered(OwnedConjunction),
    /// The rows as they were and as RETURNING gave them. Which became which is not known.
    Both(Vec<ObservedRow>, Vec<ObservedRow>),
}

/// A write, and what its text and values imply of the rows that it changes.
pub(crate) struct Write<'t> {
    template: &'t Template,
    values: Vec<Value<'t>>,
    changes: ChangedRows<'t>,
}

impl ObservedRow {
    pub(crate) fn new(
        analyser: &Analyser,
        template: &Template,
        table: &str,
        columns: &[(String, Value<'static>)],
    ) -> Self {
        let pairs = || columns.iter().map(|(name, value)| (name, value));
        Self {
            image: analyser.row_image(table, pairs()),
            unchanged: analyser.unchanged_image(template, pairs()),
        }
    }
}

impl<'t> Write<'t> {
    pub(crate) fn new(template: &'t Template, values: Vec<Value<'t>>) -> Self {
        let changes = template.changed_rows(&values);
        Self { template, values, changes }
    }

    /// The most that it can change.
    pub(crate) fn upper_bound(&self, cascades: &Cascades) -> Changes {
        let template = self.template;
        if template.may_change_more() {
            return Changes::everything();
        }
        let mut changes = Changes::new();
        for (table, rows) in self.changes.iter() {
            add_rows(&mut changes, table, rows);
            // Of a trigger's table all rows: it may delete some, or change keys.
            if self.changes.is_whole(table) && template.target() != Some(table) {
                cascades.any(table, &mut changes);
            }
            if template.may_delete() {
                cascades.deleted(table, rows, &mut changes);
            }
            if updates(template.kind()) {
                cascades.updated(table, template.assigned_columns(), &mut changes);
            }
        }
        changes
    }

    /// What it has changed, given rows of it. None where they do not help.
    pub(crate) fn refine(&self, cascades: &Cascades, observed: &Observed) -> Option<Changes> {
        let Self { template, values, changes } = self;
        let target = template.target()?;
        // A trigger or view that changes other tables by the schema's word: those stay as in the upper bound.
        let implied = changes.get(target)?;
        let rows = match observed {
            Observed::Old(rows) | Observed::Returned(rows) | Observed::Both(rows, _) => {
                rows.as_slice()
            }
            Observed::Numbered(_) => &[],
        };
        if rows.len() * implied.len() > MAX_IMAGES {
            return None;
        }
        let mut exact = Changes::new();
        for (table, rows) in changes.iter().filter(|(table, _)| *table != target) {
            add_rows(&mut exact, table, rows);
            cascades.any(table, &mut exact);
        }
        let mut add = |image: OwnedConjunction| exact.add_row(target, image);
        match (template.kind(), observed) {
            (Kind::Write(WriteKind::Insert), Observed::Numbered(number)) => {
                implied.iter().for_each(|implied| add(implied.or(number)));
            }
            // A trigger may have done something else in the place of what is not there.
            (Kind::Write(WriteKind::Insert), Observed::Returned(rows))
                if rows.len() < implied.len() =>
            {
                return None;
            }
            (Kind::Write(WriteKind::Delete), Observed::Returned(rows)) if rows.is_empty() => {
                return None;
            }
            (Kind::Write(WriteKind::Insert), Observed::Returned(rows))
            | (Kind::Write(WriteKind::Delete), Observed::Old(rows) | Observed::Returned(rows)) => {
                // A column that the row does not have is in one of the images of the text, and it is not known in which.
                let merged: Vec<_> = rows
                    .iter()
                    .flat_map(|row| implied.iter().map(|implied| row.image.or(implied)))
                    .collect();
                merged.iter().cloned().for_each(&mut add);
                if matches!(template.kind(), Kind::Write(WriteKind::Delete)) {
                    cascades.deleted(target, &merged, &mut exact);
                }
            }
            (Kind::Write(WriteKind::Update), Observed::Both(old, new)) => {
                old.iter().for_each(|row| add(row.image.clone()));
                match (old.as_slice(), new.as_slice()) {
                    ([old], [new]) => add(new.image.or(old.unchanged.as_ref()?)),
                    _ => new.iter().for_each(|row| add(row.image.clone())),
                }
                cascades.updated(target, template.assigned_columns(), &mut exact);
            }
            (Kind::Write(WriteKind::Update), _) => {
                let assigned = template.assigned_values(values);
                for row in rows {
                    add(row.image.clone());
                    // The other image: the same row, but for what was assigned.
                    let unchanged = row.unchanged.as_ref()?;
                    match observed {
                        Observed::Old(_) => add(unchanged.or(&assigned)),
                        _ => implied.iter().for_each(|implied| add(unchanged.or(implied))),
                    }
                }
                cascades.updated(target, template.assigned_columns(), &mut exact);
            }
            (Kind::Write(WriteKind::Upsert), Observed::Returned(rows))
                if !template.may_delete() =>
            {
                for row in rows {
                    add(row.image.clone());
                    add(row.unchanged.clone()?);
                }
                cascades.updated(target, template.assigned_columns(), &mut exact);
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
