//! The values that INSERT and UPDATE assign, as terms that hold afterwards.

use std::sync::Arc;

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, ObjectNamePart};

use crate::Dialect;
use crate::canon::{Place, Side};
use crate::condition::dnf::{Dnf, MAX_TERMS};
use crate::condition::factor::{Conjunction, Factor, NullMeans, Slot};
use crate::condition::table::TableConditions;
use crate::read::comparison::{Built, factor};
use crate::read::operand::operand;
use crate::read::scope::Context;

/// Which statement assigns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    Insert,
    Update,
}

/// A column and what it gets, if that is an expression of its own.
pub(crate) type Pair<'e> = (String, Option<&'e Expr>);

/// The columns of a SET.
pub(crate) fn pairs(dialect: Dialect, assignments: &[Assignment]) -> Option<Vec<Pair<'_>>> {
    let mut pairs = Vec::new();
    for assignment in assignments {
        match (&assignment.target, &assignment.value) {
            (AssignmentTarget::Tuple(names), Expr::Tuple(given)) if names.len() == given.len() => {
                for (name, value) in names.iter().zip(given) {
                    pairs.push(pair(dialect, &name.0, Some(value))?);
                }
            }
            (AssignmentTarget::Tuple(names), _) => {
                for name in names {
                    pairs.push(pair(dialect, &name.0, None)?);
                }
            }
            (AssignmentTarget::ColumnName(name), value) => {
                pairs.push(pair(dialect, &name.0, Some(value))?);
            }
        }
    }
    Some(pairs)
}

fn pair<'e>(
    dialect: Dialect,
    name: &[ObjectNamePart],
    value: Option<&'e Expr>,
) -> Option<Pair<'e>> {
    // PostgreSQL never qualifies an assigned column: `a.b` is a part of the column `a`.
    if dialect == Dialect::Postgres && name.len() > 1 {
        return Some((last_name(dialect, &name[..1])?, None));
    }
    Some((last_name(dialect, name)?, value))
}

/// What a SET assigns.
pub(crate) struct Set {
    pub(crate) columns: Vec<String>,
    /// The columns that get a constant or parameter.
    known: Conjunction,
    /// One of the columns is another name of a column, and it is not known of which: SQLite's rowid.
    pub(crate) renamed: bool,
}

impl Set {
    pub(crate) fn of(context: Context<'_>, table: &str, pairs: Vec<Pair<'_>>) -> Self {
        let mut known = Conjunction::new();
        for (column, value) in &pairs {
            // Assigned twice: MySQL takes the last, others refuse.
            let once = pairs.iter().filter(|(other, _)| other == column).count() == 1;
            if let (true, Some(value)) = (once, value)
                && let Some(factor) = assigned(context, table, column, value, Statement::Update)
            {
                known.push(Arc::new(factor));
            }
        }
        let renamed = pairs.iter().any(|(column, _)| is_system(context, table, column));
        Self { columns: pairs.into_iter().map(|(column, _)| column).collect(), known, renamed }
    }

    /// The same, with unknown values.
    pub(crate) fn unknown(columns: Vec<String>) -> Self {
        Self { columns, known: Conjunction::new(), renamed: false }
    }

    /// What is known of the columns that are assigned.
    pub(crate) fn known_of(&self, table: Option<&str>) -> TableConditions {
        let known = self.known.iter().take(MAX_TERMS).cloned().collect();
        let table = (table.unwrap_or_default().to_owned(), Dnf(vec![known]));
        TableConditions::of(vec![table]).remove(0)
    }

    /// These rows before and after.
    pub(crate) fn images(&self, context: Context<'_>, table: &str, old: Dnf) -> Dnf {
        if self.renamed {
            return Dnf::any();
        }
        let moved = old.0.iter().filter(|old| self.moves(context, table, old));
        let new: Vec<Conjunction> = moved.map(|old| self.applied_to(old)).collect();
        let mut images = old;
        // Not joined by `Dnf::or`: conditions and assignments read values differently.
        images.0.extend(new);
        images
    }

    /// Whether a row of this conjunction may leave it.
    pub(crate) fn moves(&self, context: Context<'_>, table: &str, old: &Conjunction) -> bool {
        old.iter().any(|factor| {
            self.columns.contains(&factor.column)
                || context.setting.schema.is_generated(table, &factor.column)
        })
    }

    /// The image of the rows of a conjunction afterwards.
    pub(crate) fn applied_to(&self, old: &Conjunction) -> Conjunction {
        let kept =
            old.iter().filter(|factor| !self.columns.contains(&factor.column) && !factor.generated);
        let mut new: Conjunction = kept.cloned().collect();
        let room = MAX_TERMS.saturating_sub(new.len());
        new.extend(self.known.iter().take(room).cloned());
        new
    }
}

/// The conjunction of an inserted row.
pub(crate) fn row<'e>(
    context: Context<'_>,
    table: &str,
    columns: &[String],
    values: impl Iterator<Item = &'e Expr>,
    statement: Statement,
) -> Conjunction {
    let mut row = Conjunction::new();
    // Another name of a column, which may be given a second value under its own name.
    if columns.iter().any(|column| is_system(context, table, column)) {
        return row;
    }
    for (at, (column, value)) in columns.iter().zip(values).enumerate() {
        if row.len() == MAX_TERMS {
            break;
        }
        // Given twice: SQLite takes one of them, others refuse.
        if columns[..at].contains(column) || columns[at + 1..].contains(column) {
            continue;
        }
        if let Some(factor) = assigned(context, table, column, value, statement) {
            row.push(Arc::new(factor));
        }
    }
    row
}

/// The term that holds after a value was assigned, if any does.
fn assigned(
    context: Context<'_>,
    table: &str,
    column: &str,
    value: &Expr,
    statement: Statement,
) -> Option<Factor> {
    let generated = context.setting.schema.is_generated(table, column);
    let system = is_system(context, table, column);
    let operand = operand(context.setting.dialect, value)?;
    let inserts = statement == Statement::Insert;
    // In place of NULL, and in MySQL of zero, the table's next number may be stored.
    let null = match (context.setting.dialect, statement) {
        (Dialect::Postgres, _) | (Dialect::Sqlite, Statement::Update) => NullMeans::IsNull,
        _ => NullMeans::Unknown,
    };
    if generated || system {
        return None;
    }
    let zero = |factor: &Factor| {
        inserts
            && context.setting.dialect == Dialect::MySql
            && factor.slots.iter().any(|slot| matches!(slot, Slot::Plain(text) if **text == *b"0"))
    };
    let place = Place { side: Side::Assigned, ..context.place(table, column) };
    match factor(column.to_owned(), place, [operand], null) {
        Built::Factor(factor) if zero(&factor) => None,
        Built::Factor(mut factor) => {
            factor.inserted = inserts;
            Some(factor)
        }
        _ => None,
    }
}

/// Whether the column is one that the database keeps, or another name of one that is the user's.
fn is_system(context: Context<'_>, table: &str, column: &str) -> bool {
    context.setting.dialect.is_system_column(column)
        && !context.setting.schema.has_column(table, column)
}

pub(crate) fn assigned_name(dialect: Dialect, target: &AssignmentTarget) -> Option<String> {
    match target {
        AssignmentTarget::ColumnName(name) => last_name(dialect, &name.0),
        AssignmentTarget::Tuple(_) => None,
    }
}

pub(crate) fn last_name(dialect: Dialect, parts: &[ObjectNamePart]) -> Option<String> {
    match parts.last()? {
        ObjectNamePart::Identifier(ident) => Some(dialect.name(ident)),
        ObjectNamePart::Function(_) => None,
    }
}
