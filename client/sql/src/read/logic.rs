//! AND, OR, NOT and CASE: the formula of a condition.
//!
//! Negation is pushed down to the comparisons first. Below it are only AND and OR then, so leaving out any part of a formula
//! makes it match more rows, and never fewer.

use sqlparser::ast::{BinaryOperator as Op, CaseWhen, Expr, UnaryOperator, Value as Literal};

use super::comparison::Comparisons;
use super::formula::Formula;
use super::scope::{Block, Column, Context};
use crate::Dialect;
use crate::condition::factor::{Guard, NullMeans, Slot};

/// What a condition says of the relations of a block. Columns that the outermost AND compares are added to `equal`.
pub(crate) fn formula(
    context: Context<'_>,
    block: &Block,
    condition: &Expr,
    equal: &mut Vec<(Column, Column)>,
) -> Formula {
    if context.setting.misread {
        return Formula::True;
    }
    Logic(Comparisons { context, block }).formula(condition, false, Some(equal))
}

#[derive(Clone, Copy)]
struct Logic<'c>(Comparisons<'c>);

impl Logic<'_> {
    /// The formula of `expr`, or of its negation. Equal columns of the outermost AND are noted in `equal`.
    fn formula(
        self,
        expr: &Expr,
        negated: bool,
        mut equal: Option<&mut Vec<(Column, Column)>>,
    ) -> Formula {
        match expr {
            Expr::Nested(inner) => self.formula(inner, negated, equal),
            // With the mode HIGH_NOT_PRECEDENCE of MySQL it binds more tightly than a comparison.
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
                if self.0.dialect() == Dialect::MySql && !is_closed(expr) =>
            {
                Formula::True
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.formula(expr, !negated, None),
            Expr::BinaryOp { op: op @ (Op::And | Op::Or), .. } => {
                let and = (*op == Op::And) != negated;
                let parts = chain(expr, op);
                let parts = parts.iter().map(|part| {
                    let equal = if and && !negated { equal.as_deref_mut() } else { None };
                    self.formula(part, negated, equal)
                });
                if and { Formula::And(parts.collect()) } else { Formula::Or(parts.collect()) }
            }
            Expr::BinaryOp { left, op, right } => {
                let null = match (op, negated) {
                    (Op::Eq, false) | (Op::NotEq, true) => NullMeans::Nothing,
                    (Op::Spaceship, false) if self.0.dialect() == Dialect::MySql => {
                        NullMeans::IsNull
                    }
                    _ => return Formula::True,
                };
                if let (Some(equal), NullMeans::Nothing) = (equal, null)
                    && let (Some(left), Some(right)) = (self.0.column(left), self.0.column(right))
                {
                    equal.push((left, right));
                    return Formula::True;
                }
                self.0.equality(left, right, null)
            }
            Expr::IsNotDistinctFrom(left, right) if !negated => self.0.same(left, right),
            Expr::IsDistinctFrom(left, right) if negated => self.0.same(left, right),
            Expr::IsNull(inner) if !negated => self.0.is_null(inner),
            Expr::IsNotNull(inner) if negated => self.0.is_null(inner),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => self.0.guard(inner, Guard::NotNull),
            Expr::InList { expr, list, negated: not } if negated == *not => {
                self.0.in_list(expr, list)
            }
            Expr::AnyOp { left, compare_op: Op::Eq, right, .. } if !negated => match right.as_ref()
            {
                Expr::Nested(inner) => self.0.equals_any(left, inner),
                right => self.0.equals_any(left, right),
            },
            Expr::IsTrue(inner) if !negated => self.0.truth(inner, true),
            Expr::IsFalse(inner) if !negated => self.0.truth(inner, false),
            Expr::Value(value) => match &value.value {
                Literal::Boolean(value) if *value == negated => Formula::False,
                Literal::Placeholder(_) => self.0.flag(expr, !negated),
                _ => Formula::True,
            },
            Expr::Cast { .. } => self.0.flag(expr, !negated),
            Expr::Case { operand: None, conditions, else_result, .. } if !negated => {
                match (conditions.as_slice(), else_result) {
                    ([only], Some(otherwise)) => self.choice(only, otherwise),
                    _ => Formula::True,
                }
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.0.truth(expr, !negated),
            _ => Formula::True,
        }
    }

    /// `CASE WHEN a THEN b ELSE c END` is `a AND b`, or `c` where `a` is not true.
    fn choice(self, when: &CaseWhen, otherwise: &Expr) -> Formula {
        let part = |expr, negated| self.formula(expr, negated, None);
        let chosen = Formula::And(vec![part(&when.condition, false), part(&when.result, false)]);
        // The negation of a condition that is NULL is NULL as well, while ELSE applies to it.
        let not = match self.formula(&when.condition, true, None) {
            Formula::Guard(factor) => match factor.slots.as_slice() {
                [Slot::Guard(_, Guard::Is(_))] => Formula::True,
                _ => Formula::Guard(factor),
            },
            _ => Formula::True,
        };
        Formula::Or(vec![chosen, Formula::And(vec![not, part(otherwise, false)])])
    }
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

/// Whether an operator before the expression applies to all of it, whatever its precedence.
fn is_closed(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => is_closed(expr),
        Expr::Nested(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
            true
        }
        _ => false,
    }
}
