//! A transaction holds a connection of the pool, so it must not wait for a reader that needs one.

use cacheops_sea_orm::{Cache, Connect};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, EntityTrait, IsolationLevel, TransactionTrait,
};
use support::{Postgres, Server};

use crate::entities::{TABLES, category};
use crate::world::builder;

#[tokio::test]
async fn a_transaction_does_not_wait_for_who_waits_for_its_connection() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let mut options = ConnectOptions::new(postgres.url());
    options.max_connections(1).sqlx_logging(false).acquire_timeout(support::deadline());
    let connection = Database::connect(options).await.unwrap();
    connection.execute_unprepared(TABLES).await.unwrap();
    let co = builder(&server).build().await.unwrap();
    let db = co.connect(connection);
    let all = || category::Entity::find().cache().lock(true);
    // The first read of all asks which database it is.
    all().all(&db).await.unwrap();
    co.invalidate_all().await.unwrap();

    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead] {
        let tx = db.begin_with_config(Some(level), None).await.unwrap();
        let other = db.clone();
        let reader = tokio::spawn(async move { all().all(&other).await });
        while co.flights() == 0 {
            tokio::task::yield_now().await;
        }

        assert_eq!(all().all(&tx).await.unwrap(), []);
        let computed = tx.cached_as("f", category::Entity::find()).lock(true);
        computed.get_or_load(|| async { Ok::<_, ()>(1) }).await.unwrap();
        assert_eq!(co.flights(), 1, "the other waits still, for the connection");

        tx.commit().await.unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), []);
        co.invalidate_all().await.unwrap();
    }
}
