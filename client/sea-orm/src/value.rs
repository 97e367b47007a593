//! Values of SeaORM as the analyser takes them.

use std::borrow::Cow;

use cacheops_sql as sql;
use sea_orm::sea_query::OptionEnum;
use sea_orm::{DbBackend, Statement, Value};

/// The values of a statement, borrowed from it.
pub(crate) fn values_of(statement: &Statement) -> Vec<sql::Value<'_>> {
    let backend = statement.db_backend;
    statement
        .values
        .iter()
        .flat_map(|values| &values.0)
        .map(|value| to_sql(value, backend))
        .collect()
}

/// One value, as the type that the database sees. What has no variant is opaque: never a term.
pub(crate) fn to_sql(value: &Value, backend: DbBackend) -> sql::Value<'_> {
    fn some<'a, T>(value: Option<T>, make: impl FnOnce(T) -> sql::Value<'a>) -> sql::Value<'a> {
        value.map_or(sql::Value::Null, make)
    }
    let text = |text: String| sql::Value::Text(Cow::Owned(text));
    match value {
        Value::Bool(v) => (*v).into(),
        Value::TinyInt(v) => (*v).into(),
        Value::SmallInt(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::BigInt(v) => (*v).into(),
        Value::TinyUnsigned(v) => (*v).into(),
        Value::SmallUnsigned(v) => (*v).into(),
        Value::Unsigned(v) => (*v).into(),
        Value::BigUnsigned(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Double(v) => (*v).into(),
        Value::String(v) => v.as_deref().into(),
        Value::Char(v) => some(*v, |v| text(v.to_string())),
        Value::Enum(OptionEnum::Some(v)) => sql::Value::Text(Cow::Borrowed(&*v.value)),
        Value::Enum(OptionEnum::None(_)) => sql::Value::Null,
        Value::Bytes(v) => v.as_deref().into(),
        Value::Uuid(v) => some(*v, |v| sql::Value::Uuid(v.into_bytes())),
        // SQLite has no type for these: a decimal is bound as a float, a date as text.
        Value::Decimal(v) => some(*v, |v| match backend {
            DbBackend::Sqlite => sql::Value::Opaque,
            _ => sql::Value::Decimal(Cow::Owned(v.to_string())),
        }),
        Value::ChronoDate(v) => some(*v, |v| match backend {
            DbBackend::Sqlite => text(v.to_string()),
            _ => date(v),
        }),
        Value::ChronoTime(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        Value::ChronoDateTime(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        Value::ChronoDateTimeUtc(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        Value::ChronoDateTimeLocal(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        Value::ChronoDateTimeWithTimeZone(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        Value::Json(v) => some(v.as_ref(), |_| sql::Value::Opaque),
        #[cfg(feature = "sqlx-postgres")]
        Value::Array(_, v) => some(v.as_deref(), |items| {
            sql::Value::Array(items.iter().map(|item| to_sql(item, backend)).collect())
        }),
        // A kind of value that the application's features of sea-orm add, NULL or not.
        #[allow(unreachable_patterns)]
        _ => sql::Value::Opaque,
    }
}

fn date(date: sea_orm::prelude::Date) -> sql::Value<'static> {
    let text = date.to_string();
    let mut parts = text.split('-').map(str::parse::<i32>);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) => {
            sql::Value::Date(sql::Date { year, month: month as u8, day: day as u8 })
        }
        _ => sql::Value::Opaque,
    }
}
