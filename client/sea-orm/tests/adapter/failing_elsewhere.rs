//! What fails or is read in its own way on MariaDB (`make test-mariadb`), PostgreSQL and SQLite.

use cacheops_sea_orm::{Cache, CachedConn, Cacheops, Connect, Schema, Table};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DbBackend, DbErr, EntityTrait,
    IsolationLevel, QueryFilter, Statement, TransactionTrait,
};
use support::{MariaDb, Postgres, Server};

use crate::world::{builder, pool};

mod unsigned {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "counter")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: u32,
        pub big: u64,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use unsigned::{Column, Entity};

struct Maria {
    co: Cacheops,
    db: CachedConn,
    _server: Server,
    _maria: MariaDb,
}

async fn maria(engine: &str) -> Maria {
    let (server, maria) = (Server::start(), MariaDb::start());
    let first = pool(maria.url("mysql"), 4).await;
    first.execute_unprepared("CREATE DATABASE odd").await.unwrap();
    let connection = pool(maria.url("odd"), 4).await;
    let sql = format!(
        "CREATE TABLE counter (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, big BIGINT UNSIGNED NOT NULL,
         bits BIT(8) NOT NULL DEFAULT 5, name VARCHAR(20) NOT NULL) ENGINE={engine}"
    );
    connection.execute_unprepared(&sql).await.unwrap();
    let sql = "INSERT INTO counter (id, big, name) VALUES (7, 18446744073709551615, 'seven'), (8, 9, 'eight')";
    connection.execute_unprepared(sql).await.unwrap();
    let co = builder(&server).build().await.unwrap();
    let db = co.connector().model::<Entity>().connect(connection);
    Maria { co, db, _server: server, _maria: maria }
}

async fn name(db: &CachedConn, id: u32) -> Result<Option<String>, DbErr> {
    Ok(Entity::find_by_id(id).cache().one(db).await?.map(|row| row.name))
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_unsigned_numbers_are_read_as_numbers() {
    let m = maria("InnoDB").await;
    let big = |big: u64| Entity::find().filter(Column::Big.eq(big)).cache().all(&m.db);
    for id in [7, 8] {
        name(&m.db, id).await.unwrap();
    }
    big(u64::MAX).await.unwrap();
    big(9).await.unwrap();

    for (old, new) in [("seven", "new"), ("eight", "new 8")] {
        let sql = format!("UPDATE counter SET name = '{new}' WHERE name = '{old}'");
        m.db.execute_raw(Statement::from_string(DbBackend::MySql, sql)).await.unwrap();
    }

    assert_eq!(name(&m.db, 7).await.unwrap().as_deref(), Some("new"));
    assert_eq!(name(&m.db, 8).await.unwrap().as_deref(), Some("new 8"));
    assert_eq!(big(u64::MAX).await.unwrap()[0].name, "new");
    assert_eq!(big(9).await.unwrap()[0].name, "new 8");
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_rows_that_a_failed_statement_has_kept_are_told() {
    let m = maria("MyISAM").await;
    assert_eq!(name(&m.db, 9).await.unwrap(), None);

    let sql = "INSERT INTO counter (id, big, name) VALUES (9, 1, 'kept'), (7, 1, 'refused')";
    let statement = Statement::from_string(DbBackend::MySql, sql);
    m.db.execute_raw(statement).await.unwrap_err();

    assert_eq!(name(&m.db, 9).await.unwrap().as_deref(), Some("kept"));
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_rows_that_stay_when_they_are_rolled_back_are_told() {
    for drops in [true, false] {
        for in_savepoint in [true, false] {
            let m = maria("MyISAM").await;
            name(&m.db, 7).await.unwrap();

            let tx = m.db.begin().await.unwrap();
            let update = "UPDATE counter SET name = 'stays' WHERE id = 7";
            let savepoint = if in_savepoint { Some(tx.begin().await.unwrap()) } else { None };
            savepoint.as_ref().unwrap_or(&tx).execute_unprepared(update).await.unwrap();
            match savepoint {
                Some(savepoint) if !drops => savepoint.rollback().await.unwrap(),
                savepoint => drop(savepoint),
            }
            if drops {
                drop(tx)
            } else {
                tx.rollback().await.unwrap()
            }
            m.co.settled().await;

            assert_eq!(name(&m.db, 7).await.unwrap().as_deref(), Some("stays"), "{drops}");
        }
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_rows_that_nobody_has_committed_are_not_stored() {
    let m = maria("InnoDB").await;
    let writer = m.db.begin().await.unwrap();
    writer.execute_unprepared("UPDATE counter SET name = 'undone' WHERE id = 7").await.unwrap();

    let level = Some(IsolationLevel::ReadUncommitted);
    let reader = m.db.begin_with_config(level, None).await.unwrap();
    let row = Entity::find_by_id(7_u32).cache().one(&reader).await.unwrap().unwrap();
    assert_eq!(row.name, "undone");
    reader.commit().await.unwrap();
    writer.rollback().await.unwrap();

    assert_eq!(name(&m.db, 7).await.unwrap().as_deref(), Some("seven"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make test-mariadb"]
async fn on_mariadb_what_is_written_after_a_deadlock_is_told_at_once() {
    let m = maria("InnoDB").await;
    for id in [7, 8] {
        name(&m.db, id).await.unwrap();
    }
    let write = |id: u32| format!("UPDATE counter SET name = 'x' WHERE id = {id}");
    let (one, two) = (m.db.begin().await.unwrap(), m.db.begin().await.unwrap());
    one.execute_unprepared(&write(7)).await.unwrap();
    two.execute_unprepared(&write(8)).await.unwrap();
    let (a, b) = (write(8), write(7));
    let (first, second) = tokio::join!(one.execute_unprepared(&a), two.execute_unprepared(&b));
    let (victim, other) = if first.is_err() { (one, two) } else { (two, one) };
    assert!(first.is_ok() != second.is_ok());
    other.rollback().await.unwrap();

    // The server has ended the transaction: this takes effect at once.
    victim.execute_unprepared("UPDATE counter SET name = 'after' WHERE id = 7").await.unwrap();
    let _ = victim.rollback().await;

    let now = Entity::find_by_id(7_u32).one(m.db.inner()).await.unwrap().unwrap().name;
    assert_eq!(now, "after");
    assert_eq!(name(&m.db, 7).await.unwrap(), Some(now));
    let _ = &m.co;
}

mod event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "event")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const EVENTS: &str = "CREATE TABLE event (id INTEGER PRIMARY KEY, name TEXT NOT NULL, day DATE)";

async fn event(db: &CachedConn, id: i32) -> Option<String> {
    event::Entity::find_by_id(id).cache().one(db).await.unwrap().map(|row| row.name)
}

#[tokio::test]
async fn on_postgres_a_day_without_end_is_no_panic() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let connection = pool(postgres.url(), 4).await;
    connection.execute_unprepared(EVENTS).await.unwrap();
    let sql = "INSERT INTO event VALUES (1, 'a', 'infinity'), (2, 'b', '-infinity'), (3, 'c', '0044-03-15 BC')";
    connection.execute_unprepared(sql).await.unwrap();
    let db = builder(&server).build().await.unwrap().connect(connection);
    for id in 1..=3 {
        event(&db, id).await;
        let sql = format!("UPDATE event SET name = 'new' WHERE id = {id}");
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        db.execute_raw(statement).await.unwrap();

        assert_eq!(event(&db, id).await.as_deref(), Some("new"));
    }
    let before = db.cacheops().stats();
    let sql = "INSERT INTO event VALUES (1, 'refused')";
    db.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap_err();

    event(&db, 1).await;
    assert_eq!(db.cacheops().stats().hits, before.hits + 1, "nothing has changed");
}

#[tokio::test]
async fn on_postgres_connections_with_other_options_share_no_results() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let co = builder(&server).build().await.unwrap();
    let admin = pool(postgres.url(), 4).await;
    for tenant in ["one", "two"] {
        let sql = format!(
            "CREATE SCHEMA {tenant}; CREATE TABLE {tenant}.event (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             INSERT INTO {tenant}.event VALUES (1, 'of {tenant}')"
        );
        admin.execute_unprepared(&sql).await.unwrap();
    }
    for tenant in ["one", "two"] {
        let mut options = ConnectOptions::new(postgres.url());
        options.sqlx_logging(false).max_connections(1);
        options.map_sqlx_postgres_opts(move |options| options.options([("search_path", tenant)]));
        let db = co.connect(Database::connect(options).await.unwrap());

        assert_eq!(event(&db, 1).await, Some(format!("of {tenant}")));
    }
}

async fn events(sql: &str) -> Option<(Postgres, Server, Cacheops, CachedConn)> {
    let postgres = Postgres::start()?;
    let server = Server::start();
    let connection = pool(postgres.url(), 4).await;
    connection.execute_unprepared(EVENTS).await.unwrap();
    connection.execute_unprepared("INSERT INTO event VALUES (1, 'old')").await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    let co = builder(&server).build().await.unwrap();
    let db = co.connect(connection);
    Some((postgres, server, co, db))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_commit_that_is_forgotten_while_it_waits_is_told_after_it_has_run() {
    let sql = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON event DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait()";
    let Some((_postgres, _server, co, db)) = events(sql).await else { return };
    event(&db, 1).await;
    let holder = db.inner().begin().await.unwrap();
    holder.execute_unprepared("SELECT pg_advisory_xact_lock(1)").await.unwrap();

    let tx = db.begin().await.unwrap();
    tx.execute_unprepared("UPDATE event SET name = 'new' WHERE id = 1").await.unwrap();
    let waited = std::time::Duration::from_millis(200);
    tokio::time::timeout(waited, tx.commit()).await.unwrap_err();
    co.settled().await;
    assert_eq!(event(&db, 1).await.as_deref(), Some("old"));
    holder.rollback().await.unwrap();

    let deadline = std::time::Instant::now() + support::deadline();
    let now = async || event::Entity::find_by_id(1).one(db.inner()).await.unwrap().unwrap().name;
    while now().await == "old" || co.stats().invalidations == 0 {
        assert!(std::time::Instant::now() < deadline, "{:?}", co.stats());
        tokio::task::yield_now().await;
    }
    co.settled().await;
    assert_eq!(event(&db, 1).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn on_postgres_what_a_session_has_set_is_seen_by_its_transaction_alone() {
    let sql =
        "CREATE SCHEMA two; CREATE TABLE two.event (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        INSERT INTO two.event VALUES (1, 'of two')";
    let Some((_postgres, _server, _co, db)) = events(sql).await else { return };
    for set in ["SET LOCAL search_path = two", "SELECT set_config('search_path', 'two', true)"] {
        event(&db, 1).await;
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared(set).await.unwrap();
        let row = event::Entity::find_by_id(1).cache().one(&tx).await.unwrap().unwrap();
        assert_eq!(row.name, "of two", "{set}");
        tx.commit().await.unwrap();

        db.cacheops().invalidate_all().await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared(set).await.unwrap();
        event::Entity::find_by_id(1).cache().one(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(event(&db, 1).await.as_deref(), Some("old"), "{set}");
    }
}

/// To read and lock a whole row takes more privileges than to write to it, and an error ends the transaction.
#[tokio::test]
async fn on_postgres_a_write_that_is_allowed_is_never_refused_for_our_sake() {
    let all = "INSERT INTO event VALUES (2, 'second'); CREATE ROLE clerk LOGIN; CREATE ROLE cleaner LOGIN;
        GRANT SELECT (id, name), UPDATE (name) ON event TO clerk; GRANT SELECT, DELETE ON event TO cleaner";
    let Some((postgres, _server, co, db)) = events(all).await else { return };
    for (role, write, now) in [
        ("clerk", "UPDATE event SET name = 'new' WHERE id = 1", Some("new")),
        ("cleaner", "DELETE FROM event WHERE id = 1", None),
    ] {
        event(&db, 1).await;
        event(&db, 2).await;
        let url = postgres.url().replace("postgres@", &format!("{role}@"));
        let theirs = co.connect(pool(url, 4).await);
        let statement = || Statement::from_string(DbBackend::Postgres, write);

        let tx = theirs.begin().await.unwrap();
        tx.execute_raw(statement()).await.unwrap();
        tx.execute_raw(statement()).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(event(&db, 1).await.as_deref(), now, "{role}");
        let before = co.stats();
        event(&db, 2).await;
        assert_eq!(co.stats().hits, before.hits + 1, "{role}: another row");
        theirs.execute_raw(statement()).await.unwrap();
    }
}

#[tokio::test]
async fn on_postgres_what_a_function_has_written_is_not_stored_before_the_commit() {
    let sql = "CREATE FUNCTION rename() RETURNS integer LANGUAGE sql AS
        'UPDATE event SET name = ''undone'' WHERE id = 1 RETURNING id'";
    let Some((_postgres, _server, _co, db)) = events(sql).await else { return };

    for level in [None, Some(IsolationLevel::ReadCommitted)] {
        let tx = db.begin_with_config(level, None).await.unwrap();
        tx.execute_unprepared("SELECT rename()").await.unwrap();
        let row = event::Entity::find_by_id(1).cache().one(&tx).await.unwrap().unwrap();
        assert_eq!(row.name, "undone");
        tx.rollback().await.unwrap();

        assert_eq!(event(&db, 1).await.as_deref(), Some("old"));
        db.cacheops().invalidate_all().await.unwrap();
    }
}

#[tokio::test]
async fn on_postgres_an_analysed_plan_of_a_write_is_a_write() {
    let Some((_postgres, _server, _co, db)) = events("SELECT 1").await else { return };
    event(&db, 1).await;

    let sql = "EXPLAIN ANALYZE UPDATE event SET name = 'new' WHERE id = 1";
    db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();

    assert_eq!(event(&db, 1).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn on_postgres_numbers_longer_than_the_driver_keeps_them_are_found() {
    let sql = "ALTER TABLE event ADD price NUMERIC; UPDATE event SET price = 1.0000000000000000000000000000001;
        INSERT INTO event (id, name, price) VALUES (2, 'b', 'NaN'), (3, 'c', 1e40), (4, 'd', 'Infinity')";
    let Some((_postgres, _server, _co, db)) = events(sql).await else { return };
    for (id, price) in
        [(1, "1.0000000000000000000000000000001"), (2, "'NaN'"), (3, "1e40"), (4, "'Infinity'")]
    {
        let sql = format!("price = {price}");
        let ask = || event::Entity::find().filter(Expr::cust(sql.clone())).cache();
        assert_eq!(ask().all(&db).await.unwrap().len(), 1, "{sql}");
        let write = format!("UPDATE event SET name = 'new' WHERE id = {id}");
        db.execute_raw(Statement::from_string(DbBackend::Postgres, write)).await.unwrap();

        assert_eq!(ask().all(&db).await.unwrap()[0].name, "new", "{sql}");
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_odd_values_are_found_or_unknown() {
    let m = maria("InnoDB").await;
    let raw = |sql: &str| Statement::from_string(DbBackend::MySql, sql);
    let sql = "ALTER TABLE counter ADD day DATE, ADD year YEAR, ADD word SET('a', 'b'), ADD price DECIMAL(65, 30)";
    m.db.inner().execute_unprepared(sql).await.unwrap();
    let sql = "UPDATE IGNORE counter SET day = '0000-00-00', year = 2024, word = 'a,b', bits = 7,
        price = 1.000000000000000000000000000001 WHERE id = 7";
    m.db.inner().execute_raw(raw(sql)).await.unwrap();
    for condition in [
        "day = '0000-00-00'",
        "year = 2024",
        "word = 'a,b'",
        "bits = 7",
        "bits = b'111'",
        "bits = 0x07",
        "price = 1.000000000000000000000000000001",
        "big = 18446744073709551615",
        "id = '7'",
    ] {
        m.db.inner()
            .execute_raw(raw("UPDATE counter SET name = 'old' WHERE id = 7"))
            .await
            .unwrap();
        let sql = condition;
        let ask = || Entity::find().filter(Expr::cust(sql)).cache().all(&m.db);
        m.co.invalidate_all().await.unwrap();
        assert_eq!(ask().await.unwrap().len(), 1, "{sql}");

        m.db.execute_raw(raw("UPDATE counter SET name = 'new' WHERE name = 'old'")).await.unwrap();

        assert_eq!(ask().await.unwrap()[0].name, "new", "{sql}");
    }
}

/// The constraint deletes a row that no statement names.
#[tokio::test]
async fn on_sqlite_a_table_that_replaces_by_its_schema_also_changes_itself() {
    let w = crate::world::World::new().await;
    let sql = "CREATE TABLE event (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE);
        INSERT INTO event VALUES (1, 'a')";
    w.db.inner().execute_unprepared(sql).await.unwrap();
    let schema = Schema::new().table(Table::new("event").also(["event"]));
    let db = w.co.connector().schema(schema).connect(w.db.inner().clone());
    assert_eq!(event(&db, 1).await.as_deref(), Some("a"));

    let sql = "INSERT INTO event (id, name) VALUES (2, 'a')";
    db.execute_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();

    assert_eq!(event(&db, 1).await, None);
}
