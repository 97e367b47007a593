//! Bound values and values of rows, in the types that all databases share.

use std::borrow::Cow;

/// A bound parameter, or the value of a column.
///
/// Adapters convert their own values to these; text and bytes are borrowed where possible. A value without a
/// variant here is [`Opaque`](Value::Opaque): it is never part of a condition, and unknown in a row.
///
/// The variant should be the type that the *database* receives. An identifier that is bound as text is
/// [`Text`](Value::Text), whatever it was in the program.
///
/// ```
/// use cacheops_sql::Value;
///
/// assert_eq!(Value::from(7_u8), Value::Int(7));
/// assert_eq!(Value::from("seven"), Value::Text("seven".into()));
/// assert_eq!(Value::from(None::<i64>), Value::Null);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A truth value, or an integer that stands for one.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above the range of [`Int`](Value::Int).
    UInt(u64),
    /// A binary floating point number, of any width.
    Float(f64),
    /// A decimal number, as text: `-12.50`.
    Decimal(Cow<'a, str>),
    /// Text, characters, the label of an enum.
    Text(Cow<'a, str>),
    /// Bytes. On MySQL they are a term only of a column that the [`Schema`](crate::Schema) calls a UUID, and so are sixteen of
    /// them everywhere.
    Bytes(Cow<'a, [u8]>),
    /// A UUID.
    Uuid([u8; 16]),
    /// A calendar date.
    Date(Date),
    /// The values of an array, for `= ANY(..)`.
    Array(Vec<Value<'a>>),
    /// A value without a canonical form: a time, JSON, a range, a vector.
    #[default]
    Opaque,
}

/// A day of the calendar.
///
/// ```
/// use cacheops_sql::{Date, Value};
///
/// let day = Date { year: 2024, month: 1, day: 5 };
/// assert_eq!(Value::from(day), Value::Date(day));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year, 1 to 9999. Other years have no canonical form.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day, 1 to 31.
    pub day: u8,
}

macro_rules! from {
    ($($source:ty => |$value:ident| $result:expr;)*) => {$(
        impl<'a> From<$source> for Value<'a> {
            fn from($value: $source) -> Self {
                $result
            }
        }
    )*};
}
from! {
    bool => |value| Self::Bool(value);
    i8 => |value| Self::Int(value.into());
    i16 => |value| Self::Int(value.into());
    i32 => |value| Self::Int(value.into());
    i64 => |value| Self::Int(value);
    u8 => |value| Self::Int(value.into());
    u16 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    u64 => |value| Self::UInt(value);
    f32 => |value| Self::Float(value.into());
    f64 => |value| Self::Float(value);
    &'a str => |value| Self::Text(Cow::Borrowed(value));
    &'a String => |value| Self::Text(Cow::Borrowed(value));
    String => |value| Self::Text(Cow::Owned(value));
    &'a [u8] => |value| Self::Bytes(Cow::Borrowed(value));
    Vec<u8> => |value| Self::Bytes(Cow::Owned(value));
    [u8; 16] => |value| Self::Uuid(value);
    Date => |value| Self::Date(value);
}

impl<'a, V: Into<Value<'a>>> From<Option<V>> for Value<'a> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
