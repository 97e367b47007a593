//! Every kind of column: a row from the cache is the row from the database.

use cacheops_sea_orm::Cache;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, IntoActiveModel, QueryOrder};
use support::Random;

use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Colour {
    #[sea_orm(string_value = "r")]
    Red,
    #[sea_orm(string_value = "g'ü")]
    Green,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Level {
    Low = -3,
    High = 300,
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "kinds")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub flag: Option<bool>,
    pub tiny: Option<i8>,
    pub small: Option<i16>,
    pub int: Option<i32>,
    pub big: Option<i64>,
    pub utiny: Option<u8>,
    pub usmall: Option<u16>,
    pub uint: Option<u32>,
    pub float: Option<f32>,
    pub double: Option<f64>,
    pub text: Option<String>,
    pub bytes: Option<Vec<u8>>,
    pub uuid: Option<Uuid>,
    pub decimal: Option<Decimal>,
    pub json: Option<Json>,
    pub date: Option<Date>,
    pub time: Option<Time>,
    pub stamp: Option<DateTime>,
    pub utc: Option<DateTimeUtc>,
    pub zoned: Option<DateTimeWithTimeZone>,
    pub local: Option<DateTimeLocal>,
    pub time_date: Option<TimeDate>,
    pub time_time: Option<TimeTime>,
    pub time_stamp: Option<TimeDateTime>,
    pub time_zoned: Option<TimeDateTimeWithTimeZone>,
    pub colour: Option<Colour>,
    pub level: Option<Level>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const TABLE: &str = "CREATE TABLE kinds (id INTEGER PRIMARY KEY, flag BOOLEAN, tiny TINYINT, small SMALLINT, int INT,
    big BIGINT, utiny INTEGER, usmall INTEGER, uint BIGINT, float REAL, double DOUBLE, text TEXT, bytes BLOB, uuid BLOB,
    decimal REAL, json TEXT, date DATE, time TIME, stamp TIMESTAMP, utc TIMESTAMP, zoned TIMESTAMP, local TIMESTAMP,
    time_date DATE, time_time TIME, time_stamp TIMESTAMP, time_zoned TIMESTAMP, colour TEXT, level SMALLINT)";

/// A row of which about a quarter is NULL, with the ends of each range among its values.
fn any(random: &mut Random, id: i32) -> Model {
    macro_rules! one {
        ($value:expr) => {
            if random.chance(25) { None } else { Some($value) }
        };
    }
    macro_rules! int {
        ($type:ty) => {
            one!(match random.below(4) {
                0 => <$type>::MIN,
                1 => <$type>::MAX,
                2 => 0,
                _ => random.bits() as $type,
            })
        };
    }
    let seconds = |random: &mut Random| (random.bits() % 4_000_000_000) as i64 - 1_000_000_000;
    let nanos = |random: &mut Random| (random.bits() % 1_000_000_000) as u32;
    let utc =
        |random: &mut Random| DateTimeUtc::from_timestamp(seconds(random), nanos(random)).unwrap();
    let zoned = |random: &mut Random| {
        let at = utc(random).to_rfc3339();
        let zone = *random.pick(&["+00:00", "-11:30", "+05:45", "+14:00"]);
        DateTimeWithTimeZone::parse_from_rfc3339(&at.replace("+00:00", zone)).unwrap()
    };
    let texts = ["", "plain", " spaces ", "ünïcödé", "quote'\"\\", "nul\0", "1.50", "line\nbreak"];
    let floats = [0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    let documents =
        ["null", "{}", "[1,2.5,\"x\",null,true]", r#"{"a":{"b":[18446744073709551615]}}"#];
    let decimals = ["0", "1.5", "-12345.678", "99999999"];
    let days = |random: &mut Random| 1 + random.below(365) as u16;
    let clock = |random: &mut Random| {
        let (hour, minute) = (random.below(24) as u8, random.below(60) as u8);
        TimeTime::from_hms_nano(hour, minute, 59, nanos(random)).unwrap()
    };
    Model {
        id,
        flag: one!(random.chance(50)),
        tiny: int!(i8),
        small: int!(i16),
        int: int!(i32),
        big: int!(i64),
        utiny: int!(u8),
        usmall: int!(u16),
        uint: int!(u32),
        float: one!(*random.pick(&floats) as f32),
        double: one!(*random.pick(&floats)),
        text: one!((*random.pick(&texts)).to_owned()),
        bytes: one!((0..random.below(9)).map(|_| random.bits() as u8).collect()),
        uuid: one!(Uuid::from_u128(u128::from(random.bits()) << 64 | u128::from(random.bits()))),
        decimal: one!(random.pick(&decimals).parse().unwrap()),
        json: one!(random.pick(&documents).parse().unwrap()),
        date: one!(utc(random).date_naive()),
        time: one!(utc(random).time()),
        stamp: one!(utc(random).naive_utc()),
        utc: one!(utc(random)),
        zoned: one!(zoned(random)),
        local: one!(utc(random).into()),
        time_date: one!(TimeDate::from_ordinal_date(1999, days(random)).unwrap()),
        time_time: one!(clock(random)),
        time_stamp: one!(TimeDateTime::new(
            TimeDate::from_ordinal_date(2038, days(random)).unwrap(),
            clock(random)
        )),
        time_zoned: one!(TimeDateTimeWithTimeZone::from_unix_timestamp(seconds(random)).unwrap()),
        colour: one!(*random.pick(&[Colour::Red, Colour::Green])),
        level: one!(*random.pick(&[Level::Low, Level::High])),
    }
}

#[tokio::test]
async fn a_row_from_the_cache_is_the_row_from_the_database() {
    let w = World::new().await;
    w.db.execute_unprepared(TABLE).await.unwrap();
    let mut random = Random::from_seed(11);
    let rows: Vec<_> = (1..=200).map(|id| any(&mut random, id).into_active_model()).collect();
    for chunk in rows.chunks(20) {
        Entity::insert_many(chunk.to_vec()).exec_without_returning(&w.db).await.unwrap();
    }

    let all = || Entity::find().order_by_asc(Column::Id);
    let fresh = all().all(w.db.inner()).await.unwrap();
    all().cache().all(&w.db).await.unwrap();
    let (hit, cached) = w.hits(all().cache().all(&w.db)).await;

    assert!(hit);
    for (cached, fresh) in cached.unwrap().iter().zip(&fresh) {
        // By their text: NaN is not equal to itself.
        assert_eq!(format!("{cached:?}"), format!("{fresh:?}"));
    }
    for row in fresh.iter().take(40) {
        let one = || Entity::find_by_id(row.id).cache().get(&w.db);
        one().await.unwrap();
        let (hit, cached) = w.hits(one()).await;
        assert!(hit);
        assert_eq!(format!("{:?}", cached.unwrap()), format!("{row:?}"));
    }
}

/// Filtering by a value of each kind finds the entry again, and a write to that row invalidates it.
#[tokio::test]
async fn a_value_of_each_kind_in_a_filter_is_invalidated_by_its_row() {
    let w = World::new().await;
    w.db.execute_unprepared(TABLE).await.unwrap();
    let mut random = Random::from_seed(12);
    let rows: Vec<_> = (1..=12).map(|id| any(&mut random, id)).collect();
    for row in &rows {
        let new = row.clone().into_active_model();
        Entity::insert(new).exec_without_returning(&w.db).await.unwrap();
    }

    for row in &rows {
        let columns = <Column as sea_orm::Iterable>::iter().filter(|c| !matches!(c, Column::Id));
        for column in columns {
            let value = row.get(column);
            let query = || Entity::find().filter(column.eq(value.clone())).order_by_asc(Column::Id);
            query().cache().all(&w.db).await.unwrap();
            let mut gone = row.clone().into_active_model();
            gone.id = Set(1000 + row.id);
            Entity::insert(gone).exec_without_returning(&w.db).await.unwrap();
            let cached = query().cache().all(&w.db).await.unwrap();
            let fresh = query().all(w.db.inner()).await.unwrap();
            assert_eq!(format!("{cached:?}"), format!("{fresh:?}"), "{column:?} = {value:?}");
            Entity::delete_by_id(1000 + row.id).exec(&w.db).await.unwrap();
            let cached = query().cache().all(&w.db).await.unwrap();
            let fresh = query().all(w.db.inner()).await.unwrap();
            assert_eq!(format!("{cached:?}"), format!("{fresh:?}"), "{column:?} = {value:?}");
        }
    }
}
