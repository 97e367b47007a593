//! Models of which serde sees only a part: what comes from the cache has every field, or comes from the database.

use cacheops_sea_orm::{Cache, CacheReads, CachedConn, Connect};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QuerySelect, Statement,
};
use serde::{Deserialize, Serialize};

use crate::world::{Warnings, World, now_cached, open};

/// As `sea-orm-cli --serde-skip-deserializing-primary-key` writes it, with a password that must not leave the program.
mod account {
    use sea_orm::entity::prelude::*;

    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "account")]
    pub struct Model {
        #[sea_orm(primary_key)]
        #[serde(skip_deserializing)]
        pub id: i32,
        pub name: String,
        #[serde(skip_serializing)]
        pub hash: Option<String>,
        #[serde(skip)]
        pub salt: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The same table once more: an entity that no test reads as such, so that its columns are not known.
mod unseen {
    use sea_orm::entity::prelude::*;

    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "account")]
    pub struct Model {
        #[sea_orm(primary_key)]
        #[serde(skip_deserializing)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const TABLE: &str = "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT NOT NULL, hash TEXT, salt TEXT NOT NULL)";

async fn accounts() -> (World, CachedConn) {
    let w = World::new().await;
    let connection = open(&w.dir, "accounts.db").await;
    connection.execute_unprepared(TABLE).await.unwrap();
    let db = w.co.connect(connection);
    for (id, name) in [(1, "Ann"), (2, "Bob")] {
        let hash = Set(Some(format!("hash {id}")));
        let salt = Set(format!("salt {id}"));
        account::ActiveModel { id: Set(id), name: Set(name.into()), hash, salt }
            .insert(&db)
            .await
            .unwrap();
    }
    (w, db)
}

fn statement() -> Statement {
    Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT * FROM account ORDER BY id")
}

/// The same three times: what the database says, what is stored, and what comes from the cache.
macro_rules! right_each_time {
    ($expected:expr, $ask:expr) => {
        for time in 1..=3 {
            assert_eq!($ask.await.unwrap(), $expected, "asked for the {time}. time");
        }
    };
}

#[tokio::test]
async fn fields_that_serde_skips_are_right_however_a_model_is_read() {
    let (w, db) = accounts().await;
    let rows = account::Entity::find().order_by_id_asc().all(&db).await.unwrap();
    let all = account::Entity::find;

    right_each_time!(rows, all().from_raw_sql(statement()).cache().all(&db));
    right_each_time!(rows, all().cache().from_raw_sql(statement()).all(&db));
    right_each_time!(rows, all().order_by_id_asc().into_model::<account::Model>().cache().all(&db));
    right_each_time!(rows, all().cache().into_model::<account::Model>().all(&db));
    right_each_time!(rows, account::Model::find_by_statement(statement()).cache().all(&db));
    let pages = || all().from_raw_sql(statement()).cache().paginate(&db, 1);
    right_each_time!(rows[1..], async { pages().fetch_page(1).await });
    let block = || {
        db.reads("accounts").get_or_load(|db| async move { account::Entity::find().all(&db).await })
    };
    right_each_time!(rows, block());
    let paginated = || {
        db.reads("pages").get_or_load(|db| async move {
            let pages = account::Entity::find().order_by_id_asc().paginate(&db, 1);
            Ok::<_, DbErr>((pages.num_items().await?, pages.fetch_page(1).await?))
        })
    };
    right_each_time!((2, rows[1..].to_vec()), paginated());
    let function = || {
        db.cached_as("accounts", all())
            .get_or_load(|| async { account::Entity::find().all(&db).await })
    };
    right_each_time!(rows, function());
    assert_eq!(w.co.stats().undecodable, 0);
}

#[tokio::test]
async fn a_model_of_a_raw_statement_is_kept_by_its_columns() {
    let (w, db) = accounts().await;
    now_cached!(w, account::Entity::find().cache().from_raw_sql(statement()).all(&db));
    now_cached!(w, account::Entity::find().from_raw_sql(statement()).cache().one(&db));
    now_cached!(w, account::Entity::find().into_model::<account::Model>().cache().all(&db));
}

#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize, Deserialize)]
struct Login {
    id: i32,
    #[serde(skip)]
    hash: Option<String>,
}

#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize, Deserialize)]
struct Name {
    id: i32,
    name: String,
}

#[tokio::test]
async fn what_does_not_decode_to_itself_is_not_stored_and_that_is_said_once() {
    let (w, db) = accounts().await;
    let warnings = Warnings::of("cacheops::fill");
    let logins = || account::Entity::find().order_by_id_asc().into_model::<Login>();
    let expected = logins().all(&db).await.unwrap();

    let stores = w.co.stats().stores;
    right_each_time!(expected, logins().cache().all(&db));
    assert_eq!((w.co.stats().stores, warnings.seen()), (stores, 1));
    let unseen = || unseen::Model::find_by_statement(statement()).cache().all(&db);
    let rows = unseen::Model::find_by_statement(statement()).all(&db).await.unwrap();
    right_each_time!(rows, unseen());
    assert_eq!((w.co.stats().stores, warnings.seen()), (stores, 2));

    now_cached!(w, account::Entity::find().into_model::<Name>().cache().all(&db));
    assert_eq!(warnings.seen(), 2);
}

/// A number that is not equal to itself proves nothing.
#[tokio::test]
async fn a_value_that_is_not_equal_to_itself_is_not_stored() {
    let (w, db) = accounts().await;
    let block = || {
        db.reads("ratio").get_or_load(|db| async move {
            let count = account::Entity::find().count(&db).await? as f64;
            Ok::<_, DbErr>(if count > 0.0 { f64::NAN } else { count })
        })
    };
    for _ in 0..2 {
        let (hit, ratio) = w.hits(block()).await;
        assert!(!hit && ratio.unwrap().is_nan());
    }
}

/// A map has no order: what is decoded may list it otherwise.
#[tokio::test]
async fn maps_are_stored() {
    let (w, db) = accounts().await;
    let block = || {
        db.reads("names").get_or_load(|db| async move {
            let rows = account::Entity::find().all(&db).await?;
            let names = rows.into_iter().map(|row| (row.id, row.name));
            Ok::<_, DbErr>(
                names
                    .chain((10..30).map(|id| (id, id.to_string())))
                    .collect::<std::collections::HashMap<_, _>>(),
            )
        })
    };
    assert_eq!(now_cached!(w, block()).len(), 22);
}

/// Two accounts of one id are called equal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ById {
    id: i32,
    #[serde(skip_deserializing)]
    name: String,
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[tokio::test]
async fn equality_of_keys_is_not_taken_for_equality_of_values() {
    let (_w, db) = accounts().await;
    let block = || {
        db.reads("by id").get_or_load(|db| async move {
            let rows = account::Entity::find().order_by_id_asc().all(&db).await?;
            Ok::<_, DbErr>(
                rows.into_iter().map(|row| ById { id: row.id, name: row.name }).collect::<Vec<_>>(),
            )
        })
    };
    for _ in 0..3 {
        let names: Vec<_> = block().await.unwrap().into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["Ann", "Bob"]);
    }
}

/// A column whose type goes through serde.
mod profile {
    use sea_orm::entity::prelude::*;

    #[derive(
        Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, FromJsonQueryResult,
    )]
    pub struct Contact {
        pub mail: String,
        #[serde(skip_serializing)]
        pub phone: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "profile")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(column_type = "Json")]
        pub contact: Contact,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Only the second row has what is lost.
#[tokio::test]
async fn a_document_that_loses_a_field_is_not_stored() {
    let (w, db) = accounts().await;
    let sql = r#"CREATE TABLE profile (id INTEGER PRIMARY KEY, contact TEXT NOT NULL);
        INSERT INTO profile VALUES (1, '{"mail": "ann@here"}'), (2, '{"mail": "bob@here", "phone": "555"}')"#;
    db.inner().execute_unprepared(sql).await.unwrap();
    let rows = profile::Entity::find().order_by_id_asc().all(&db).await.unwrap();
    assert_eq!(rows[1].contact.phone.as_deref(), Some("555"));

    right_each_time!(rows, profile::Entity::find().order_by_id_asc().cache().all(&db));
    let first = profile::Entity::find().order_by_id_asc().limit(1);
    assert_eq!(now_cached!(w, first.clone().cache().all(&db)), rows[..1]);
}

/// Columns of types that write another value than they read.
mod visit {
    use sea_orm::entity::prelude::*;
    use sea_orm::sea_query::{ArrayType, ValueType, ValueTypeErr};
    use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable};

    /// Reads any number and writes at most 100.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Level(pub i32);

    /// Reads year, month and day, and writes year, day and month.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Day(pub String);

    impl From<Level> for Value {
        fn from(level: Level) -> Self {
            level.0.min(100).into()
        }
    }

    impl From<Day> for Value {
        fn from(day: Day) -> Self {
            format!("{}-{}-{}", &day.0[..4], &day.0[8..], &day.0[5..7]).into()
        }
    }

    macro_rules! column {
        ($name:ident, $inner:ty, $kind:ident, $column:expr) => {
            impl TryGetable for $name {
                fn try_get_by<I: ColIdx>(row: &QueryResult, at: I) -> Result<Self, TryGetError> {
                    <$inner>::try_get_by(row, at).map($name)
                }
            }

            impl ValueType for $name {
                fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                    <$inner as ValueType>::try_from(value).map($name)
                }

                fn type_name() -> String {
                    stringify!($name).to_owned()
                }

                fn array_type() -> ArrayType {
                    ArrayType::$kind
                }

                fn column_type() -> ColumnType {
                    $column
                }
            }
        };
    }

    column!(Level, i32, Int, ColumnType::Integer);
    column!(Day, String, String, ColumnType::Text);

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "visit")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub level: Level,
        pub day: Day,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The first row survives the conversion, the second does not, and its type is no document.
#[tokio::test]
async fn a_result_with_one_row_that_decodes_to_another_is_not_stored() {
    let (w, db) = accounts().await;
    let sql = "CREATE TABLE visit (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, day TEXT NOT NULL);
        INSERT INTO visit VALUES (1, 5, '2026-02-02'), (2, 500, '2026-02-02'), (3, 5, '2026-01-02')";
    db.inner().execute_unprepared(sql).await.unwrap();
    let rows = visit::Entity::find().order_by_id_asc().all(&db).await.unwrap();
    assert_eq!((rows[1].level.0, rows[2].day.0.as_str()), (500, "2026-01-02"));

    let some = |ids: [i32; 2]| {
        let found = visit::Entity::find().filter(visit::Column::Id.is_in(ids));
        found.order_by_id_asc()
    };
    right_each_time!(rows[..2], some([1, 2]).cache().all(&db));
    // The same letters in another order.
    right_each_time!([rows[0].clone(), rows[2].clone()], some([1, 3]).cache().all(&db));
    assert_eq!(now_cached!(w, some([1, 1]).cache().all(&db)), rows[..1]);
}
