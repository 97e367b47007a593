//! SQLite.

use cacheops_sql::{Dialect, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteQueryResult, SqliteRow};
use sqlx::{Column, Error, Row, SqlStr, Sqlite, TypeInfo, ValueRef};

use crate::database::{CachedDatabase, Sealed, Step, Target, runs};
use crate::debug::Cursor;
use crate::numbered::renumbered;
use crate::statement::Captured;

impl CachedDatabase for Sqlite {}

impl Sealed for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;
    const BEGIN_WRITE: Option<&'static str> = Some("BEGIN IMMEDIATE");

    runs!(Sqlite);

    fn values(debug: &str) -> Option<Vec<Value<'static>>> {
        let mut cursor = Cursor::new(debug);
        cursor.expect("SqliteArguments { values: SqliteArgumentsBuffer(")?;
        let values = cursor.list(|cursor| {
            let variant = cursor.word()?;
            if variant == "Null" {
                return Some(Value::Null);
            }
            cursor.expect("(")?;
            let value = match variant {
                "Int" | "Int64" => Value::Int(cursor.number()?.parse().ok()?),
                "Double" => Value::Float(cursor.number()?.parse().ok()?),
                "Text" | "TextSlice" => Value::Text(cursor.string()?.into()),
                "Blob" => Value::Bytes(cursor.bytes()?.into()),
                _ => return None,
            };
            cursor.expect(")")?;
            Some(value)
        })?;
        cursor.expect(") }")?;
        cursor.is_at_end().then_some(values)
    }

    fn columns(row: &SqliteRow) -> Vec<(String, Value<'static>)> {
        let names = row.columns().iter().enumerate();
        names.map(|(at, column)| (column.name().to_owned(), value(row, at))).collect()
    }

    fn counts(result: &SqliteQueryResult) -> (u64, Option<u64>) {
        (result.rows_affected(), None)
    }

    fn address(_: &SqliteConnectOptions) -> Option<String> {
        Some("sqlite".to_owned())
    }

    fn rebound(
        statement: &Captured<Self>,
        sql: &str,
        positions: &[usize],
    ) -> Option<(String, Self::Arguments)> {
        Some((renumbered(sql, positions, &['?', '$'])?, statement.arguments()?.clone()))
    }

    fn was_refused(code: &str) -> bool {
        // SQLITE_ERROR and SQLITE_AUTH, of the preparation.
        matches!(code, "1" | "23")
    }
}

/// The value of a column, by the type that it has, and not the column.
fn value(row: &SqliteRow, at: usize) -> Value<'static> {
    let Ok(raw) = row.try_get_raw(at) else { return Value::Opaque };
    if raw.is_null() {
        return Value::Null;
    }
    let kind = raw.type_info().name().to_owned();
    let value = match kind.as_str() {
        "INTEGER" | "BOOLEAN" | "INT4" => row.try_get_unchecked::<i64, _>(at).map(Value::Int),
        "REAL" => row.try_get_unchecked::<f64, _>(at).map(Value::Float),
        "TEXT" | "DATE" | "TIME" | "DATETIME" => {
            row.try_get_unchecked::<String, _>(at).map(Value::from)
        }
        "BLOB" => row.try_get_unchecked::<Vec<u8>, _>(at).map(Value::from),
        _ => Ok(Value::Opaque),
    };
    value.unwrap_or(Value::Opaque)
}

/// Arguments of each kind, and their values.
fn samples() -> (SqliteArguments, Vec<Value<'static>>) {
    let mut arguments = SqliteArguments::default();
    let mut values = Vec::new();
    macro_rules! add {
        ($($argument:expr => $value:expr),* $(,)?) => {$(
            if sqlx::Arguments::add(&mut arguments, $argument).is_ok() {
                values.push($value);
            }
        )*};
    }
    add!(
        -5_i32 => Value::Int(-5),
        i64::MIN => Value::Int(i64::MIN),
        1.5_f64 => Value::Float(1.5),
        "a\"\\\n'é".to_owned() => Value::from("a\"\\\n'é".to_owned()),
        vec![0_u8, 255] => Value::from(vec![0_u8, 255]),
        None::<i64> => Value::Null,
        true => Value::Int(1),
    );
    (arguments, values)
}
