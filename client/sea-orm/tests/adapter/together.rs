//! Two things at once: in one transaction, where one waits for its connection while the other ends a savepoint, and in
//! two, where the second has waited for the first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use cacheops_sea_orm::{Cache, Connect, Source};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, IsolationLevel, QuerySelect, SqliteTransactionMode,
    Statement, StreamTrait, TransactionOptions, TransactionTrait,
};
use support::{Postgres, Server};

use crate::entities::{article, category};
use crate::world::{World, builder, pool};

async fn name<S: Source>(db: &S) -> String {
    let first = category::Entity::find_by_id(1).cache().one(db).await.unwrap();
    first.unwrap().name
}

/// What takes the connection, as long as it is not dropped.
fn nothing() -> Statement {
    Statement::from_string(DbBackend::Sqlite, "SELECT 1")
}

/// Whether a future is not ready when it is asked once.
async fn waits<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn rows_of_a_savepoint_are_its_own_until_the_database_has_taken_them_back() {
    let w = World::new().await;
    let tx = w.db.begin().await.unwrap();
    article::Entity::find().cache().all(&tx).await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint.execute_unprepared("UPDATE category SET name = 'undone' WHERE id = 1").await.unwrap();

    // The connection is taken, so that the rollback waits, and the read is served before it.
    let taken = tx.stream_raw(nothing()).await.unwrap();
    let mut rollback = Box::pin(savepoint.rollback());
    assert!(waits(&mut rollback).await);
    drop(taken);
    assert_eq!(name(&tx).await, "undone");
    rollback.await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(name(&w.db).await, "tech");
}

#[tokio::test]
async fn a_write_that_waits_for_the_end_of_a_savepoint_is_not_taken_back_with_it() {
    for dropped in [false, true] {
        let w = World::new().await;
        let tx = w.db.begin().await.unwrap();
        article::Entity::find().cache().all(&tx).await.unwrap();
        let savepoint = tx.begin().await.unwrap();

        let taken = tx.stream_raw(nothing()).await.unwrap();
        let mut write =
            Box::pin(tx.execute_unprepared("UPDATE category SET name = 'new' WHERE id = 1"));
        assert!(waits(&mut write).await);
        if dropped {
            drop(taken);
            drop(savepoint);
        } else {
            let mut rollback = Box::pin(savepoint.rollback());
            assert!(waits(&mut rollback).await);
            drop(taken);
            rollback.await.unwrap();
        }
        write.await.unwrap();
        // It sees what nobody else does, and must not store it.
        assert_eq!(name(&tx).await, "new");
        assert_eq!(name(&w.db).await, "tech", "{dropped}");
        tx.commit().await.unwrap();

        assert_eq!(name(&w.db).await, "new");
    }
}

/// Somebody has committed, and is about to tell the cache. Who could only begin or lock after that must see it.
#[tokio::test]
async fn who_locks_what_it_reads_sees_what_is_committed() {
    let w = World::new().await;
    assert_eq!(name(&w.db).await, "tech");
    let update = "UPDATE category SET name = 'new' WHERE id = 1";
    w.db.inner().execute_unprepared(update).await.unwrap();

    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode, ..Default::default() };
    let tx = w.db.begin_with_options(options).await.unwrap();

    assert_eq!(name(&tx).await, "new");
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn on_postgres_who_locks_what_it_reads_sees_what_is_committed() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let connection = pool(postgres.url(), 4).await;
    let table = "CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        INSERT INTO category VALUES (1, 'tech')";
    connection.execute_unprepared(table).await.unwrap();
    let db = builder(&server).build().await.unwrap().connect(connection);
    assert_eq!(name(&db).await, "tech");
    let update = "UPDATE category SET name = 'new' WHERE id = 1";
    db.inner().execute_unprepared(update).await.unwrap();

    let tx = db.begin().await.unwrap();
    category::Entity::find_by_id(1).lock_exclusive().one(&tx).await.unwrap();
    assert_eq!(name(&tx).await, "new");
    tx.commit().await.unwrap();

    let level = Some(IsolationLevel::Serializable);
    let tx = db.begin_with_config(level, None).await.unwrap();
    assert_eq!(name(&tx).await, "new");
    tx.commit().await.unwrap();
}
