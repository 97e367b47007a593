//! Values that meet often: bound as a model binds them, bound otherwise, and written out.

use sea_orm::prelude::{Date, DateTime, DateTimeWithTimeZone, Decimal, Time, Uuid};
use sea_orm::{DbBackend, Value};
use support::Random;

use super::entities::thing::{Level, Mood};
use super::tables::Kind;

const TEXTS: &[&str] =
    &["a", "A", "a ", "b", "é", "É", "1", "01", "1.0", "", "true", "O'N", "x&y=|", "sad", " 1"];
const SLUGS: &[&str] = &["red", "Red", "blue", "1", "é"];
const LONG: &str =
    "A long text whose canonical form is longer than sixty-four bytes, so that it is hashed ...";
const TOKENS: &[u128] =
    &[0, 1, 0x5f3c_0a9e_8d1b_4c2a_9e7f_0123_4567_89ab, 0x1234_5678_1234_1234_1234_5678_9012_3456];
const DAYS: &[&str] = &["2024-01-05", "2024-02-29", "2023-12-31"];
const HOURS: &[&str] = &["00:00:00", "12:30:00", "12:30:00.5"];
const MOMENTS: &[&str] =
    &["2024-01-05T00:00:00", "2024-02-29T23:30:00", "2024-02-29T23:30:00.123456"];
/// The second and the third are the same.
const ZONED: &[&str] = &[
    "2024-01-05T00:00:00+00:00",
    "2024-02-29T23:30:00+00:00",
    "2024-03-01T01:30:00+02:00",
    "2024-02-29T23:30:00.123456-05:30",
];
const PRICES: &[&str] = &["1.50", "1.5", "0", "2.25", "3", "-1.00"];

fn one(random: &mut Random, texts: &[&'static str]) -> &'static str {
    texts[random.below(texts.len())]
}

fn null(kind: Kind) -> Value {
    match kind {
        Kind::Id | Kind::Int | Kind::Level => Value::Int(None),
        Kind::Small => Value::SmallInt(None),
        Kind::Big => Value::BigInt(None),
        Kind::Decimal => Value::Decimal(None),
        Kind::Text | Kind::Slug => Value::String(None),
        Kind::Mood => None::<Mood>.into(),
        Kind::Flag => Value::Bool(None),
        Kind::Uuid => Value::Uuid(None),
        Kind::Day => Value::ChronoDate(None),
        Kind::Hour => Value::ChronoTime(None),
        Kind::Made => Value::ChronoDateTime(None),
        Kind::Seen => Value::ChronoDateTimeWithTimeZone(None),
    }
}

/// A value, perhaps NULL, of the type that the model has for it.
pub fn value(random: &mut Random, kind: Kind) -> Value {
    if kind != Kind::Slug && random.once_in(9) { null(kind) } else { something(random, kind) }
}

/// A value that is not NULL.
pub fn something(random: &mut Random, kind: Kind) -> Value {
    match kind {
        Kind::Id => (random.below(6) as i32 + 1).into(),
        Kind::Small => (random.below(4) as i16 - 1).into(),
        Kind::Int => (random.below(4) as i32 - 1).into(),
        Kind::Big => [0, 1, 2, 9_007_199_254_740_993_i64][random.below(4)].into(),
        Kind::Decimal => one(random, PRICES).parse::<Decimal>().unwrap().into(),
        Kind::Text if random.once_in(40) => LONG.into(),
        Kind::Text => one(random, TEXTS).into(),
        Kind::Slug => one(random, SLUGS).into(),
        Kind::Flag => random.once_in(2).into(),
        Kind::Uuid => Uuid::from_u128(*random.pick(TOKENS)).into(),
        Kind::Day => one(random, DAYS).parse::<Date>().unwrap().into(),
        Kind::Hour => one(random, HOURS).parse::<Time>().unwrap().into(),
        Kind::Made => one(random, MOMENTS).parse::<DateTime>().unwrap().into(),
        Kind::Seen => DateTimeWithTimeZone::parse_from_rfc3339(one(random, ZONED)).unwrap().into(),
        Kind::Mood => [Mood::Glad, Mood::Sad, Mood::True][random.below(3)].into(),
        Kind::Level => [Level::Low, Level::High][random.below(2)].into(),
    }
}

/// The same as another program might bind it. Some databases refuse it.
pub fn otherwise(random: &mut Random, backend: DbBackend, value: Value) -> Value {
    let number = match &value {
        Value::SmallInt(Some(v)) => Some(i64::from(*v)),
        Value::Int(Some(v)) => Some(i64::from(*v)),
        Value::BigInt(Some(v)) => Some(*v),
        _ => None,
    };
    match (value, number) {
        (_, Some(number)) => match random.below(5) {
            0 => i16::try_from(number).map_or(Value::BigInt(Some(number)), Into::into),
            1 => number.into(),
            2 => Decimal::from(number).into(),
            3 if backend != DbBackend::Postgres => (number as f64).into(),
            _ if backend != DbBackend::Postgres => number.to_string().into(),
            _ => number.into(),
        },
        (Value::Bool(Some(flag)), _) if backend != DbBackend::Postgres => i64::from(flag).into(),
        (Value::Decimal(Some(price)), _) if backend != DbBackend::Postgres => {
            price.to_string().into()
        }
        (Value::ChronoDate(Some(day)), _) if backend != DbBackend::Postgres => {
            day.to_string().into()
        }
        (Value::Uuid(Some(token)), _) if backend == DbBackend::MySql => {
            token.as_bytes().to_vec().into()
        }
        (value, _) => value,
    }
}

/// The same written out in a statement.
pub fn literal(random: &mut Random, backend: DbBackend, kind: Kind) -> String {
    let postgres = backend == DbBackend::Postgres;
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    if kind != Kind::Slug && random.once_in(9) {
        return "NULL".into();
    }
    match kind {
        Kind::Id | Kind::Small | Kind::Int | Kind::Level | Kind::Big => {
            let number = random.below(match kind {
                Kind::Id => 7,
                Kind::Level => 2,
                _ => 3,
            });
            match random.below(6) {
                0 => format!("'{number}'"),
                1 => format!("{number}.0"),
                _ => number.to_string(),
            }
        }
        Kind::Decimal if random.once_in(3) => quoted(one(random, PRICES)),
        Kind::Decimal => one(random, PRICES).to_owned(),
        Kind::Text => quoted(one(random, TEXTS)),
        Kind::Slug => quoted(one(random, SLUGS)),
        Kind::Mood => quoted(["glad", "Sad", "true"][random.below(3)]),
        Kind::Flag => (*random.pick(if postgres {
            &["TRUE", "FALSE", "'t'", "'no'"]
        } else {
            &["TRUE", "FALSE", "1", "0"]
        }))
        .to_owned(),
        Kind::Uuid => {
            let token = Uuid::from_u128(*random.pick(TOKENS));
            match random.below(2) {
                _ if !postgres => format!("x'{}'", token.simple()),
                0 => quoted(&token.to_string().to_uppercase()),
                _ => quoted(&token.simple().to_string()),
            }
        }
        Kind::Day if random.once_in(3) => format!("DATE({})", quoted(one(random, DAYS))),
        Kind::Day => quoted(one(random, DAYS)),
        Kind::Hour => quoted(one(random, HOURS)),
        Kind::Made => quoted(&one(random, MOMENTS).replace('T', " ")),
        Kind::Seen if postgres => quoted(one(random, ZONED)),
        Kind::Seen if backend == DbBackend::Sqlite => {
            quoted(&format!("{} +00:00", one(random, MOMENTS).replace('T', " ")))
        }
        Kind::Seen => quoted(&one(random, MOMENTS).replace('T', " ")),
    }
}
