//! MySQL and MariaDB.

use cacheops_sql::{Date, Dialect, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlQueryResult, MySqlRow};
use sqlx::{Column, Error, MySql, Row, SqlStr, TypeInfo, ValueRef};

use crate::database::{CachedDatabase, Sealed, Step, Target, runs, values_of};
use crate::debug::Cursor;
use crate::statement::Captured;

impl CachedDatabase for MySql {}

impl Sealed for MySql {
    const DIALECT: Dialect = Dialect::MySql;
    const BEGIN_WRITE: Option<&'static str> = None;

    runs!(MySql);

    fn values(debug: &str) -> Option<Vec<Value<'static>>> {
        let mut cursor = Cursor::new(debug);
        cursor.expect("MySqlArguments { values: ")?;
        let buffer = cursor.bytes()?;
        cursor.expect(", types: ")?;
        let types = cursor.list(|cursor| {
            cursor.expect("MySqlTypeInfo { type: ")?;
            let kind = cursor.word()?.to_owned();
            cursor.expect(", ")?;
            let mut parts = kind;
            // Its flags, of which one counts, its collation and its size.
            let flags = cursor.any()?;
            if flags.contains("UNSIGNED") {
                parts.push_str(" UNSIGNED");
            }
            if flags.contains("BINARY") {
                parts.push_str(" BINARY");
            }
            while cursor.skip(", ") {
                let part = cursor.any()?;
                if part.starts_with("collation:") && part.contains("63") {
                    parts.push_str(" BINARY");
                }
            }
            cursor.expect(" }").or_else(|| cursor.expect("}"))?;
            Some(parts)
        })?;
        cursor.expect(", null_bitmap: NullBitMap { bytes: ")?;
        let nulls = cursor.bytes()?;
        let mut rest = &buffer[..];
        let mut values = Vec::with_capacity(types.len());
        for (at, kind) in types.iter().enumerate() {
            let is_null = nulls.get(at / 8)? >> (at % 8) & 1 == 1;
            values.push(if is_null { Value::Null } else { argument(kind, &mut rest)? });
        }
        rest.is_empty().then_some(values)
    }

    fn columns(row: &MySqlRow) -> Vec<(String, Value<'static>)> {
        let names = row.columns().iter().enumerate();
        names.map(|(at, column)| (column.name().to_owned(), value(row, at))).collect()
    }

    fn counts(result: &MySqlQueryResult) -> (u64, Option<u64>) {
        (result.rows_affected(), Some(result.last_insert_id()))
    }

    fn address(options: &MySqlConnectOptions) -> Option<String> {
        let host = options
            .get_socket()
            .map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let (port, user) = (options.get_port(), options.get_username());
        Some(format!("mysql:{user}@{host}:{port}/{}", options.get_database()?))
    }

    /// Its parameters are taken in their order, so arguments are made of the values. Only of kinds that compare as the
    /// statement's own.
    fn rebound(
        statement: &Captured<Self>,
        sql: &str,
        positions: &[usize],
    ) -> Option<(String, MySqlArguments)> {
        let values = values_of(statement)?;
        let mut arguments = MySqlArguments::default();
        for &position in positions {
            let added = match values.get(position)? {
                Value::Null => sqlx::Arguments::add(&mut arguments, None::<i64>),
                Value::Int(number) => sqlx::Arguments::add(&mut arguments, *number),
                Value::UInt(number) => sqlx::Arguments::add(&mut arguments, *number),
                Value::Text(text) => sqlx::Arguments::add(&mut arguments, text.to_string()),
                Value::Bytes(bytes) => sqlx::Arguments::add(&mut arguments, bytes.to_vec()),
                _ => return None,
            };
            added.ok()?;
        }
        Some((sql.to_owned(), arguments))
    }

    fn was_refused(code: &str) -> bool {
        // Its SQLSTATE, of the class of syntax and access rules.
        code.starts_with("42")
    }
}

/// An argument, by the name of its type in sqlx, from the front of the buffer. None if the buffer is of another form.
fn argument(kind: &str, rest: &mut &[u8]) -> Option<Value<'static>> {
    fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
        let (head, tail) = rest.split_first_chunk()?;
        *rest = tail;
        Some(*head)
    }
    let binary = kind.ends_with(" BINARY");
    let kind = kind.trim_end_matches(" BINARY");
    Some(match kind {
        "Tiny" => i8::from_le_bytes(fixed(rest)?).into(),
        "Tiny UNSIGNED" => u8::from_le_bytes(fixed(rest)?).into(),
        "Short" => i16::from_le_bytes(fixed(rest)?).into(),
        "Short UNSIGNED" => u16::from_le_bytes(fixed(rest)?).into(),
        "Long" | "Int24" => i32::from_le_bytes(fixed(rest)?).into(),
        "Long UNSIGNED" | "Int24 UNSIGNED" => u32::from_le_bytes(fixed(rest)?).into(),
        "LongLong" => i64::from_le_bytes(fixed(rest)?).into(),
        "LongLong UNSIGNED" => u64::from_le_bytes(fixed(rest)?).into(),
        "Float" => f32::from_le_bytes(fixed(rest)?).into(),
        "Double" => f64::from_le_bytes(fixed(rest)?).into(),
        "Date" => {
            let [length] = fixed(rest)?;
            let (bytes, tail) = rest.split_at_checked(length.into())?;
            *rest = tail;
            match *bytes {
                [low, high, month, day] => {
                    let year = u16::from_le_bytes([low, high]).into();
                    Value::Date(Date { year, month, day })
                }
                _ => Value::Opaque,
            }
        }
        "Datetime" | "Timestamp" | "Time" => {
            let [length] = fixed(rest)?;
            *rest = rest.split_at_checked(length.into())?.1;
            Value::Opaque
        }
        _ => {
            let bytes = counted(rest)?;
            let text = || String::from_utf8(bytes.to_vec()).ok();
            match kind {
                "NewDecimal" | "Decimal" => Value::Decimal(text()?.into()),
                "VarChar" | "VarString" | "String" | "Enum" if !binary => text()?.into(),
                "Blob" | "TinyBlob" | "MediumBlob" | "LongBlob" if binary => bytes.to_vec().into(),
                "String" | "VarString" if binary => bytes.to_vec().into(),
                _ => Value::Opaque,
            }
        }
    })
}

/// Bytes behind their length.
fn counted<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (&first, tail) = rest.split_first()?;
    let (length, tail) = match first {
        0..=250 => (usize::from(first), tail),
        252 => {
            let (length, tail) = tail.split_first_chunk()?;
            (usize::from(u16::from_le_bytes(*length)), tail)
        }
        253 => {
            let (&[a, b, c], tail) = tail.split_first_chunk()?;
            (u32::from_le_bytes([a, b, c, 0]) as usize, tail)
        }
        _ => return None,
    };
    let (bytes, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(bytes)
}

/// The value of a column.
fn value(row: &MySqlRow, at: usize) -> Value<'static> {
    let Ok(raw) = row.try_get_raw(at) else { return Value::Opaque };
    if raw.is_null() {
        return Value::Null;
    }
    let kind = raw.type_info().name().to_owned();
    macro_rules! get {
        ($type:ty) => {
            row.try_get_unchecked::<$type, _>(at).map(Value::from)
        };
    }
    let value = match kind.as_str() {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => get!(i64),
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" => get!(u64),
        "FLOAT" => get!(f32),
        "DOUBLE" => get!(f64),
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" => {
            get!(String)
        }
        "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => get!(Vec<u8>),
        "DECIMAL" => {
            row.try_get_unchecked::<String, _>(at).map(|number| Value::Decimal(number.into()))
        }
        _ => Ok(Value::Opaque),
    };
    value.unwrap_or(Value::Opaque)
}

/// Arguments of each kind, and their values.
fn samples() -> (MySqlArguments, Vec<Value<'static>>) {
    let mut arguments = MySqlArguments::default();
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
        5_u32 => Value::Int(5),
        u64::MAX => Value::UInt(u64::MAX),
        1.5_f32 => Value::Float(1.5),
        1.5_f64 => Value::Float(1.5),
        "a\"\\\n'é".to_owned() => Value::from("a\"\\\n'é".to_owned()),
        "x".repeat(300) => Value::from("x".repeat(300)),
        vec![0_u8, 255] => Value::from(vec![0_u8, 255]),
        None::<i64> => Value::Null,
        true => Value::Int(1),
    );
    (arguments, values)
}
