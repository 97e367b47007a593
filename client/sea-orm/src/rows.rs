//! Rows that the database returned, as values. Their types are those of the database, whatever the model says.

use cacheops_sql::{Date, Value};
use sea_orm::prelude::{Date as ChronoDate, Decimal, Uuid};
use sea_orm::{DbBackend, QueryResult};

/// The names and values of a row's columns.
pub(crate) fn columns(row: &QueryResult, backend: DbBackend) -> Vec<(String, Value<'static>)> {
    let names = row.column_names().into_iter().enumerate();
    names.map(|(at, name)| (name, value(row, at, backend))).collect()
}

/// The value of a column. The driver refuses a type that the value does not have; what no type fits is opaque.
fn value(row: &QueryResult, at: usize, backend: DbBackend) -> Value<'static> {
    macro_rules! attempt {
        ($($type:ty => |$value:ident| $result:expr),* $(,)?) => {
            $(match row.try_get_by_index::<Option<$type>>(at) {
                Ok(None) => return Value::Null,
                Ok(Some($value)) => return $result,
                Err(_) => {}
            })*
        };
    }
    attempt!(i64 => |v| Value::Int(v), String => |v| Value::from(v));
    if backend == DbBackend::MySql {
        // Its driver reads any unsigned number as a boolean too.
        attempt!(u64 => |v| v.into());
    } else {
        attempt!(i32 => |v| v.into(), bool => |v| v.into());
    }
    if backend != DbBackend::Sqlite {
        attempt!(
            Uuid => |v| Value::Uuid(v.into_bytes()),
            i16 => |v| v.into(),
            Decimal => |v| Value::Decimal(v.to_string().into()),
        );
        if backend == DbBackend::MySql || has_day(row, at) {
            attempt!(ChronoDate => |v| day(v));
        }
        attempt!(f32 => |v| v.into());
    }
    attempt!(f64 => |v| v.into(), Vec<u8> => |v| v.into());
    Value::Opaque
}

/// Whether this can be read as a date, if it is one: PostgreSQL's driver panics at those that chrono does not have,
/// as `infinity`.
#[cfg(feature = "sqlx-postgres")]
fn has_day(row: &QueryResult, at: usize) -> bool {
    use sea_orm::sqlx::Row;
    let Some(row) = row.try_as_pg_row() else { return false };
    let Ok(raw) = row.try_get_raw(at) else { return false };
    let days = raw.as_bytes().ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    // Days since 2000, in any number of years that is written with four digits.
    days.map(i32::from_be_bytes).is_none_or(|days| days.unsigned_abs() < 365 * 2000)
}

#[cfg(not(feature = "sqlx-postgres"))]
fn has_day(_: &QueryResult, _: usize) -> bool {
    // Nobody can look.
    false
}

fn day(date: ChronoDate) -> Value<'static> {
    let text = date.to_string();
    let numbers: Vec<i32> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [year, month, day] => Value::Date(Date { year, month: month as u8, day: day as u8 }),
        _ => Value::Opaque,
    }
}
