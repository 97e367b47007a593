//! Models to bytes and back, by the values of their columns.

use std::marker::PhantomData;

use cacheops::{Error, ErrorKind};
use cacheops_adapter::{Columns, Reader, add_column};
use sea_orm::prelude::{DateTime, DateTimeUtc, DateTimeWithTimeZone, Decimal, Uuid};
use sea_orm::{
    ActiveModelTrait, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, TryIntoModel, Value,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::items;

const NULL: u8 = 0x80;
const OTHER: u8 = 0x7f;

/// Appends one value. Its kind is kept, of a NULL too.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
    macro_rules! fixed {
        ($tag:literal, $value:expr) => {
            match $value {
                Some(value) => {
                    out.push($tag);
                    out.extend_from_slice(&value.to_le_bytes());
                }
                None => out.push($tag | NULL),
            }
        };
    }
    fn bytes(tag: u8, value: Option<&[u8]>, out: &mut Vec<u8>) {
        match value {
            Some(value) => {
                out.push(tag);
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
            None => out.push(tag | NULL),
        }
    }
    match value {
        Value::Bool(v) => fixed!(1, v.map(u8::from)),
        Value::TinyInt(v) => fixed!(2, v),
        Value::SmallInt(v) => fixed!(3, v),
        Value::Int(v) => fixed!(4, v),
        Value::BigInt(v) => fixed!(5, v),
        Value::TinyUnsigned(v) => fixed!(6, v),
        Value::SmallUnsigned(v) => fixed!(7, v),
        Value::Unsigned(v) => fixed!(8, v),
        Value::BigUnsigned(v) => fixed!(9, v),
        Value::Float(v) => fixed!(10, v),
        Value::Double(v) => fixed!(11, v),
        Value::String(v) => bytes(12, v.as_deref().map(str::as_bytes), out),
        Value::Bytes(v) => bytes(13, v.as_deref(), out),
        Value::Uuid(v) => fixed!(14, v.map(|v| v.as_u128())),
        Value::Decimal(v) => fixed!(15, v.map(|v| u128::from_le_bytes(v.serialize()))),
        Value::ChronoDateTimeUtc(v) => fixed!(16, v.map(moment)),
        Value::ChronoDateTime(v) => fixed!(17, v.map(|v| moment(v.and_utc()))),
        Value::ChronoDateTimeWithTimeZone(v) => {
            fixed!(18, v.map(|v| moment(v.to_utc())));
            if let Some(v) = v {
                out.extend_from_slice(&v.offset().local_minus_utc().to_le_bytes());
            }
        }
        // Not as a whole: the document `null` would come back as no document.
        Value::Json(v) => {
            let packed = v.as_deref().map(packed).transpose()?;
            bytes(19, packed.as_deref(), out);
        }
        #[cfg(feature = "sqlx-postgres")]
        Value::Array(kind, items) => {
            bytes(20, Some(&packed(kind)?), out);
            out.push(u8::from(items.is_some()));
            if let Some(items) = items {
                out.extend_from_slice(&(items.len() as u32).to_le_bytes());
                items.iter().try_for_each(|item| write_value(item, out))?;
            }
        }
        rare => bytes(OTHER, Some(&packed(rare)?), out),
    }
    Ok(())
}

/// What serde makes of a rare kind of value.
fn packed<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec(value).map_err(|error| Error::new(ErrorKind::Encode, error.to_string()))
}

/// Seconds and nanoseconds since 1970 in one number.
fn moment(at: DateTimeUtc) -> i128 {
    i128::from(at.timestamp()) << 32 | i128::from(at.timestamp_subsec_nanos())
}

fn broken() -> Error {
    Error::new(ErrorKind::Decode, "the entry is not a list of rows")
}

fn misfit(error: DbErr) -> Error {
    Error::new(ErrorKind::Decode, format!("the entry is not of this model: {error}"))
}

/// The reverse of [`packed`].
fn unpacked<T: DeserializeOwned>(from: &mut Reader<'_>) -> Result<T, Error> {
    rmp_serde::from_slice(from.bytes()?).map_err(|_| broken())
}

fn read_moment(from: &mut Reader<'_>) -> Result<DateTimeUtc, Error> {
    let number = i128::from_le_bytes(from.array()?);
    let seconds = i64::try_from(number >> 32).map_err(|_| broken())?;
    DateTimeUtc::from_timestamp(seconds, number as u32).ok_or_else(broken)
}

/// Takes a value from the front.
pub(crate) fn read_value(from: &mut Reader<'_>) -> Result<Value, Error> {
    macro_rules! fixed {
        ($kind:ident, $null:expr, $type:ty) => {
            Value::$kind(if $null { None } else { Some(<$type>::from_le_bytes(from.array()?)) })
        };
    }
    macro_rules! made {
        ($kind:ident, $null:expr, $value:expr) => {
            Value::$kind(if $null { None } else { Some($value) })
        };
    }
    let tag = from.byte()?;
    let null = tag & NULL != 0;
    Ok(match tag & !NULL {
        1 => made!(Bool, null, from.byte()? != 0),
        2 => fixed!(TinyInt, null, i8),
        3 => fixed!(SmallInt, null, i16),
        4 => fixed!(Int, null, i32),
        5 => fixed!(BigInt, null, i64),
        6 => fixed!(TinyUnsigned, null, u8),
        7 => fixed!(SmallUnsigned, null, u16),
        8 => fixed!(Unsigned, null, u32),
        9 => fixed!(BigUnsigned, null, u64),
        10 => fixed!(Float, null, f32),
        11 => fixed!(Double, null, f64),
        12 => made!(String, null, {
            std::str::from_utf8(from.bytes()?).map_err(|_| broken())?.to_owned()
        }),
        13 => made!(Bytes, null, from.bytes()?.to_vec()),
        14 => made!(Uuid, null, Uuid::from_u128(u128::from_le_bytes(from.array()?))),
        15 => made!(Decimal, null, Decimal::deserialize(from.array()?)),
        16 => made!(ChronoDateTimeUtc, null, read_moment(from)?),
        17 => Value::ChronoDateTime(if null { None } else { Some(naive(read_moment(from)?)) }),
        18 => made!(ChronoDateTimeWithTimeZone, null, {
            let at = read_moment(from)?;
            zoned(at, i32::from_le_bytes(from.array()?))?
        }),
        _ => read_rare(from, tag)?,
    })
}

/// Apart, so that the common kinds of values stay in line.
#[cold]
#[inline(never)]
fn read_rare(from: &mut Reader<'_>, tag: u8) -> Result<Value, Error> {
    Ok(match tag & !NULL {
        19 if tag & NULL != 0 => Value::Json(None),
        19 => Value::Json(Some(Box::new(unpacked(from)?))),
        #[cfg(feature = "sqlx-postgres")]
        20 => {
            let kind = unpacked(from)?;
            let items = match from.byte()? {
                0 => None,
                _ => {
                    let count = from.count()?;
                    Some(Box::new((0..count).map(|_| read_item(from)).collect::<Result<_, _>>()?))
                }
            };
            Value::Array(kind, items)
        }
        OTHER => unpacked(from)?,
        _ => return Err(broken()),
    })
}

/// An item of an array, which is none itself: damaged bytes must not lead deeper and deeper.
#[cfg(feature = "sqlx-postgres")]
fn read_item(from: &mut Reader<'_>) -> Result<Value, Error> {
    if from.rest().first().is_some_and(|tag| tag & !NULL == 20) {
        return Err(broken());
    }
    read_value(from)
}

fn naive(at: DateTimeUtc) -> DateTime {
    at.naive_utc()
}

fn zoned(at: DateTimeUtc, offset: i32) -> Result<DateTimeWithTimeZone, Error> {
    // The type has no name here that does not need a dependency of its own: a zone is borrowed from a moment in it.
    let (sign, seconds) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if seconds != 0 {
        return Err(broken());
    }
    let sample = format!("2000-01-01T00:00:00{sign}{hours:02}:{minutes:02}");
    let sample = DateTimeWithTimeZone::parse_from_rfc3339(&sample).map_err(|_| broken())?;
    Ok(at.with_timezone(sample.offset()))
}

/// The model of an entity.
#[derive(Debug)]
pub struct Whole<E>(PhantomData<E>);

impl<E> Columns<E::Model> for Whole<E>
where
    E: EntityTrait<Model: 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    fn shape(so_far: u64) -> u64 {
        register::<E>();
        E::Column::iter().fold(so_far, |shape, column| add_column(shape, column.as_str()))
    }

    fn write(model: &E::Model, out: &mut Vec<u8>) -> Result<(), Error> {
        E::Column::iter().try_for_each(|column| write_value(&model.get(column), out))
    }

    fn read(from: &mut Reader<'_>) -> Result<E::Model, Error> {
        let mut model = <E::ActiveModel as ActiveModelTrait>::default();
        for column in E::Column::iter() {
            model.try_set(column, read_value(from)?).map_err(misfit)?;
        }
        model.try_into_model().map_err(misfit)
    }
}

/// Notes the model of an entity, whose columns are known here.
pub(crate) fn register<E>()
where
    E: EntityTrait<Model: 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    items::register::<E::Model, Whole<E>>();
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::OptionEnum;

    use super::*;

    fn values() -> Vec<Value> {
        let at = DateTimeUtc::from_timestamp(-1, 999_999_999).expect("in range");
        let zoned = |text| DateTimeWithTimeZone::parse_from_rfc3339(text).expect("a time");
        let numbers = [
            Value::Bool(Some(true)),
            Value::TinyInt(Some(i8::MIN)),
            Value::SmallInt(Some(i16::MIN)),
            Value::Int(Some(i32::MIN)),
            Value::BigInt(Some(i64::MIN)),
            Value::TinyUnsigned(Some(u8::MAX)),
            Value::SmallUnsigned(Some(u16::MAX)),
            Value::Unsigned(Some(u32::MAX)),
            Value::BigUnsigned(Some(u64::MAX)),
            Value::Float(Some(f32::NAN)),
            Value::Float(Some(-0.0)),
            Value::Double(Some(f64::NEG_INFINITY)),
            Value::Double(Some(f64::from_bits(1))),
            Value::Decimal(Some(Decimal::MAX)),
            Value::Decimal(Some(Decimal::new(-150, 2))),
        ];
        let others = [
            Value::String(Some("é\0 ".into())),
            Value::Char(Some('é')),
            Value::Bytes(Some(vec![0, 255])),
            Value::Uuid(Some(Uuid::from_u128(u128::MAX))),
            Value::Json(Some(Box::new(document(r#"{"a":[null,1.5,18446744073709551615]}"#)))),
            Value::Json(Some(Box::new(document("null")))),
            Value::ChronoDate(Some(at.date_naive())),
            Value::ChronoTime(Some(at.time())),
            Value::ChronoDateTime(Some(at.naive_utc())),
            Value::ChronoDateTimeUtc(Some(at)),
            Value::ChronoDateTimeUtc(Some(DateTimeUtc::MAX_UTC)),
            Value::ChronoDateTimeUtc(Some(DateTimeUtc::MIN_UTC)),
            Value::ChronoDateTimeLocal(Some(at.into())),
            Value::ChronoDateTimeWithTimeZone(Some(zoned("2026-11-21T23:59:60.5-11:30"))),
            Value::Enum(OptionEnum::Some(Box::new(sea_orm::sea_query::Enum {
                type_name: "colour".into(),
                value: "red".into(),
            }))),
            Value::Enum(OptionEnum::None("colour".into())),
        ];
        let mut values: Vec<_> = numbers.into_iter().chain(others).collect();
        #[cfg(feature = "sqlx-postgres")]
        values.extend(
            [vec![], vec![Value::Json(Some(Box::new(document("null")))), Value::Json(None)]].map(
                |items| Value::Array(sea_orm::sea_query::ArrayType::Json, Some(Box::new(items))),
            ),
        );
        let nulls: Vec<_> = values.iter().map(Value::as_null).collect();
        values.into_iter().chain(nulls).collect()
    }

    fn document(text: &str) -> sea_orm::JsonValue {
        text.parse().expect("a document")
    }

    fn written(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_value(value, &mut bytes).expect("it has bytes");
        bytes
    }

    #[test]
    fn every_kind_of_value_comes_back_as_it_was() {
        for value in values() {
            let bytes = written(&value);
            let mut from = Reader::new(&bytes);
            let back = read_value(&mut from).expect("they are those of a value");
            // By their text: NaN is not equal to itself.
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
            assert!(from.rest().is_empty());
        }
    }

    #[test]
    fn no_two_values_have_the_same_bytes() {
        let distinct: std::collections::HashSet<_> = values().iter().map(written).collect();
        let texts: std::collections::HashSet<_> =
            values().iter().map(|value| format!("{value:?}")).collect();
        assert_eq!(distinct.len(), texts.len());
    }

    #[cfg(feature = "sqlx-postgres")]
    #[test]
    fn arrays_in_arrays_are_refused_however_deep() {
        let kind = sea_orm::sea_query::ArrayType::Int;
        let array = |item| Value::Array(kind.clone(), Some(Box::new(vec![item])));
        let head = written(&array(Value::Int(None)));
        let head = &head[..head.len() - 1];

        assert!(read_value(&mut Reader::new(&head.repeat(100_000))).is_err());
    }

    #[test]
    fn bytes_that_are_cut_off_are_refused() {
        for value in values() {
            let bytes = written(&value);
            for end in 0..bytes.len() {
                assert!(
                    read_value(&mut Reader::new(&bytes[..end])).is_err(),
                    "{value:?} cut at {end}"
                );
            }
        }
    }
}
