//! Rows that the database gave back, as images. Their types are those of the database, whatever the model says.

use cacheops_sql::{Date, Template, Value};
use sea_orm::prelude::{Date as ChronoDate, Decimal, Uuid};
use sea_orm::{DbBackend, QueryResult};

use crate::connection::Shared;
use crate::image::Image;

/// What one row tells.
pub(crate) struct Row {
    pub(crate) image: Image,
    /// The same without what the write assigns and the database computes: true of it before and after.
    pub(crate) kept: Option<Image>,
}

/// The image of one row that a write changes.
pub(crate) fn read(shared: &Shared, template: &Template, table: &str, row: &QueryResult) -> Row {
    let columns = row.column_names();
    let values: Vec<_> = (0..columns.len()).map(|at| value(row, at, shared.backend)).collect();
    let pairs = || columns.iter().zip(&values);
    let kept = shared.analyser.old_image(template, pairs());
    Row {
        image: Image::parse(&shared.analyser.row_condition(table, pairs())),
        kept: kept.map(|kept| Image::parse(&kept)),
    }
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
    if backend != DbBackend::Sqlite {
        attempt!(
            i32 => |v| v.into(),
            bool => |v| v.into(),
            Uuid => |v| Value::Uuid(v.into_bytes()),
            i16 => |v| v.into(),
            Decimal => |v| Value::Decimal(v.to_string().into()),
            ChronoDate => |v| day(v),
            f32 => |v| v.into(),
        );
    }
    attempt!(bool => |v| v.into(), f64 => |v| v.into(), Vec<u8> => |v| v.into());
    Value::Opaque
}

fn day(date: ChronoDate) -> Value<'static> {
    let text = date.to_string();
    let numbers: Vec<i32> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [year, month, day] => Value::Date(Date { year, month: month as u8, day: day as u8 }),
        _ => Value::Opaque,
    }
}
