//! Constants: literals, parameters, and conversions that keep the canonical form.

use sqlparser::ast::{
    ArrayElemTypeDef, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, TypedString, UnaryOperator,
    Value as Literal,
};

use crate::condition::factor::Cast;
use crate::{Dialect, Value};

/// What a column is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Null,
    /// `literal`: the database guesses the type.
    Constant {
        value: Value<'static>,
        cast: Cast,
        literal: bool,
    },
    /// A parameter, from 0.
    Parameter(usize, Cast),
    /// The elements of a parameter.
    Elements(usize, Cast),
}

/// The operand that `expr` is, if it is one.
pub(crate) fn operand(dialect: Dialect, expr: &Expr) -> Option<Operand> {
    match expr {
        Expr::Nested(inner) => operand(dialect, inner),
        Expr::Value(value) => literal(dialect, &value.value),
        Expr::UnaryOp { op: sign @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => {
            match expr.as_ref() {
                Expr::Value(value) => match &value.value {
                    Literal::Number(digits, _) => {
                        let sign = if *sign == UnaryOperator::Minus { "-" } else { "" };
                        Some(constant(number(format!("{sign}{digits}")), false))
                    }
                    _ => None,
                },
                _ => None,
            }
        }
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type,
            format: None,
        } => {
            let cast = cast(dialect, data_type)?;
            match operand(dialect, expr)? {
                Operand::Null => Some(Operand::Null),
                Operand::Constant { value, cast: Cast::None, .. } => {
                    Some(Operand::Constant { value, cast, literal: false })
                }
                Operand::Parameter(at, Cast::None) => Some(Operand::Parameter(at, cast)),
                _ => None,
            }
        }
        Expr::TypedString(TypedString { data_type: DataType::Date, value, .. })
            if dialect != Dialect::Sqlite =>
        {
            match &value.value {
                Literal::SingleQuotedString(text) => Some(Operand::Constant {
                    value: Value::Text(text.clone().into()),
                    cast: Cast::Date,
                    literal: false,
                }),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Operand {
    /// The same after LOWER or UPPER.
    pub(crate) fn folded(self, to: Cast) -> Option<Self> {
        let text = |cast: Cast| matches!(cast, Cast::None | Cast::Text | Cast::Lower | Cast::Upper);
        // UPPER admits fewer values than LOWER.
        let to = |cast: Cast| if cast == Cast::Upper { cast } else { to };
        Some(match self {
            Self::Null => Self::Null,
            Self::Constant { value, cast, literal } if text(cast) => {
                Self::Constant { value, cast: to(cast), literal }
            }
            Self::Parameter(at, cast) if text(cast) => Self::Parameter(at, to(cast)),
            Self::Elements(at, cast) if text(cast) => Self::Elements(at, to(cast)),
            _ => return None,
        })
    }
}

/// What LOWER or UPPER is called with.
pub(crate) fn folded(dialect: Dialect, expr: &Expr) -> Option<(&Expr, Cast)> {
    let function = match expr {
        Expr::Nested(inner) => return folded(dialect, inner),
        Expr::Function(function) => function,
        _ => return None,
    };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let cast = match dialect.name(name).as_str() {
        "lower" => Cast::Lower,
        "upper" => Cast::Upper,
        // MySQL's other names.
        "lcase" if dialect == Dialect::MySql => Cast::Lower,
        "ucase" if dialect == Dialect::MySql => Cast::Upper,
        _ => return None,
    };
    Some((only_argument(function)?, cast))
}

/// The arguments of a plain call.
pub(crate) fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let plain = function.filter.is_none()
        && function.over.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None);
    let FunctionArguments::List(list) = &function.args else { return None };
    if !plain || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    arguments.collect()
}

fn only_argument(function: &Function) -> Option<&Expr> {
    match arguments(function)?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// The parameter whose elements `expr` stands for.
pub(crate) fn elements(dialect: Dialect, expr: &Expr) -> Option<Operand> {
    match expr {
        Expr::Nested(inner) => elements(dialect, inner),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type,
            format: None,
        } => {
            let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type else {
                return None;
            };
            match elements(dialect, expr)? {
                Operand::Elements(at, Cast::None) => {
                    Some(Operand::Elements(at, cast(dialect, element)?))
                }
                _ => None,
            }
        }
        _ => match operand(dialect, expr)? {
            Operand::Parameter(at, Cast::None) => Some(Operand::Elements(at, Cast::None)),
            _ => None,
        },
    }
}

fn constant(value: Value<'static>, literal: bool) -> Operand {
    Operand::Constant { value, cast: Cast::None, literal }
}

fn literal(dialect: Dialect, value: &Literal) -> Option<Operand> {
    Some(match value {
        Literal::Null => Operand::Null,
        Literal::Boolean(value) => constant(Value::Bool(*value), false),
        Literal::Number(digits, _) => constant(number(digits.clone()), false),
        Literal::SingleQuotedString(text) => constant(Value::Text(text.clone().into()), true),
        Literal::EscapedStringLiteral(text) if dialect == Dialect::Postgres => {
            constant(Value::Text(text.clone().into()), true)
        }
        Literal::DollarQuotedString(text) if dialect == Dialect::Postgres => {
            constant(Value::Text(text.value.clone().into()), true)
        }
        Literal::Placeholder(text) => {
            let at: usize = text.strip_prefix('?')?.parse().ok()?;
            Operand::Parameter(at.checked_sub(1)?, Cast::None)
        }
        _ => return None,
    })
}

fn number(digits: String) -> Value<'static> {
    match digits.parse() {
        Ok(value) => Value::Int(value),
        Err(_) => Value::Decimal(digits.into()),
    }
}

/// Types of PostgreSQL that write a value in another way than it was given, and the schema that holds them.
#[rustfmt::skip]
const BUILT_IN: &[&str] = &[
    "pg_catalog", "char", "money", "inet", "cidr", "macaddr", "macaddr8", "name", "oid", "xid", "tid", "bpchar", "interval",
    "time", "timetz", "timestamp", "timestamptz", "bytea", "bit", "varbit", "xml", "json", "jsonb", "jsonpath", "box",
    "circle", "line", "lseg", "path", "point", "polygon", "tsvector", "tsquery", "pg_lsn", "pg_snapshot", "float4",
    "float8", "real", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "int4multirange",
    "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange", "regclass", "regproc",
    "regprocedure", "regoper", "regoperator", "regtype", "regrole", "regnamespace", "regconfig", "regdictionary",
    "hstore", "ltree", "lquery", "cube", "geometry", "geography", "vector",
];

/// The conversion to a type, if it leaves some values as they are.
fn cast(dialect: Dialect, to: &DataType) -> Option<Cast> {
    let plain = |info: &ExactNumberInfo| matches!(info, ExactNumberInfo::None);
    let unbounded = |length: &Option<CharacterLength>| length.is_none();
    let postgres = dialect == Dialect::Postgres;
    Some(match to {
        DataType::TinyInt(None)
        | DataType::SmallInt(None)
        | DataType::MediumInt(None)
        | DataType::Int(None)
        | DataType::Integer(None)
        | DataType::BigInt(None)
        | DataType::Int2(None)
        | DataType::Int4(None)
        | DataType::Int8(None)
        | DataType::Signed
        | DataType::SignedInteger => Cast::Int,
        // MySQL's has ten digits, and replaces larger numbers by the largest.
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info)
            if plain(info) && dialect != Dialect::MySql =>
        {
            Cast::Int
        }
        DataType::Unsigned | DataType::UnsignedInteger => Cast::Unsigned,
        DataType::Text => Cast::Text,
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length)
            if unbounded(length) =>
        {
            Cast::Text
        }
        DataType::Char(length) | DataType::Character(length) if unbounded(length) && !postgres => {
            Cast::Text
        }
        DataType::Uuid if postgres => Cast::Uuid,
        DataType::Bool | DataType::Boolean if postgres => Cast::Bool,
        DataType::Date if dialect != Dialect::Sqlite => Cast::Date,
        DataType::Custom(name, modifiers) if postgres && modifiers.is_empty() => {
            // Built-in types may write a value in another way than it was given.
            let own = name.0.iter().any(|part| match part {
                ObjectNamePart::Identifier(ident) => {
                    BUILT_IN.contains(&dialect.name(ident).as_str())
                }
                ObjectNamePart::Function(_) => true,
            });
            return (!own).then_some(Cast::Custom);
        }
        _ => return None,
    })
}
