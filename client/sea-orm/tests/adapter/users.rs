//! Connections that do not see the same rows: of other users, and of other databases.

use cacheops_sea_orm::{Cache, CachedConn, Connect, Profile};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, Statement, TransactionTrait,
};
use support::{MariaDb, Postgres, Server};

use crate::entities::{TABLES, article, category};
use crate::world::{World, builder, new_article, open, pool};

mod paper {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "paper")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub state: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

async fn state(db: &CachedConn, id: i32) -> Option<String> {
    paper::Entity::find_by_id(id).cache().one(db).await.unwrap().map(|row| row.state)
}

/// Of two rows of a shelf the one may be locked and the other deleted: as many, and not the same.
#[tokio::test]
async fn on_postgres_rows_that_a_policy_lets_be_deleted_are_told() {
    let Some(postgres) = Postgres::start() else { return };
    let (server, connection) = (Server::start(), pool(postgres.url(), 2).await);
    let sql = "CREATE TABLE paper (id INTEGER PRIMARY KEY, state TEXT NOT NULL, shelf INTEGER NOT NULL);
        INSERT INTO paper VALUES (1, 'draft', 7), (2, 'archived', 7), (3, 'draft', 8), (4, 'draft', 6);
        CREATE ROLE editor LOGIN; GRANT SELECT, UPDATE, DELETE ON paper TO editor";
    let secured =
        "ALTER TABLE paper ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON paper FOR SELECT USING (true);
        CREATE POLICY drafts ON paper FOR UPDATE USING (state = 'draft');
        CREATE POLICY archived ON paper FOR DELETE USING (state = 'archived')";
    connection.execute_unprepared(sql).await.unwrap();
    let co = builder(&server).build().await.unwrap();
    let db = co.connect(connection);
    let theirs = co.connect(pool(postgres.url().replace("postgres@", "editor@"), 2).await);
    let execute = async |sql: &str| {
        let done = theirs.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        done.unwrap().rows_affected()
    };
    for id in 1..=3 {
        state(&db, id).await;
    }

    assert_eq!(execute("DELETE FROM paper WHERE shelf = 6").await, 1);
    let before = co.stats();
    state(&db, 2).await;
    assert_eq!(co.stats().hits, before.hits + 1, "without policies they are the same");
    db.inner().execute_unprepared(secured).await.unwrap();
    assert_eq!(execute("DELETE FROM paper WHERE shelf = 7").await, 1);
    assert_eq!(state(&db, 2).await, None);

    // Whoever may lock a row may update it.
    state(&db, 3).await;
    let before = co.stats();
    assert_eq!(execute("UPDATE paper SET shelf = 9 WHERE state = 'draft' AND shelf = 7").await, 1);
    state(&db, 3).await;
    assert_eq!(co.stats().hits, before.hits + 1, "another row");
}

/// Who the transaction is may change in it.
#[tokio::test]
async fn on_postgres_what_one_role_may_read_another_need_not() {
    let Some(postgres) = Postgres::start() else { return };
    let (server, connection) = (Server::start(), pool(postgres.url(), 2).await);
    let sql = "CREATE TABLE paper (id INTEGER PRIMARY KEY, state TEXT NOT NULL, secret TEXT);
        INSERT INTO paper VALUES (1, 'draft'), (2, 'draft');
        CREATE ROLE clerk; GRANT SELECT (id, state), UPDATE (state) ON paper TO clerk";
    connection.execute_unprepared(sql).await.unwrap();
    let db = builder(&server).build().await.unwrap().connect(connection);
    let update = |id| {
        let sql = format!("UPDATE paper SET state = 'new' WHERE id = {id}");
        Statement::from_string(DbBackend::Postgres, sql)
    };
    state(&db, 2).await;
    db.execute_raw(update(1)).await.unwrap();

    let tx = db.begin().await.unwrap();
    tx.execute_unprepared("SET LOCAL ROLE clerk").await.unwrap();
    tx.execute_raw(update(2)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(state(&db, 2).await.as_deref(), Some("new"));
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_a_view_of_who_asks_is_another_for_each_user() {
    let (server, maria) = (Server::start(), MariaDb::start());
    let admin = pool(maria.url("mysql"), 2).await;
    for sql in [
        "CREATE DATABASE office",
        "CREATE TABLE office.papers (id INT PRIMARY KEY, state VARCHAR(20) NOT NULL, owner VARCHAR(20) NOT NULL)",
        "INSERT INTO office.papers VALUES (1, 'of ann', 'ann'), (2, 'of bob', 'bob')",
        "CREATE VIEW office.paper AS SELECT * FROM office.papers WHERE owner = SUBSTRING_INDEX(USER(), '@', 1)",
        "CREATE USER ann@localhost",
        "CREATE USER bob@localhost",
        "GRANT ALL ON office.* TO ann@localhost",
        "GRANT ALL ON office.* TO bob@localhost",
    ] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let co = builder(&server).build().await.unwrap();
    for user in ["ann", "bob"] {
        let url = maria.url("office").replace("root@", &format!("{user}@"));
        let db = co.connect(pool(url, 2).await);
        let mine = paper::Entity::find().order_by_asc(paper::Column::Id).cache().all(&db).await;

        assert_eq!(mine.unwrap()[0].state, format!("of {user}"));
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_a_moment_is_another_time_in_each_zone() {
    let (server, maria) = (Server::start(), MariaDb::start());
    let admin = pool(maria.url("mysql"), 2).await;
    for sql in [
        "CREATE DATABASE office",
        "CREATE TABLE office.moment (id INT PRIMARY KEY, at TIMESTAMP NOT NULL)",
        "INSERT INTO office.moment VALUES (1, '2026-01-01 12:00:00')",
        "CREATE VIEW office.paper AS SELECT id, CAST(at AS CHAR) AS state FROM office.moment",
    ] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let co = builder(&server).build().await.unwrap();
    for (zone, time) in [("%2B00:00", "12:00:00"), ("%2B02:00", "14:00:00")] {
        let db = co.connect(pool(format!("{}&timezone={zone}", maria.url("office")), 2).await);

        assert_eq!(state(&db, 1).await, Some(format!("2026-01-01 {time}")));
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_a_database_that_was_dropped_and_created_again_is_another() {
    let (server, maria) = (Server::start(), MariaDb::start());
    let co = builder(&server).build().await.unwrap();
    let admin = pool(maria.url("mysql"), 2).await;
    for state_now in ["first", "second"] {
        admin.execute_unprepared("CREATE DATABASE shop").await.unwrap();
        let connection = pool(maria.url("shop"), 2).await;
        for sql in [
            "CREATE TABLE paper (id INT PRIMARY KEY, state VARCHAR(20) NOT NULL)",
            &format!("INSERT INTO paper VALUES (1, '{state_now}')"),
        ] {
            connection.execute_unprepared(sql).await.unwrap();
        }
        let (one, two) = (co.connect(connection.clone()), co.connect(connection.clone()));

        assert_eq!(state(&one, 1).await.as_deref(), Some(state_now));
        let before = co.stats();
        assert_eq!(state(&two, 1).await.as_deref(), Some(state_now));
        assert_eq!(co.stats().hits, before.hits + 1, "connections to one database share results");

        // A table is as old as the second in which it was made.
        let second = async || {
            let row = Statement::from_string(DbBackend::MySql, "SELECT UNIX_TIMESTAMP()");
            let row = admin.query_one_raw(row).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap()
        };
        let made = second().await;
        while second().await == made {}
        admin.execute_unprepared("DROP DATABASE shop").await.unwrap();
    }
}

/// The write needs less than reading the rows first does.
#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_a_write_succeeds_whose_rows_may_not_be_read() {
    let (server, maria) = (Server::start(), MariaDb::start());
    let admin = pool(maria.url("mysql"), 2).await;
    for sql in [
        "CREATE DATABASE office",
        "CREATE TABLE office.paper (id INT PRIMARY KEY, state VARCHAR(20) NOT NULL, secret VARCHAR(20))",
        "INSERT INTO office.paper VALUES (1, 'draft', 'a'), (2, 'draft', 'b'), (3, 'draft', 'c')",
        "CREATE USER clerk@localhost",
        "GRANT SELECT (id, state), UPDATE (state), DELETE ON office.paper TO clerk@localhost",
    ] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let co = builder(&server).build().await.unwrap();
    let db = co.connect(pool(maria.url("office"), 2).await);
    let clerk = co.connect(pool(maria.url("office").replace("root@", "clerk@"), 2).await);
    let update = |id: i32| {
        let sql = format!("UPDATE paper SET state = 'done' WHERE id = {id}");
        Statement::from_string(DbBackend::MySql, sql)
    };
    for id in 1..=3 {
        assert_eq!(state(&db, id).await.as_deref(), Some("draft"));
    }

    assert_eq!(clerk.execute_raw(update(1)).await.unwrap().rows_affected(), 1);
    let tx = clerk.begin().await.unwrap();
    assert_eq!(tx.execute_raw(update(2)).await.unwrap().rows_affected(), 1);
    let delete = Statement::from_string(DbBackend::MySql, "DELETE FROM paper WHERE id = 3");
    assert_eq!(tx.execute_raw(delete).await.unwrap().rows_affected(), 1);
    // What the write itself may not do is an error as ever.
    let forbidden =
        Statement::from_string(DbBackend::MySql, "UPDATE paper SET secret = 'x' WHERE id = 2");
    assert!(tx.execute_raw(forbidden).await.is_err());
    tx.commit().await.unwrap();

    for (id, now) in [(1, Some("done")), (2, Some("done")), (3, None)] {
        assert_eq!(state(&db, id).await.as_deref(), now);
    }
}

/// A database in memory may be called like a file that is there, or a directory.
#[tokio::test]
async fn a_database_in_memory_is_no_file() {
    let w = World::new().await;
    category::Entity::find().cache().all(&w.db).await.unwrap();
    let url = format!("sqlite://{}?mode=memory", w.dir.path().join("blog.db").display());
    for number in 1..=2 {
        let connection = pool(&url, 1).await;
        let table = "CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";
        connection.execute_unprepared(table).await.unwrap();
        let row = format!("INSERT INTO category VALUES (1, 'memory {number}')");
        connection.execute_unprepared(&row).await.unwrap();
        let db = w.co.connect(connection.clone());

        let rows = category::Entity::find().cache().all(&db).await.unwrap();
        assert_eq!(rows[0].name, format!("memory {number}"));
        connection.close().await.unwrap();
    }
}

/// The file has another content under the name it had. The first inode may be given to the second.
#[tokio::test]
async fn a_file_that_was_deleted_and_created_again_is_another_database() {
    let w = World::new().await;
    let names = async |db: &CachedConn| {
        let rows = category::Entity::find().cache().all(db).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    for name in ["first", "second", "third"] {
        let connection = open(&w.dir, "again.db").await;
        connection.execute_unprepared(TABLES).await.unwrap();
        let row = format!("INSERT INTO category VALUES (1, '{name}')");
        connection.execute_unprepared(&row).await.unwrap();
        let (one, two) = (w.co.connect(connection.clone()), w.co.connect(connection.clone()));

        assert_eq!(names(&one).await, [name]);
        let before = w.co.stats();
        assert_eq!(names(&two).await, [name]);
        assert_eq!(w.co.stats().hits, before.hits + 1, "connections to one file share results");

        connection.close().await.unwrap();
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(w.dir.path().join(format!("again.db{ending}")));
        }
    }
}

#[tokio::test]
async fn on_postgres_a_database_that_was_dropped_and_created_again_is_another() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let co = builder(&server).build().await.unwrap();
    let admin = pool(postgres.url(), 2).await;
    let url = format!("{}/shop", postgres.url().rsplit_once('/').unwrap().0);
    for state_now in ["first", "second"] {
        admin.execute_unprepared("CREATE DATABASE shop").await.unwrap();
        let connection = pool(url.clone(), 2).await;
        let sql = format!(
            "CREATE TABLE paper (id INTEGER PRIMARY KEY, state TEXT NOT NULL);
             INSERT INTO paper VALUES (1, '{state_now}')"
        );
        connection.execute_unprepared(&sql).await.unwrap();
        let (one, two) = (co.connect(connection.clone()), co.connect(connection.clone()));

        assert_eq!(state(&one, 1).await.as_deref(), Some(state_now));
        let before = co.stats();
        assert_eq!(state(&two, 1).await.as_deref(), Some(state_now));
        assert_eq!(co.stats().hits, before.hits + 1, "connections to one database share results");

        connection.close().await.unwrap();
        admin.execute_unprepared("DROP DATABASE shop WITH (FORCE)").await.unwrap();
    }
}

/// What a session sees under the same name depends on its settings.
#[tokio::test]
async fn on_postgres_sessions_of_two_search_paths_share_no_results() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let co = builder(&server).build().await.unwrap();
    let admin = pool(postgres.url(), 2).await;
    for tenant in ["ann", "bob"] {
        let sql = format!(
            "CREATE SCHEMA {tenant}; CREATE TABLE {tenant}.paper (id INTEGER PRIMARY KEY, state TEXT NOT NULL);
             INSERT INTO {tenant}.paper VALUES (1, 'of {tenant}')"
        );
        admin.execute_unprepared(&sql).await.unwrap();
    }
    for tenant in ["ann", "bob"] {
        let mut options = ConnectOptions::new(postgres.url());
        options.max_connections(2).sqlx_logging(false).set_schema_search_path(tenant);
        let db = co.connect(Database::connect(options).await.unwrap());

        assert_eq!(state(&db, 1).await, Some(format!("of {tenant}")));
    }
}

/// One table that is the same everywhere does not make those the same that it is joined with.
#[tokio::test]
async fn databases_share_what_is_made_of_tables_that_they_share() {
    let w = World::with(|server| {
        let shared = Profile::new().db_agnostic(true);
        builder(server).profile("category", shared).profile("*", Profile::new())
    })
    .await;
    let connection = open(&w.dir, "other.db").await;
    connection.execute_unprepared(TABLES).await.unwrap();
    let rows = "INSERT INTO category VALUES (1, 'tech'), (2, 'art')";
    connection.execute_unprepared(rows).await.unwrap();
    let other = w.co.connect(connection);
    article::Entity::insert(new_article(7, 1)).exec(&other).await.unwrap();
    let one = || category::Entity::find().filter(category::Column::Id.eq(1));
    let joined = async |db: &CachedConn| {
        let rows = one().find_with_related(article::Entity).cache().all(db).await.unwrap();
        rows[0].1.iter().map(|row| row.id).collect::<Vec<_>>()
    };

    assert_eq!(joined(&w.db).await, [1, 2]);
    assert_eq!(joined(&other).await, [7]);
    one().cache().all(&w.db).await.unwrap();
    let before = w.co.stats();
    one().cache().all(&other).await.unwrap();
    assert_eq!(w.co.stats().hits, before.hits + 1);
}
