//! What an expression says of single columns: AND, OR and `column = constant`, everything else true.
//!
//! Negation is pushed down first, so that only what stands in a positive place is kept, and dropping any part of a
//! formula makes it wider.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use sqlparser::ast::{
    BinaryOperator as Op, CaseWhen, Expr, ObjectNamePart, UnaryOperator, Value as Literal,
};

use crate::canon::{Canon, Place, Side};
use crate::condition::dnf::Dnf;
use crate::condition::factor::{Cast, Class, Factor, Guard, NullMeans, Peers, Slot};
use crate::read::Compiler;
use crate::read::operand::{Operand, arguments, folded, operand};
use crate::read::scope::Block;
use crate::{ColumnKind, Dialect, Value};

/// A formula over the relations of one block.
#[derive(Debug, Clone)]
pub(crate) enum Formula {
    /// Says nothing.
    True,
    /// Never holds.
    False,
    /// A term of the relation with this number.
    Atom(usize, Arc<Factor>),
    /// Decided by a parameter alone, whatever the row.
    Guard(Arc<Factor>),
    And(Vec<Formula>),
    Or(Vec<Formula>),
}

/// A column of one relation of a block.
pub(crate) type Column = (usize, String);

impl Formula {
    /// What the formula says of one relation alone.
    pub(crate) fn project(&self, relation: usize) -> Dnf {
        match self {
            Self::True => Dnf::any(),
            Self::False => Dnf::none(),
            Self::Atom(at, factor) if *at == relation => Dnf::atom(factor.clone()),
            Self::Atom(..) => Dnf::any(),
            Self::Guard(factor) => Dnf::atom(factor.clone()),
            Self::And(parts) => {
                parts.iter().map(|part| part.project(relation)).fold(Dnf::any(), Dnf::and)
            }
            Self::Or(parts) => {
                parts.iter().map(|part| part.project(relation)).fold(Dnf::none(), Dnf::or)
            }
        }
    }

    /// The terms that hold whenever the formula does.
    pub(crate) fn facts(&self, facts: &mut Vec<(usize, Arc<Factor>)>) {
        match self {
            Self::Atom(at, factor) => facts.push((*at, factor.clone())),
            Self::And(parts) => parts.iter().for_each(|part| part.facts(facts)),
            _ => {}
        }
    }
}

impl Compiler<'_> {
    /// `IS NOT DISTINCT FROM`, which SQLite takes for its `IS`: with TRUE or FALSE behind it no comparison.
    fn same(&self, block: &Block, left: &Expr, right: &Expr) -> Formula {
        let mut literal = right;
        while let Expr::Nested(inner) = literal {
            literal = inner;
        }
        match literal {
            Expr::Value(value) if self.dialect == Dialect::Sqlite => match &value.value {
                Literal::Boolean(value) => self.truth(block, left, *value),
                _ => self.equality(block, left, right, NullMeans::IsNull),
            },
            _ => self.equality(block, left, right, NullMeans::IsNull),
        }
    }

    /// The formula of `expr`, or of its negation. Equal columns of the outermost AND are noted in `equal`.
    pub(crate) fn formula(
        &self,
        block: &Block,
        expr: &Expr,
        negated: bool,
        mut equal: Option<&mut Vec<(Column, Column)>>,
    ) -> Formula {
        if self.misread {
            return Formula::True;
        }
        match expr {
            Expr::Nested(inner) => self.formula(block, inner, negated, equal),
            // A mode of MySQL makes it stronger than a comparison.
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
                if self.dialect == Dialect::MySql && !is_closed(expr) =>
            {
                Formula::True
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                self.formula(block, expr, !negated, None)
            }
            Expr::BinaryOp { op: op @ (Op::And | Op::Or), .. } => {
                let and = (*op == Op::And) != negated;
                let parts = chain(expr, op);
                let parts = parts.iter().map(|part| {
                    let equal = if and && !negated { equal.as_deref_mut() } else { None };
                    self.formula(block, part, negated, equal)
                });
                if and { Formula::And(parts.collect()) } else { Formula::Or(parts.collect()) }
            }
            Expr::BinaryOp { left, op, right } => {
                let null = match (op, negated) {
                    (Op::Eq, false) | (Op::NotEq, true) => NullMeans::Nothing,
                    (Op::Spaceship, false) if self.dialect == Dialect::MySql => NullMeans::IsNull,
                    _ => return Formula::True,
                };
                if let (Some(equal), NullMeans::Nothing) = (equal, null)
                    && let (Some(left), Some(right)) =
                        (self.column(block, left), self.column(block, right))
                {
                    equal.push((left, right));
                    return Formula::True;
                }
                self.equality(block, left, right, null)
            }
            Expr::IsNotDistinctFrom(left, right) if !negated => self.same(block, left, right),
            Expr::IsDistinctFrom(left, right) if negated => self.same(block, left, right),
            Expr::IsNull(inner) if !negated => self.is_null(block, inner),
            Expr::IsNotNull(inner) if negated => self.is_null(block, inner),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => self.guard(inner, Guard::NotNull),
            Expr::InList { expr, list, negated: not } if negated == *not => {
                self.in_list(block, expr, list)
            }
            Expr::AnyOp { left, compare_op: Op::Eq, right, .. } if !negated => match right.as_ref()
            {
                Expr::Nested(inner) => self.equals_any(block, left, inner),
                right => self.equals_any(block, left, right),
            },
            Expr::IsTrue(inner) if !negated => self.truth(block, inner, true),
            Expr::IsFalse(inner) if !negated => self.truth(block, inner, false),
            Expr::Value(value) => match &value.value {
                Literal::Boolean(value) if *value == negated => Formula::False,
                Literal::Placeholder(_) => self.flag(expr, !negated),
                _ => Formula::True,
            },
            Expr::Cast { .. } => self.flag(expr, !negated),
            Expr::Case { operand: None, conditions, else_result, .. } if !negated => {
                match (conditions.as_slice(), else_result) {
                    ([only], Some(otherwise)) => self.choice(block, only, otherwise),
                    _ => Formula::True,
                }
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.truth(block, expr, !negated),
            _ => Formula::True,
        }
    }

    /// A condition on a parameter, in a read: a write has to say what holds for certain of its rows, and not under which
    /// circumstances.
    fn guard(&self, expr: &Expr, guard: Guard) -> Formula {
        let Some(Operand::Parameter(at, cast)) = operand(self.dialect, expr) else {
            return Formula::True;
        };
        // What is no value after a conversion may have been one before.
        if self.side != Side::Query || cast != Cast::None && self.dialect == Dialect::MySql {
            return Formula::True;
        }
        let place = self.place("", "");
        Formula::Guard(Arc::new(Factor::guard(at, guard, place)))
    }

    /// A parameter that is a truth value by itself.
    fn flag(&self, expr: &Expr, wanted: bool) -> Formula {
        match operand(self.dialect, expr) {
            Some(Operand::Parameter(_, Cast::None | Cast::Bool)) => {
                self.guard(expr, Guard::Is(wanted))
            }
            _ => Formula::True,
        }
    }

    /// `CASE WHEN a THEN b ELSE c END` is `a AND b`, or `c` where `a` is not true.
    fn choice(&self, block: &Block, when: &CaseWhen, otherwise: &Expr) -> Formula {
        let part = |expr, negated| self.formula(block, expr, negated, None);
        let chosen = Formula::And(vec![part(&when.condition, false), part(&when.result, false)]);
        // NULL is not true, and no negation says so.
        let not = match self.formula(block, &when.condition, true, None) {
            Formula::Guard(factor) => match factor.slots.as_slice() {
                [Slot::Guard(_, Guard::Is(_))] => Formula::True,
                _ => Formula::Guard(factor),
            },
            _ => Formula::True,
        };
        Formula::Or(vec![chosen, Formula::And(vec![not, part(otherwise, false)])])
    }

    /// A comparison in which a side is LOWER or UPPER of a column or constant, or COALESCE of a parameter and the column.
    fn folded(&self, block: &Block, left: &Expr, right: &Expr) -> Option<Formula> {
        if self.side != Side::Query {
            return None;
        }
        for (left, right) in [(left, right), (right, left)] {
            let (inner, on_column) = match folded(self.dialect, left) {
                Some((inner, cast)) => (inner, Some(cast)),
                None => (left, None),
            };
            let Some(column) = self.column(block, inner) else { continue };
            let (right, on_operand) = match folded(self.dialect, right) {
                Some((inner, cast)) => (inner, Some(cast)),
                None => (right, None),
            };
            if on_column.or(on_operand).is_some() {
                let operand = operand(self.dialect, right)?;
                let casts = on_operand.into_iter().chain(on_column);
                let operand =
                    casts.into_iter().try_fold(operand, |operand, cast| operand.folded(cast))?;
                return Some(self.term(block, column, [operand], NullMeans::Nothing));
            }
            // `a = COALESCE($1, a)`: where the parameter is NULL any value is right.
            if let Expr::Function(function) = right
                && let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice()
                && self.dialect.name(name) == "coalesce"
                && let [first, second] = arguments(function)?.as_slice()
                && self.column(block, second).as_ref() == Some(&column)
            {
                let operand = operand(self.dialect, first)?;
                return Some(self.term(block, column, [operand], NullMeans::Unknown));
            }
        }
        None
    }

    fn equality(&self, block: &Block, left: &Expr, right: &Expr, null: NullMeans) -> Formula {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (unnested(left), unnested(right)) {
            if left.len() != right.len() {
                return Formula::True;
            }
            let pairs = left.iter().zip(right);
            return Formula::And(
                pairs.map(|(left, right)| self.equality(block, left, right, null)).collect(),
            );
        }
        // A setting of PostgreSQL takes it for IS NULL.
        let is_null = |expr| matches!(operand(self.dialect, expr), Some(Operand::Null));
        let plain = null == NullMeans::Nothing && self.dialect == Dialect::Postgres;
        if plain && (is_null(left) || is_null(right)) {
            return Formula::True;
        }
        for (left, right) in [(left, right), (right, left)] {
            if let Some(column) = self.column(block, left)
                && let Some(operand) = operand(self.dialect, right)
            {
                return self.term(block, column, [operand], null);
            }
        }
        if null == NullMeans::Nothing
            && let Some(formula) = self.folded(block, left, right)
        {
            return formula;
        }
        // What query builders write for an empty list: 1 = 2.
        match (operand(self.dialect, left), operand(self.dialect, right)) {
            (
                Some(Operand::Constant { value: Value::Int(left), cast: Cast::None, .. }),
                Some(Operand::Constant { value: Value::Int(right), cast: Cast::None, .. }),
            ) if left != right => Formula::False,
            _ => Formula::True,
        }
    }

    fn is_null(&self, block: &Block, inner: &Expr) -> Formula {
        match self.column(block, inner) {
            Some(column) => self.term(block, column, [Operand::Null], NullMeans::IsNull),
            None => self.guard(inner, Guard::Null),
        }
    }

    fn in_list(&self, block: &Block, expr: &Expr, list: &[Expr]) -> Formula {
        if list.is_empty() {
            return Formula::False;
        }
        if let Expr::Tuple(columns) = unnested(expr) {
            if self.dialect == Dialect::MySql && list.len() > 1 {
                return self.in_rows(block, columns, list);
            }
            let rows = list.iter().map(|row| self.equality(block, expr, row, NullMeans::Nothing));
            return Formula::Or(rows.collect());
        }
        let Some((column, to)) = self.folded_column(block, expr) else { return Formula::True };
        let operands = list.iter().map(|value| self.folded_operand(value, to));
        match operands.collect::<Option<Vec<_>>>() {
            Some(operands) => self.term(block, column, operands, NullMeans::Nothing),
            None => Formula::True,
        }
    }

    /// A list of rows, of which MySQL makes all that stand in one column the same type: `5` among texts makes a number of
    /// each, and most texts are zero.
    fn in_rows(&self, block: &Block, columns: &[Expr], list: &[Expr]) -> Formula {
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
                match self.equality(block, column, value, NullMeans::Nothing) {
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
    fn peers<'e>(&self, values: impl Iterator<Item = &'e Expr>) -> Option<Peers> {
        let mut peers = Peers { class: None, parameters: Vec::new() };
        for value in values {
            match operand(self.dialect, value)? {
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
    fn folded_column(&self, block: &Block, expr: &Expr) -> Option<(Column, Option<Cast>)> {
        match folded(self.dialect, expr) {
            Some((inner, cast)) if self.side == Side::Query => {
                Some((self.column(block, inner)?, Some(cast)))
            }
            _ => Some((self.column(block, expr)?, None)),
        }
    }

    /// A constant that is compared with such a column.
    fn folded_operand(&self, expr: &Expr, to: Option<Cast>) -> Option<Operand> {
        let inner = match folded(self.dialect, expr) {
            Some((inner, cast)) if self.side == Side::Query => {
                operand(self.dialect, inner)?.folded(cast)?
            }
            _ => operand(self.dialect, expr)?,
        };
        match to {
            Some(to) => inner.folded(to),
            None => Some(inner),
        }
    }

    fn equals_any(&self, block: &Block, left: &Expr, right: &Expr) -> Formula {
        let Some((column, to)) = self.folded_column(block, left) else { return Formula::True };
        if let Expr::Array(array) = unnested(right) {
            let operands = array.elem.iter().map(|value| self.folded_operand(value, to));
            return match operands.collect::<Option<Vec<_>>>() {
                Some(operands) if operands.is_empty() => Formula::False,
                Some(operands) => self.term(block, column, operands, NullMeans::Nothing),
                None => Formula::True,
            };
        }
        let operand = crate::read::operand::elements(self.dialect, right);
        let folded = |operand: Operand| match to {
            Some(to) => operand.folded(to),
            None => Some(operand),
        };
        match operand.and_then(folded) {
            Some(operand) => self.term(block, column, [operand], NullMeans::Nothing),
            None => Formula::True,
        }
    }

    /// A column that stands for a truth value by itself.
    fn truth(&self, block: &Block, expr: &Expr, truth: bool) -> Formula {
        let Some(column) = self.column(block, expr) else { return Formula::True };
        // Elsewhere any number but zero is true.
        if self.dialect != Dialect::Postgres && self.kind(block, &column) != ColumnKind::Bool {
            return Formula::True;
        }
        let value =
            Operand::Constant { value: Value::Bool(truth), cast: Cast::None, literal: false };
        self.term(block, column, [value], NullMeans::Nothing)
    }

    fn kind(&self, block: &Block, column: &Column) -> ColumnKind {
        match &block.relations[column.0].table {
            Some(table) => self.schema.kind(table, &column.1),
            None => ColumnKind::Unknown,
        }
    }

    /// `column = one of operands`, as far as these have canonical forms.
    fn term(
        &self,
        block: &Block,
        (relation, column): Column,
        operands: impl IntoIterator<Item = Operand>,
        null: NullMeans,
    ) -> Formula {
        let Some(table) = &block.relations[relation].table else { return Formula::True };
        let place = self.place(table, &column);
        // On the nullable side of an outer join "has no value" is also true where there is no row.
        let null = match null {
            NullMeans::IsNull if block.relations[relation].nullable => NullMeans::Unknown,
            null => null,
        };
        match factor(column, place, operands, null) {
            Built::Factor(mut factor) => {
                factor.generated = self.schema.is_generated(table, &factor.column);
                Formula::Atom(relation, Arc::new(factor))
            }
            Built::Impossible => Formula::False,
            Built::Unknown => Formula::True,
        }
    }

    pub(crate) fn place(&self, table: &str, column: &str) -> Place {
        Place {
            dialect: self.dialect,
            kind: self.schema.kind(table, column),
            side: self.side,
            literal: false,
        }
    }
}

/// What became of a comparison.
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
    if field.is_empty() || column.len() > crate::setting::MAX_NAME_BYTES {
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

/// The operands of a chain of one operator. Chains lean to the left and may be long.
fn chain<'e>(expr: &'e Expr, wanted: &Op) -> Vec<&'e Expr> {
    let mut parts = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest {
        if op != wanted {
            break;
        }
        parts.push(right.as_ref());
        rest = left;
    }
    parts.push(rest);
    parts.reverse();
    parts
}

/// Whether an operator before it takes all of it, however strong it is.
fn is_closed(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => is_closed(expr),
        Expr::Nested(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
            true
        }
        _ => false,
    }
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
