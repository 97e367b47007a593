//! PostgreSQL.

use cacheops_sql::{Date, Dialect, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgQueryResult, PgRow, PgValueFormat};
use sqlx::{Column, Error, Postgres, Row, SqlStr, TypeInfo, ValueRef};

use crate::database::{CachedDatabase, Sealed, Step, Target, runs};
use crate::debug::Cursor;
use crate::numbered::renumbered;
use crate::statement::Captured;

impl CachedDatabase for Postgres {}

impl Sealed for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const BEGIN_WRITE: Option<&'static str> = None;

    runs!(Postgres);

    fn values(debug: &str) -> Option<Vec<Value<'static>>> {
        let mut cursor = Cursor::new(debug);
        cursor.expect("PgArguments { types: ")?;
        let types = cursor.list(|cursor| {
            cursor.expect("PgTypeInfo(")?;
            let kind = cursor.any()?.to_owned();
            cursor.expect(")")?;
            Some(kind)
        })?;
        cursor.expect(", buffer: PgArgumentBuffer { buffer: ")?;
        let buffer = cursor.bytes()?;
        cursor.expect(", count: ")?;
        let count: usize = cursor.number()?.parse().ok()?;
        cursor.expect(", patches: ")?;
        // Arguments whose bytes depend on what the server calls their types.
        let patched = cursor.list(|cursor| {
            let patch = cursor.any()?;
            let (_, index) = patch.split_once("arg_index: ")?;
            index.split([',', ' ']).next()?.parse::<usize>().ok()
        })?;
        if count != types.len() {
            return None;
        }
        let mut rest = &buffer[..];
        let mut values = Vec::with_capacity(count);
        for (at, kind) in types.iter().enumerate() {
            let bytes = counted(&mut rest)?;
            values.push(match bytes {
                None => Value::Null,
                Some(_) if patched.contains(&at) => Value::Opaque,
                Some(bytes) => argument(kind, bytes),
            });
        }
        rest.is_empty().then_some(values)
    }

    fn columns(row: &PgRow) -> Vec<(String, Value<'static>)> {
        let names = row.columns().iter().enumerate();
        names.map(|(at, column)| (column.name().to_owned(), value(row, at))).collect()
    }

    fn counts(result: &PgQueryResult) -> (u64, Option<u64>) {
        (result.rows_affected(), None)
    }

    fn address(options: &PgConnectOptions) -> Option<String> {
        let host = options
            .get_socket()
            .map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let (port, user) = (options.get_port(), options.get_username());
        let more = options.get_options().unwrap_or_default();
        // Without a name the server takes the user's.
        let database = options.get_database().unwrap_or(user);
        Some(format!("postgres:{user}@{host}:{port}/{database}?{more}"))
    }

    fn rebound(
        statement: &Captured<Self>,
        sql: &str,
        positions: &[usize],
    ) -> Option<(String, Self::Arguments)> {
        Some((renumbered(sql, positions, &['$'])?, statement.arguments()?.clone()))
    }

    fn was_refused(_: &str) -> bool {
        // Any error ends its transaction.
        false
    }
}

/// Bytes behind their length; none for NULL.
#[allow(clippy::option_option)] // the outer one is for bytes that are cut off
fn counted<'b>(rest: &mut &'b [u8]) -> Option<Option<&'b [u8]>> {
    let (length, tail) = rest.split_first_chunk()?;
    *rest = tail;
    let length = i32::from_be_bytes(*length);
    if length < 0 {
        return (length == -1).then_some(None);
    }
    let (bytes, tail) = rest.split_at_checked(length as usize)?;
    *rest = tail;
    Some(Some(bytes))
}

/// An argument, by the name of its type in sqlx: `Int8`, `Int8Array`.
fn argument(kind: &str, bytes: &[u8]) -> Value<'static> {
    let value = match kind.strip_suffix("Array") {
        Some(element) => array(element, bytes),
        None => scalar(&kind.to_ascii_uppercase(), bytes),
    };
    value.unwrap_or(Value::Opaque)
}

/// An array of one dimension.
fn array(element: &str, bytes: &[u8]) -> Option<Value<'static>> {
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(i32::from_be_bytes(*number))
    };
    let mut rest = bytes;
    let dimensions = number(&mut rest)?;
    let (_has_null, _element_oid) = (number(&mut rest)?, number(&mut rest)?);
    if dimensions == 0 {
        return Some(Value::Array(Vec::new()));
    }
    let (length, _lower_bound) = (number(&mut rest)?, number(&mut rest)?);
    if dimensions != 1 {
        return None;
    }
    let element = element.to_ascii_uppercase();
    let mut items = Vec::new();
    for _ in 0..length {
        items.push(match counted(&mut rest)? {
            None => Value::Null,
            Some(bytes) => scalar(&element, bytes)?,
        });
    }
    rest.is_empty().then_some(Value::Array(items))
}

/// A value of a type in the format of the wire. None for what has no canonical form.
fn scalar(kind: &str, bytes: &[u8]) -> Option<Value<'static>> {
    Some(match kind {
        "BOOL" => Value::Bool(*bytes.first()? != 0),
        "INT2" => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        "INT4" => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        "INT8" => i64::from_be_bytes(bytes.try_into().ok()?).into(),
        "FLOAT4" => f32::from_be_bytes(bytes.try_into().ok()?).into(),
        "FLOAT8" => f64::from_be_bytes(bytes.try_into().ok()?).into(),
        "TEXT" | "VARCHAR" | "BPCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "CITEXT" => {
            std::str::from_utf8(bytes).ok()?.to_owned().into()
        }
        "UUID" => Value::Uuid(bytes.try_into().ok()?),
        "BYTEA" => bytes.to_vec().into(),
        "DATE" => date(i32::from_be_bytes(bytes.try_into().ok()?))?,
        "NUMERIC" => Value::Decimal(numeric(bytes)?.into()),
        _ => return None,
    })
}

/// A day, from days since 2000-01-01.
fn date(days: i32) -> Option<Value<'static>> {
    // Days since 0000-03-01, in eras of 400 years.
    let days = i64::from(days) + 730_425;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let year = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    Some(Value::Date(Date { year, month: month as u8, day: day as u8 }))
}

/// The text of a number: groups of four digits, with the weight of the first, a sign and a count of digits behind the
/// point.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (groups, weight) = (words.next()?, words.next()?);
    let (sign, scale) = (words.next()?, words.next()?);
    let digits: Vec<i16> = words.collect();
    if digits.len() != usize::try_from(groups).ok()? || !bytes.len().is_multiple_of(2) || scale < 0
    {
        return None;
    }
    let mut text = match sign {
        0 => String::new(),
        0x4000 => "-".to_owned(),
        // NaN and the infinities.
        _ => return None,
    };
    let group = |at: i32| {
        let index = i32::from(weight) - at;
        usize::try_from(index).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut whole: String =
        (0..=i32::from(weight)).rev().map(|at| format!("{:04}", group(at))).collect();
    let significant = whole.trim_start_matches('0').len();
    whole.drain(..whole.len() - significant);
    text.push_str(if whole.is_empty() { "0" } else { &whole });
    if scale > 0 {
        let groups = (scale as usize).div_ceil(4) as i32;
        let mut fraction: String = (1..=groups).map(|at| format!("{:04}", group(-at))).collect();
        fraction.truncate(scale as usize);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

/// The value of a column.
fn value(row: &PgRow, at: usize) -> Value<'static> {
    let Ok(raw) = row.try_get_raw(at) else { return Value::Opaque };
    if raw.is_null() {
        return Value::Null;
    }
    let kind = raw.type_info().name().to_ascii_uppercase();
    let Ok(bytes) = raw.as_bytes() else { return Value::Opaque };
    let value = match raw.format() {
        PgValueFormat::Binary => scalar(&kind, bytes),
        // Of a statement that was not prepared.
        PgValueFormat::Text => {
            std::str::from_utf8(bytes).ok().and_then(|text| match kind.as_str() {
                "INT2" | "INT4" | "INT8" => text.parse().ok().map(Value::Int),
                "TEXT" | "VARCHAR" => Some(text.to_owned().into()),
                _ => None,
            })
        }
    };
    value.unwrap_or(Value::Opaque)
}

/// Arguments of each kind, and their values.
fn samples() -> (PgArguments, Vec<Value<'static>>) {
    let mut arguments = PgArguments::default();
    let mut values = Vec::new();
    macro_rules! add {
        ($($argument:expr => $value:expr),* $(,)?) => {$(
            if sqlx::Arguments::add(&mut arguments, $argument).is_ok() {
                values.push($value);
            }
        )*};
    }
    add!(
        -5_i16 => Value::Int(-5),
        -5_i32 => Value::Int(-5),
        i64::MIN => Value::Int(i64::MIN),
        1.5_f32 => Value::Float(1.5),
        1.5_f64 => Value::Float(1.5),
        "a\"\\\n'é".to_owned() => Value::from("a\"\\\n'é".to_owned()),
        vec![0_u8, 255] => Value::from(vec![0_u8, 255]),
        None::<i64> => Value::Null,
        true => Value::Bool(true),
        vec![1_i64, 2] => Value::Array(vec![Value::Int(1), Value::Int(2)]),
        Vec::<String>::new() => Value::Array(Vec::new()),
    );
    (arguments, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let day = |days| match date(days) {
            Some(Value::Date(day)) => (day.year, day.month, day.day),
            _ => (0, 0, 0),
        };
        assert_eq!(day(0), (2000, 1, 1));
        assert_eq!(day(59), (2000, 2, 29));
        assert_eq!(day(60), (2000, 3, 1));
        assert_eq!(day(-1), (1999, 12, 31));
        assert_eq!(day(9_497), (2026, 1, 1));
        assert_eq!(day(-730_119), (1, 1, 1));
        assert_eq!(day(2_921_939), (9999, 12, 31));
        assert_eq!((date(-730_120), date(2_921_940), date(i32::MAX)), (None, None, None));
    }

    #[test]
    fn numbers_are_written_as_the_server_writes_them() {
        let text = |weight: i16, sign: i16, scale: i16, digits: &[i16]| {
            let head = [digits.len() as i16, weight, sign, scale];
            let words = head.iter().chain(digits);
            numeric(&words.flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
        };
        assert_eq!(text(0, 0, 2, &[12, 5000]).as_deref(), Some("12.50"));
        assert_eq!(text(1, 0x4000, 0, &[1, 5]).as_deref(), Some("-10005"));
        assert_eq!(text(1, 0, 0, &[3]).as_deref(), Some("30000"));
        assert_eq!(text(-1, 0, 4, &[5]).as_deref(), Some("0.0005"));
        assert_eq!(text(-2, 0, 6, &[1200]).as_deref(), Some("0.000012"));
        assert_eq!(text(0, 0, 0, &[]).as_deref(), Some("0"));
        assert_eq!(text(0, -0x4000, 0, &[]), None);
        assert_eq!(numeric(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
    }
}
