//! Statements that fail half-way or are forgotten while they run, and transactions that end behind their object's back.

use std::sync::Arc;

use cacheops_sea_orm::{Cache, CacheReads, CachedConn, Connect};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::entities::{article, category};
use crate::world::{World, now_cached, still_cached};

async fn names(db: &CachedConn) -> Result<Vec<String>, DbErr> {
    let all = category::Entity::find().order_by_asc(category::Column::Id);
    Ok(all.cache().all(db).await?.into_iter().map(|row| row.name).collect())
}

fn sqlite(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}

#[tokio::test]
async fn what_a_failed_statement_has_kept_is_told() {
    for sql in [
        "INSERT OR FAIL INTO category (id, name) VALUES (3, 'kept'), (1, 'refused')",
        "INSERT INTO category (id, name) VALUES (3, 'kept'); INSERT INTO category (id, name) VALUES (1, 'no')",
    ] {
        let w = World::new().await;
        now_cached!(w, names(&w.db));

        w.db.execute_raw(sqlite(sql)).await.unwrap_err();

        assert_eq!(now_cached!(w, names(&w.db)), ["tech", "art", "kept"], "{sql}");
    }
}

#[tokio::test]
async fn what_is_written_after_an_error_has_ended_the_transaction_is_told_at_once() {
    let w = World::new().await;
    now_cached!(w, names(&w.db));

    let tx = w.db.begin().await.unwrap();
    let sql = "INSERT OR ROLLBACK INTO category (id, name) VALUES (1, 'refused')";
    tx.execute_raw(sqlite(sql)).await.unwrap_err();
    tx.execute_unprepared("UPDATE category SET name = 'new' WHERE id = 1").await.unwrap();
    // There is nothing left to take back.
    let _ = tx.rollback().await;

    assert_eq!(now_cached!(w, names(&w.db)), ["new", "art"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_forgotten_while_it_waits_is_told_after_it_has_run() {
    for pre_select in [0, 256] {
        let w = World::new().await;
        let db =
            w.co.connector().pre_select(pre_select).name("other").connect(w.db.inner().clone());
        now_cached!(w, names(&db));
        let before = w.co.stats();

        let immediate = Some(SqliteTransactionMode::Immediate);
        let options =
            TransactionOptions { sqlite_transaction_mode: immediate, ..Default::default() };
        let holder = w.db.inner().begin_with_options(options).await.unwrap();
        let write = db.execute_unprepared("UPDATE category SET name = 'new' WHERE id = 1");
        let waited = std::time::Duration::from_millis(200);
        tokio::time::timeout(waited, write).await.unwrap_err();
        w.co.settled().await;
        names(&db).await.unwrap();
        holder.rollback().await.unwrap();
        let told = || w.co.stats().invalidations + w.co.stats().replays;
        let deadline = std::time::Instant::now() + support::deadline();
        let updated = async || {
            let row = category::Entity::find_by_id(1).one(w.db.inner()).await.unwrap().unwrap();
            row.name == "new"
        };
        while !updated().await {
            assert!(std::time::Instant::now() < deadline, "the statement was never run");
            tokio::task::yield_now().await;
        }
        while told() == before.invalidations + before.replays {
            assert!(std::time::Instant::now() < deadline, "nobody was told");
            tokio::task::yield_now().await;
        }
        w.co.settled().await;

        assert_eq!(names(&db).await.unwrap(), ["new", "art"], "{pre_select}");
    }
}

#[tokio::test]
async fn savepoints_that_end_in_the_wrong_order_lose_nothing() {
    let w = World::new().await;
    now_cached!(w, names(&w.db));

    let tx = w.db.begin().await.unwrap();
    let first = tx.begin().await.unwrap();
    first.execute_unprepared("UPDATE category SET name = 'new' WHERE id = 1").await.unwrap();
    let second = tx.begin().await.unwrap();
    // The database takes back the innermost, whoever asks for it.
    first.rollback().await.unwrap();
    second.commit().await.unwrap();
    tx.commit().await.unwrap();

    let row = category::Entity::find_by_id(1).one(w.db.inner()).await.unwrap().unwrap();
    assert_eq!(names(&w.db).await.unwrap()[0], row.name);
}

#[tokio::test]
async fn a_savepoint_that_outlives_its_transaction_is_told_with_the_commit() {
    let w = World::new().await;
    now_cached!(w, names(&w.db));

    let tx = w.db.begin().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint.execute_unprepared("UPDATE category SET name = 'new' WHERE id = 1").await.unwrap();
    tx.commit().await.unwrap();
    names(&w.db).await.unwrap();
    savepoint.commit().await.unwrap();

    let row = category::Entity::find_by_id(1).one(w.db.inner()).await.unwrap().unwrap();
    assert_eq!(names(&w.db).await.unwrap()[0], row.name);
}

#[tokio::test]
async fn a_block_that_swallows_an_error_is_not_kept() {
    let w = World::new().await;
    let tables = Arc::new(w.db.clone());
    let block = || {
        let tables = Arc::clone(&tables);
        async move {
            tables
                .reads("names")
                .get_or_load(|db| async move {
                    let sql = "SELECT name FROM later";
                    let rows = db.query_all_raw(sqlite(sql)).await.unwrap_or_default();
                    Ok(rows.len())
                })
                .await
        }
    };
    assert_eq!(block().await.unwrap(), 0);
    w.db.inner().execute_unprepared("CREATE TABLE later (name TEXT)").await.unwrap();
    w.db.inner().execute_unprepared("INSERT INTO later VALUES ('x')").await.unwrap();

    assert_eq!(block().await.unwrap(), 1);
}

#[derive(Copy, Clone, Debug, sea_orm::EnumIter, sea_orm::DeriveColumn)]
enum TitleFirst {
    Title,
    Secret,
}

#[derive(Copy, Clone, Debug, sea_orm::EnumIter, sea_orm::DeriveColumn)]
enum SecretFirst {
    Secret,
    Title,
}

#[tokio::test]
async fn one_statement_read_by_two_lists_of_columns_is_two_results() {
    let w = World::new().await;
    let query = || {
        let one = article::Entity::find().filter(article::Column::Id.eq(1)).select_only();
        one.column(article::Column::Title).column(article::Column::Secret)
    };
    let pair = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];

    let first = query().into_values::<(String, String), TitleFirst>().cache().all(&w.db).await;
    assert_eq!(first.unwrap(), pair("article 1", "secret 1"));
    let second = query().into_values::<(String, String), SecretFirst>().cache().all(&w.db).await;
    assert_eq!(second.unwrap(), pair("secret 1", "article 1"));
    still_cached!(w, query().into_values::<(String, String), SecretFirst>().cache().all(&w.db));
}

/// A mail has two keys to its members; only who receives it owns it.
mod mail {
    pub mod member {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "member")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub name: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod letter {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "letter")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub sender_id: Option<i32>,
            pub receiver_id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {
            #[sea_orm(
                belongs_to = "super::member::Entity",
                from = "Column::SenderId",
                to = "super::member::Column::Id",
                on_delete = "SetNull"
            )]
            Sender,
            #[sea_orm(
                belongs_to = "super::member::Entity",
                from = "Column::ReceiverId",
                to = "super::member::Column::Id",
                on_delete = "Cascade"
            )]
            Receiver,
        }

        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod stamp {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "stamp")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub letter_id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {
            #[sea_orm(
                belongs_to = "super::letter::Entity",
                from = "Column::LetterId",
                to = "super::letter::Column::Id",
                on_delete = "Cascade"
            )]
            Letter,
        }

        impl ActiveModelBehavior for ActiveModel {}
    }
}

#[tokio::test]
async fn of_two_keys_to_one_table_each_is_followed() {
    use mail::{letter, member, stamp};
    let w = World::new().await;
    let sql = "CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE letter (id INTEGER PRIMARY KEY, sender_id INTEGER REFERENCES member ON DELETE SET NULL,
            receiver_id INTEGER NOT NULL REFERENCES member ON DELETE CASCADE);
        CREATE TABLE stamp (id INTEGER PRIMARY KEY, letter_id INTEGER NOT NULL REFERENCES letter ON DELETE CASCADE);
        INSERT INTO member VALUES (1, 'ann'), (2, 'bob');
        INSERT INTO letter VALUES (1, 1, 2);
        INSERT INTO stamp VALUES (1, 1);";
    w.db.inner().execute_unprepared(sql).await.unwrap();
    // Without rows that were read first, all that is known is the name.
    let connector = w.co.connector().pre_select(0);
    let connector = connector.model::<member::Entity>().model::<letter::Entity>();
    let db = connector.model::<stamp::Entity>().connect(w.db.inner().clone());
    let stamps = || stamp::Entity::find().filter(stamp::Column::Id.eq(1)).cache().all(&db);
    assert_eq!(now_cached!(w, stamps()).len(), 1);

    let bob = member::Entity::delete_many().filter(member::Column::Name.eq("bob"));
    bob.exec(&db).await.unwrap();

    assert_eq!(now_cached!(w, stamps()).len(), 0);
}
