//! What a comparison says of a column: `column = one of these constants`, in the many ways in which SQL writes it.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use sqlparser::ast::{Expr, ObjectNamePart, Value as Literal};

use super::formula::Formula;
use super::operand::{Operand, arguments, elements, folded, operand};
use super::scope::{Block, Column, Context};
use crate::canon::{Canon, Place, Side};
use crate::condition::factor::{Cast, Class, Factor, Guard, NullMeans, Peers, Slot};
use crate::setting::MAX_NAME_BYTES;
use crate::{ColumnKind, Dialect, Value};

/// Reads the comparisons of a block of SELECT.
#[derive(Clone, Copy)]
pub(super) struct Comparisons<'c> {
    pub(super) context: Context<'c>,
    pub(super) block: &'c Block,
}

impl Comparisons<'_> {
    pub(super) fn dialect(self) -> Dialect {
        self.context.setting.dialect
    }

    /// The column of a table of this block that an expression certainly names.
    pub(super) fn column(self, expr: &Expr) -> Option<Column> {
        self.context.column(self.block, expr)
    }

    /// `IS NOT DISTINCT FROM`, which SQLite takes for its `IS`: with TRUE or FALSE behind it no comparison.
    pub(super) fn same(self, left: &Expr, right: &Expr) -> Formula {
        let mut literal = right;
        while let Expr::Nested(inner) = literal {
            literal = inner;
        }
        match literal {
            Expr::Value(value) if self.dialect() == Dialect::Sqlite => match &value.value {
                Literal::Boolean(value) => self.truth(left, *value),
                _ => self.equality(left, right, NullMeans::IsNull),
            },
            _ => self.equality(left, right, NullMeans::IsNull),
        }
    }

    /// A condition on a parameter, in a read. The condition of a write has to hold for certain for its rows, not under which
    /// circumstances.
    pub(super) fn guard(self, expr: &Expr, guard: Guard) -> Formula {
        let Some(Operand::Parameter(at, cast)) = operand(self.dialect(), expr) else {
            return Formula::True;
        };
        // A value that is NULL after a conversion of MySQL may not have been NULL before.
        if self.context.side != Side::Query
            || cast != Cast::None && self.dialect() == Dialect::MySql
        {
            return Formula::True;
        }
        let place = self.context.place("", "");
        Formula::Guard(Arc::new(Factor::guard(at, guard, place)))
    }

    /// A parameter that is a truth value by itself.
    pub(super) fn flag(self, expr: &Expr, wanted: bool) -> Formula {
        match operand(self.dialect(), expr) {
            Some(Operand::Parameter(_, Cast::None | Cast::Bool)) => {
                self.guard(expr, Guard::Is(wanted))
            }
            _ => Formula::True,
        }
    }

    /// A comparison in which a side is LOWER or UPPER of a column or constant, or COALESCE of a parameter and the column.
    fn folded(self, left: &Expr, right: &Expr) -> Option<Formula> {
        if self.context.side != Side::Query {
            return None;
        }
        for (left, right) in [(left, right), (right, left)] {
            let (inner, on_column) = match folded(self.dialect(), left) {
                Some((inner, cast)) => (inner, Some(cast)),
                None => (left, None),
            };
            let Some(column) = self.column(inner) else { continue };
            let (right, on_operand) = match folded(self.dialect(), right) {
                Some((inner, cast)) => (inner, Some(cast)),
                None => (right, None),
            };
            if on_column.or(on_operand).is_some() {
                let operand = operand(self.dialect(), right)?;
                let casts = on_operand.into_iter().chain(on_column);
                let operand =
                    casts.into_iter().try_fold(operand, |operand, cast| operand.folded(cast))?;
                return Some(self.term(column, [operand], NullMeans::Nothing));
            }
            // `a = COALESCE($1, a)`: if the parameter is NULL, every row satisfies it.
            if let Expr::Function(function) = right
                && let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice()
                && self.dialect().name(name) == "coalesce"
                && let [first, second] = arguments(function)?.as_slice()
                && self.column(second).as_ref() == Some(&column)
            {
                let operand = operand(self.dialect(), first)?;
                return Some(self.term(column, [operand], NullMeans::Unknown));
            }
        }
        None
    }

    pub(super) fn equality(self, left: &Expr, right: &Expr, null: NullMeans) -> Formula {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (unnested(left), unnested(right)) {
            if left.len() != right.len() {
                return Formula::True;
            }
            let pairs = left.iter().zip(right);
            return Formula::And(
                pairs.map(|(left, right)| self.equality(left, right, null)).collect(),
            );
        }
        // With the setting transform_null_equals PostgreSQL reads it as IS NULL.
        let is_null = |expr| matches!(operand(self.dialect(), expr), Some(Operand::Null));
        let plain = null == NullMeans::Nothing && self.dialect() == Dialect::Postgres;
        if plain && (is_null(left) || is_null(right)) {
            return Formula::True;
        }
        for (left, right) in [(left, right), (right, left)] {
            if let Some(column) = self.column(left)
                && let Some(operand) = operand(self.dialect(), right)
            {
                return self.term(column, [operand], null);
            }
        }
        if null == NullMeans::Nothing
            && let Some(formula) = self.folded(left, right)
        {
            return formula;
        }
        // What query builders write for an empty list: 1 = 2.
        match (operand(self.dialect(), left), operand(self.dialect(), right)) {
            (
                Some(Operand::Constant { value: Value::Int(left), cast: Cast::None, .. }),
                Some(Operand::Constant { value: Value::Int(right), cast: Cast::None, .. }),
            ) if left != right => Formula::False,
            _ => Formula::True,
        }
    }

    pub(super) fn is_null(self, inner: &Expr) -> Formula {
        match self.column(inner) {
            Some(column) => self.term(column, [Operand::Null], NullMeans::IsNull),
            None => self.guard(inner, Guard::Null),
        }
    }

    pub(super) fn in_list(self, expr: &Expr, list: &[Expr]) -> Formula {
        if list.is_empty() {
            return Formula::False;
        }
        if let Expr::Tuple(columns) = unnested(expr) {
            if self.dialect() == Dialect::MySql && list.len() > 1 {
                return self.in_rows(columns, list);
            }
            let rows = list.iter().map(|row| self.equality(expr, row, NullMeans::Nothing));
            return Formula::Or(rows.collect());
        }
        let Some((column, to)) = self.folded_column(expr) else { return Formula::True };
        let operands = list.iter().map(|value| self.folded_operand(value, to));
        match operands.collect::<Option<Vec<_>>>() {
            Some(operands) => self.term(column, operands, NullMeans::Nothing),
            None => Formula::True,
        }
    }

    /// A list of rows, in which MySQL converts all values of one column to one type: `5` among texts makes a number of
    /// each, and most texts are zero.
    fn in_rows(self, columns: &[Expr], list: &[Expr]) -> Formula {
        let rows: Option<Vec<&[Expr]>> = list
            .iter()
            .map(|row| match unnested(row) {
                Expr::Tuple(row) if row.len() == columns.len() => Some(row.as_slice()),
                _ => None,
            })
            .collect();
        let Some(rows) = rows else { return Formula::True };
        let peers: Vec<_> = (0..columns.len())
            .map(|at| self.peers(rows.iter().map(|row| &row[at])).map(Arc::new))
            .collect();
        let rows = rows.iter().map(|row| {
            let terms = columns.iter().zip(*row).zip(&peers).map(|((column, value), peers)| {
                let Some(peers) = peers else { return Formula::True };
                match self.equality(column, value, NullMeans::Nothing) {
                    Formula::Atom(relation, mut factor) => {
                        Arc::make_mut(&mut factor).peers = Some(peers.clone());
                        Formula::Atom(relation, factor)
                    }
                    // Of tuples within tuples nothing is known.
                    Formula::And(_) | Formula::Or(_) => Formula::True,
                    other => other,
                }
            });
            Formula::And(terms.collect())
        });
        Formula::Or(rows.collect())
    }

    /// The constants and parameters of one column, unless it is known that they differ in type.
    fn peers<'e>(self, values: impl Iterator<Item = &'e Expr>) -> Option<Peers> {
        let mut peers = Peers { class: None, parameters: Vec::new() };
        for value in values {
            match operand(self.dialect(), value)? {
                Operand::Null => {}
                Operand::Parameter(at, Cast::None) => peers.parameters.push(at),
                Operand::Constant { value, cast: Cast::None, .. } => {
                    let class = Class::of(&value)?;
                    if *peers.class.get_or_insert(class) != class {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        Some(peers)
    }

    /// A column, or LOWER or UPPER of one.
    fn folded_column(self, expr: &Expr) -> Option<(Column, Option<Cast>)> {
        match folded(self.dialect(), expr) {
            Some((inner, cast)) if self.context.side == Side::Query => {
                Some((self.column(inner)?, Some(cast)))
            }
            _ => Some((self.column(expr)?, None)),
        }
    }

    /// A constant that is compared with such a column.
    fn folded_operand(self, expr: &Expr, to: Option<Cast>) -> Option<Operand> {
        let inner = match folded(self.dialect(), expr) {
            Some((inner, cast)) if self.context.side == Side::Query => {
                operand(self.dialect(), inner)?.folded(cast)?
            }
            _ => operand(self.dialect(), expr)?,
        };
        match to {
            Some(to) => inner.folded(to),
            None => Some(inner),
        }
    }

    pub(super) fn equals_any(self, left: &Expr, right: &Expr) -> Formula {
        let Some((column, to)) = self.folded_column(left) else { return Formula::True };
        if let Expr::Array(array) = unnested(right) {
            let operands = array.elem.iter().map(|value| self.folded_operand(value, to));
            return match operands.collect::<Option<Vec<_>>>() {
                Some(operands) if operands.is_empty() => Formula::False,
                Some(operands) => self.term(column, operands, NullMeans::Nothing),
                None => Formula::True,
            };
        }
        let operand = elements(self.dialect(), right);
        let folded = |operand: Operand| match to {
            Some(to) => operand.folded(to),
            None => Some(operand),
        };
        match operand.and_then(folded) {
            Some(operand) => self.term(column, [operand], NullMeans::Nothing),
            None => Formula::True,
        }
    }

    /// A column that stands for a truth value by itself.
    pub(super) fn truth(self, expr: &Expr, truth: bool) -> Formula {
        let Some(column) = self.column(expr) else { return Formula::True };
        // Elsewhere any number but zero is true.
        if self.dialect() != Dialect::Postgres && self.kind(&column) != ColumnKind::Bool {
            return Formula::True;
        }
        let value =
            Operand::Constant { value: Value::Bool(truth), cast: Cast::None, literal: false };
        self.term(column, [value], NullMeans::Nothing)
    }

    fn kind(self, column: &Column) -> ColumnKind {
        match &self.block.relations[column.0].table {
            Some(table) => self.context.setting.schema.kind(table, &column.1),
            None => ColumnKind::Unknown,
        }
    }

    /// `column = one of operands`, as far as these have canonical forms.
    fn term(
        self,
        (relation, column): Column,
        operands: impl IntoIterator<Item = Operand>,
        null: NullMeans,
    ) -> Formula {
        let Some(table) = &self.block.relations[relation].table else { return Formula::True };
        let place = self.context.place(table, &column);
        // On the nullable side of an outer join "has no value" is also true where there is no row.
        let null = match null {
            NullMeans::IsNull if self.block.relations[relation].nullable => NullMeans::Unknown,
            null => null,
        };
        match factor(column, place, operands, null) {
            Built::Factor(mut factor) => {
                factor.generated = self.context.setting.schema.is_generated(table, &factor.column);
                Formula::Atom(relation, Arc::new(factor))
            }
            Built::Impossible => Formula::False,
            Built::Unknown => Formula::True,
        }
    }
}

/// The result of building a factor.
pub(crate) enum Built {
    Factor(Factor),
    Impossible,
    Unknown,
}

/// Builds a factor of constants and parameters.
pub(crate) fn factor(
    column: String,
    place: Place,
    operands: impl IntoIterator<Item = Operand>,
    null: NullMeans,
) -> Built {
    let mut slots: SmallVec<[Slot; 1]> = smallvec![];
    for operand in operands {
        match operand {
            Operand::Null => match null {
                NullMeans::Nothing => {}
                NullMeans::IsNull => slots.push(Slot::Null),
                NullMeans::Unknown => return Built::Unknown,
            },
            Operand::Parameter(at, cast) => slots.push(Slot::Parameter(at, cast)),
            Operand::Elements(at, cast) => slots.push(Slot::Elements(at, cast)),
            Operand::Constant { value, cast, literal } => {
                let mut text = Vec::new();
                match cast.apply(&value, Place { literal, ..place }, &mut text) {
                    Canon::Plain => slots.push(Slot::Plain(text.into())),
                    Canon::Null | Canon::Opaque => return Built::Unknown,
                }
            }
        }
    }
    if slots.is_empty() {
        return Built::Impossible;
    }
    let mut field = Vec::new();
    cacheops_condition::write_field(&mut field, column.as_bytes());
    if field.is_empty() || column.len() > MAX_NAME_BYTES {
        return Built::Unknown;
    }
    Built::Factor(Factor {
        column,
        field: field.into(),
        slots,
        place,
        null,
        propagated: false,
        generated: false,
        inserted: false,
        peers: None,
    })
}

fn unnested(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        if matches!(inner.as_ref(), Expr::Tuple(_) | Expr::Nested(_) | Expr::Array(_)) {
            expr = inner;
        } else {
            break;
        }
    }
    expr
}
