//! Results to bytes and back. Models are kept by their columns, not through serde: an application may hide fields from
//! serde (`#[serde(skip)]` on a password's hash), and they would come back empty. Where only serde knows a type, a
//! result is decoded and compared before it is stored.

use std::fmt::Debug;
use std::marker::PhantomData;

use cacheops::{Codec, Error, ErrorKind};
use sea_orm::prelude::{DateTime, DateTimeUtc, DateTimeWithTimeZone, Decimal, Uuid};
use sea_orm::{
    ActiveModelTrait, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, TryIntoModel, Value,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::debug_text::Comparison;
use crate::kept;

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

/// What is left of an entry's bytes.
pub struct Reader<'a>(&'a [u8]);

fn broken() -> Error {
    Error::new(ErrorKind::Decode, "the entry is not a list of rows")
}

fn misfit(error: DbErr) -> Error {
    Error::new(ErrorKind::Decode, format!("the entry is not of this model: {error}"))
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| broken())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    fn count(&mut self) -> Result<usize, Error> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.count()?;
        self.take(length)
    }

    fn packed<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        rmp_serde::from_slice(self.bytes()?).map_err(|_| broken())
    }

    fn moment(&mut self) -> Result<DateTimeUtc, Error> {
        let number = i128::from_le_bytes(self.array()?);
        let seconds = i64::try_from(number >> 32).map_err(|_| broken())?;
        DateTimeUtc::from_timestamp(seconds, number as u32).ok_or_else(broken)
    }

    pub(crate) fn value(&mut self) -> Result<Value, Error> {
        macro_rules! fixed {
            ($kind:ident, $null:expr, $type:ty) => {
                Value::$kind(if $null { None } else { Some(<$type>::from_le_bytes(self.array()?)) })
            };
        }
        macro_rules! made {
            ($kind:ident, $null:expr, $value:expr) => {
                Value::$kind(if $null { None } else { Some($value) })
            };
        }
        let tag = self.byte()?;
        let null = tag & NULL != 0;
        Ok(match tag & !NULL {
            1 => made!(Bool, null, self.byte()? != 0),
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
                std::str::from_utf8(self.bytes()?).map_err(|_| broken())?.to_owned()
            }),
            13 => made!(Bytes, null, self.bytes()?.to_vec()),
            14 => made!(Uuid, null, Uuid::from_u128(u128::from_le_bytes(self.array()?))),
            15 => made!(Decimal, null, Decimal::deserialize(self.array()?)),
            16 => made!(ChronoDateTimeUtc, null, self.moment()?),
            17 => Value::ChronoDateTime(if null { None } else { Some(naive(self.moment()?)) }),
            18 => made!(ChronoDateTimeWithTimeZone, null, {
                let at = self.moment()?;
                zoned(at, i32::from_le_bytes(self.array()?))?
            }),
            _ => self.rare(tag)?,
        })
    }

    /// Apart, so that the common kinds of values stay in line.
    #[cold]
    #[inline(never)]
    fn rare(&mut self, tag: u8) -> Result<Value, Error> {
        Ok(match tag & !NULL {
            19 if tag & NULL != 0 => Value::Json(None),
            19 => Value::Json(Some(Box::new(self.packed()?))),
            #[cfg(feature = "sqlx-postgres")]
            20 => {
                let kind = self.packed()?;
                let items = match self.byte()? {
                    0 => None,
                    _ => {
                        let count = self.count()?;
                        Some(Box::new((0..count).map(|_| self.item()).collect::<Result<_, _>>()?))
                    }
                };
                Value::Array(kind, items)
            }
            OTHER => self.packed()?,
            _ => return Err(broken()),
        })
    }

    /// An item of an array, which is none itself: damaged bytes must not lead deeper and deeper.
    #[cfg(feature = "sqlx-postgres")]
    fn item(&mut self) -> Result<Value, Error> {
        if self.0.first().is_some_and(|tag| tag & !NULL == 20) {
            return Err(broken());
        }
        self.value()
    }
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

/// How one item of a result is written: a model by its columns, and what is made of models.
pub trait Columns<T> {
    /// What the names of the columns, in the order in which their values are written, add to a number.
    fn shape(so_far: u64) -> u64;

    /// Appends an item.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] for a kind of value that has no bytes.
    fn write(item: &T, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Takes an item from the front.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if the bytes are of something else.
    fn read(from: &mut Reader<'_>) -> Result<T, Error>;
}

/// The model of an entity.
#[derive(Debug)]
pub struct Whole<E>(PhantomData<E>);

impl<E> Columns<E::Model> for Whole<E>
where
    E: EntityTrait<Model: 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    fn shape(so_far: u64) -> u64 {
        kept::register::<E>();
        // FNV-1a, whose primes these are.
        let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let names = E::Column::iter();
        names.fold(so_far, |hash, name| add(name.as_str().bytes().fold(hash, add), 0))
    }

    fn write(model: &E::Model, out: &mut Vec<u8>) -> Result<(), Error> {
        E::Column::iter().try_for_each(|column| write_value(&model.get(column), out))
    }

    fn read(from: &mut Reader<'_>) -> Result<E::Model, Error> {
        let mut model = <E::ActiveModel as ActiveModelTrait>::default();
        for column in E::Column::iter() {
            model.try_set(column, from.value()?).map_err(misfit)?;
        }
        model.try_into_model().map_err(misfit)
    }
}

/// A row that the join may not have.
#[derive(Debug)]
pub struct Maybe<C>(PhantomData<C>);

impl<T, C: Columns<T>> Columns<Option<T>> for Maybe<C> {
    fn shape(so_far: u64) -> u64 {
        C::shape(so_far)
    }

    fn write(item: &Option<T>, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(u8::from(item.is_some()));
        item.iter().try_for_each(|item| C::write(item, out))
    }

    fn read(from: &mut Reader<'_>) -> Result<Option<T>, Error> {
        match from.byte()? {
            0 => Ok(None),
            _ => C::read(from).map(Some),
        }
    }
}

/// Any number of rows.
#[derive(Debug)]
pub struct Many<C>(PhantomData<C>);

impl<T, C: Columns<T>> Columns<Vec<T>> for Many<C> {
    fn shape(so_far: u64) -> u64 {
        C::shape(so_far)
    }

    fn write(items: &Vec<T>, out: &mut Vec<u8>) -> Result<(), Error> {
        write_all::<T, C>(items, out)
    }

    fn read(from: &mut Reader<'_>) -> Result<Vec<T>, Error> {
        let count = from.count()?;
        // A damaged count must not become an allocation.
        let mut items = Vec::with_capacity(count.min(from.0.len()));
        for _ in 0..count {
            items.push(C::read(from)?);
        }
        Ok(items)
    }
}

macro_rules! tuple {
    ($($codec:ident $item:ident $at:tt),*) => {
        impl<$($item, $codec: Columns<$item>),*> Columns<($($item,)*)> for ($($codec,)*) {
            fn shape(so_far: u64) -> u64 {
                $(let so_far = $codec::shape(so_far);)*
                so_far
            }

            fn write(item: &($($item,)*), out: &mut Vec<u8>) -> Result<(), Error> {
                $($codec::write(&item.$at, out)?;)*
                Ok(())
            }

            fn read(from: &mut Reader<'_>) -> Result<($($item,)*), Error> {
                Ok(($($codec::read(from)?,)*))
            }
        }
    };
}

tuple!(A T 0, B U 1);
tuple!(A T 0, B U 1, C V 2);
tuple!(A T 0, B U 1, C V 2, D W 3);
tuple!(A T 0, B U 1, C V 2, D W 3, E X 4);
tuple!(A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5);

/// The codec of a result whose items are written as `C` says.
#[derive(Debug)]
pub struct Rows<C>(PhantomData<C>);

impl<C> Default for Rows<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Debug, C: Columns<T>> Codec<Vec<T>> for Rows<C> {
    fn name(&self) -> &str {
        BY_COLUMNS
    }

    fn shape(&self) -> u64 {
        shape::<T, C>()
    }

    fn encode(&self, items: &Vec<T>) -> Result<Vec<u8>, Error> {
        encode::<T, C>(items)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<T>, Error> {
        decode::<T, C>(bytes)
    }
}

/// The name of the codec of all items that are written by columns.
pub(crate) const BY_COLUMNS: &str = "sea-orm 1";

/// Values stand in the order of the columns, which may be another in the next release.
pub(crate) fn shape<T, C: Columns<T>>() -> u64 {
    C::shape(0xcbf2_9ce4_8422_2325)
}

/// The bytes of these items, if they decode to the same items. A type of the application may become another value on the
/// way to the database than it was, and for some values only: so each item is decoded and compared, by its `Debug` text.
/// If one differs, nothing is stored.
pub(crate) fn encode<T: Debug, C: Columns<T>>(items: &[T]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(64 + 128 * items.len());
    write_all::<T, C>(items, &mut bytes)?;
    let mut from = Reader(&bytes);
    from.count()?;
    let mut comparison = Comparison::default();
    for item in items {
        let back = C::read(&mut from);
        if !back.is_ok_and(|back| comparison.same(item, &back)) {
            return Err(kept::lossy::<T>());
        }
    }
    Ok(bytes)
}

pub(crate) fn decode<T, C: Columns<T>>(bytes: &[u8]) -> Result<Vec<T>, Error> {
    let mut from = Reader(bytes);
    let items = Many::<C>::read(&mut from)?;
    if from.0.is_empty() { Ok(items) } else { Err(broken()) }
}

fn write_all<T, C: Columns<T>>(items: &[T], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&(items.len() as u32).to_le_bytes());
    items.iter().try_for_each(|item| C::write(item, out))
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
            let mut from = Reader(&bytes);
            let back = from.value().expect("they are those of a value");
            // By their text: NaN is not equal to itself.
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
            assert!(from.0.is_empty());
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

        assert!(Reader(&head.repeat(100_000)).value().is_err());
    }

    #[test]
    fn bytes_that_are_cut_off_are_refused() {
        for value in values() {
            let bytes = written(&value);
            for end in 0..bytes.len() {
                assert!(Reader(&bytes[..end]).value().is_err(), "{value:?} cut at {end}");
            }
        }
    }
}
