//! Rows that no transaction has committed are never stored, wherever a statement calls what writes them.

use cacheops_sea_orm::{Cache, CacheReads, CachedConn, Connect};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DbBackend, DbErr, EntityTrait, FromQueryResult,
    Statement, TransactionTrait,
};
use support::{Postgres, Server};

use crate::entities::category;
use crate::world::{World, builder, now_cached};

const SCHEMA: &str = "
    CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE other (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    INSERT INTO category VALUES (1, 'committed');
    INSERT INTO other VALUES (1, 'one'), (2, 'two');
    CREATE FUNCTION bump() RETURNS INTEGER LANGUAGE sql AS
        $$ UPDATE category SET name = name || '+' RETURNING 1 $$;
    CREATE FUNCTION bump(INTEGER) RETURNS INTEGER LANGUAGE sql AS $$ SELECT bump() $$;
    CREATE FUNCTION bump(other) RETURNS INTEGER LANGUAGE sql AS $$ SELECT bump() $$;
    CREATE FUNCTION bumped(INTEGER, INTEGER) RETURNS BOOLEAN LANGUAGE sql AS $$ SELECT bump() > 0 $$;
    CREATE FUNCTION is_small(INTEGER) RETURNS BOOLEAN LANGUAGE sql AS $$ SELECT bump() > 0 $$;
    CREATE OPERATOR === (LEFTARG = INTEGER, RIGHTARG = INTEGER, FUNCTION = bumped);
    CREATE DOMAIN small AS INTEGER CHECK (is_small(VALUE));
    CREATE VIEW bumping AS SELECT id, bump() AS n FROM other;
    CREATE PROCEDURE bump_it() LANGUAGE sql AS $$ SELECT bump() $$;
    CREATE AGGREGATE bump_all(INTEGER) (SFUNC = bumped_sum, STYPE = INTEGER);
";

/// Statements that have `bump` called in one place each.
const STATEMENTS: &[&str] = &[
    "SELECT bump()",
    "SELECT id FROM other WHERE bump() = 1",
    "SELECT id FROM other ORDER BY bump(id)",
    "SELECT id FROM other LIMIT bump()",
    "SELECT id FROM other OFFSET bump()",
    "SELECT id FROM other FETCH FIRST (bump()) ROWS ONLY",
    "SELECT count(*) FROM other GROUP BY bump(id)",
    "SELECT count(*) FROM other HAVING bump() = 1",
    "SELECT DISTINCT ON (bump(id)) id FROM other",
    "SELECT * FROM bump()",
    "SELECT * FROM other, LATERAL bump(other.id)",
    "SELECT * FROM ROWS FROM (bump(), bump(1))",
    "SELECT * FROM other a JOIN other b ON bump(a.id) = b.id",
    "SELECT * FROM other TABLESAMPLE BERNOULLI (bump() * 100)",
    "SELECT sum(id) OVER (ORDER BY bump(id)) FROM other",
    "SELECT sum(id) OVER (PARTITION BY bump(id)) FROM other",
    "SELECT sum(id) OVER (ROWS bump() PRECEDING) FROM other",
    "SELECT sum(id) OVER w FROM other WINDOW w AS (ORDER BY bump(id))",
    "SELECT sum(id) FILTER (WHERE bump(id) = 1) FROM other",
    "SELECT string_agg(name, ',' ORDER BY bump(id)) FROM other",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY bump(id)) FROM other",
    "SELECT CASE WHEN id = 1 THEN bump() END FROM other",
    "SELECT CASE bump(id) WHEN 1 THEN 2 END FROM other",
    "SELECT coalesce(NULL, bump())",
    "SELECT ARRAY[bump()]",
    "SELECT ARRAY(SELECT bump())",
    "SELECT (ARRAY[1, 2])[bump()]",
    "SELECT ROW(bump(), 1)",
    "SELECT 1 WHERE 1 IN (bump())",
    "SELECT 1 WHERE 1 = ANY (ARRAY[bump()])",
    "SELECT 1 WHERE 1 BETWEEN bump() AND 2",
    "SELECT 1 WHERE bump()::text LIKE '1'",
    "SELECT EXISTS (SELECT 1 WHERE bump() = 1)",
    "SELECT bump()::text",
    "SELECT CAST(bump() AS text)",
    "SELECT EXTRACT(year FROM make_date(2000 + bump(), 1, 1))",
    "SELECT substring('abc' FROM bump())",
    "SELECT trim(BOTH bump()::text FROM '1a1')",
    "SELECT 'abc' COLLATE \"C\" || bump()",
    "SELECT make_date(2000, 1, bump()) AT TIME ZONE 'UTC'",
    "SELECT id FROM (SELECT id, bump() FROM other) AS inner_rows",
    "WITH w AS (SELECT bump() AS n) SELECT * FROM w",
    "WITH RECURSIVE w(n) AS (SELECT bump() UNION ALL SELECT n + 1 FROM w WHERE n < 2) SELECT * FROM w",
    "SELECT 1 UNION ALL SELECT bump()",
    "SELECT id FROM other EXCEPT SELECT bump()",
    "VALUES (bump())",
    "SELECT * FROM (VALUES (bump())) AS v",
    "SELECT 1 === 2",
    "SELECT 3::small",
    "SELECT other.bump FROM other",
    "SELECT * FROM bumping",
    "TABLE bumping",
    "EXPLAIN ANALYZE SELECT bump()",
    "CALL bump_it()",
    "DO $$ BEGIN PERFORM bump(); END $$",
    "EXECUTE bumps",
    "FETCH ALL FROM bumps",
    "CREATE TEMPORARY TABLE made AS SELECT bump()",
    "SELECT * FROM other, xmltable('/a' PASSING xmlparse(CONTENT '<a/>') COLUMNS n INTEGER DEFAULT bump())",
    "SELECT jsonb_path_exists(jsonb_build_object('n', bump()), '$.n')",
    "SELECT GROUPING(id), bump(id) FROM other GROUP BY ROLLUP (id)",
    "SELECT nullif(bump(), 2), greatest(bump(), 1)",
];

async fn names<S: cacheops_sea_orm::Source>(db: &S) -> Vec<String> {
    let rows = category::Entity::find().cache().all(db).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

async fn postgres() -> Option<(Postgres, Server, CachedConn)> {
    let postgres = Postgres::start()?;
    let server = Server::start();
    let mut options = ConnectOptions::new(postgres.url());
    options.max_connections(2).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    let sum =
        "CREATE FUNCTION bumped_sum(INTEGER, INTEGER) RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'";
    connection.execute_unprepared(sum).await.unwrap();
    connection.execute_unprepared(SCHEMA).await.unwrap();
    let db = builder(&server).build().await.unwrap().connect(connection);
    Some((postgres, server, db))
}

#[tokio::test]
async fn on_postgres_rows_of_a_function_are_not_stored_wherever_it_is_called() {
    let Some((_postgres, _server, db)) = postgres().await else { return };
    let mut stored = Vec::new();
    let mut without_effect = Vec::new();
    for statement in STATEMENTS {
        // A hit would store nothing.
        db.cacheops().invalidate_all().await.unwrap();
        let tx = db.begin().await.unwrap();
        let prepare = match *statement {
            "EXECUTE bumps" => Some("PREPARE bumps AS SELECT bump()"),
            "FETCH ALL FROM bumps" => Some("DECLARE bumps CURSOR FOR SELECT bump()"),
            _ => None,
        };
        if let Some(prepare) = prepare {
            tx.execute_unprepared(prepare).await.unwrap();
        }
        let run = Statement::from_string(DbBackend::Postgres, *statement);
        tx.query_all_raw(run).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let now = category::Entity::find().all(&tx).await.unwrap().remove(0).name;
        if now == "committed" {
            without_effect.push(statement);
        }
        names(&tx).await;
        drop(tx);

        if names(&db).await != ["committed"] {
            stored.push(statement);
        }
    }
    assert_eq!(without_effect, [] as [&&str; 0], "they call nothing: the test is wrong");
    assert_eq!(stored, [] as [&&str; 0]);
}

/// The rules of the analyser do not know what a view does. Blocks and functions are no other case.
#[tokio::test]
async fn on_postgres_blocks_and_functions_store_nothing_of_a_transaction_that_has_written() {
    let Some((_postgres, _server, db)) = postgres().await else { return };
    let tx = db.begin().await.unwrap();
    tx.query_all_raw(Statement::from_string(DbBackend::Postgres, "SELECT * FROM bumping"))
        .await
        .unwrap();
    let all = category::Entity::find;
    let block = tx.reads("names").get_or_load(|db| async move { all().all(&db).await });
    assert_eq!(block.await.unwrap()[0].name, "committed++");
    let function = tx.cached_as("names", all()).get_or_load(|| async { all().all(&tx).await });
    assert_eq!(function.await.unwrap()[0].name, "committed++");
    drop(tx);

    let block = db.reads("names").get_or_load(|db| async move { all().all(&db).await });
    assert_eq!(block.await.unwrap()[0].name, "committed");
    let function = db.cached_as("names", all()).get_or_load(|| async { all().all(&db).await });
    assert_eq!(function.await.unwrap()[0].name, "committed");
}

/// Where the transaction has only read, its results are stored as ever.
#[tokio::test]
async fn on_postgres_a_transaction_that_reads_fills_the_cache() {
    let Some((_postgres, _server, db)) = postgres().await else { return };
    let tx = db.begin().await.unwrap();
    names(&tx).await;
    tx.commit().await.unwrap();

    let before = db.cacheops().stats();
    names(&db).await;
    assert_eq!(db.cacheops().stats().hits, before.hits + 1);
}

/// A statement that is cached need not be a read.
#[tokio::test]
async fn a_write_behind_cache_is_a_write() {
    let w = World::new().await;
    let all = || category::Entity::find().cache().all(&w.db);
    let raw = |sql: &str| {
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        category::Model::find_by_statement(statement).cache()
    };
    assert_eq!(now_cached!(w, all()).len(), 2);
    let inserted = raw("INSERT INTO category VALUES (7, 'new') RETURNING *").all(&w.db).await;
    assert_eq!(inserted.unwrap()[0].id, 7);
    assert_eq!(now_cached!(w, all()).len(), 3);
    let one = raw("UPDATE category SET name = 'x' WHERE id = 7 RETURNING *").one(&w.db).await;
    assert_eq!(one.unwrap().unwrap().name, "x");
    assert_eq!(now_cached!(w, all())[2].name, "x");

    let tx = w.db.begin().await.unwrap();
    raw("DELETE FROM category WHERE id = 7 RETURNING *").all(&tx).await.unwrap();
    assert_eq!(category::Entity::find().cache().all(&tx).await.unwrap().len(), 2);
    drop(tx);
    assert_eq!(all().await.unwrap().len(), 3);

    let block = w.db.reads("writes").get_or_load(|db| async move {
        let sql = "DELETE FROM category WHERE id = 7";
        db.execute_unprepared(sql).await?;
        Ok::<_, DbErr>(1)
    });
    assert!(block.await.is_err());
}

/// What is written by the plain transaction is not seen: from then on nothing is read from the cache or stored.
#[tokio::test]
async fn a_transaction_whose_plain_connection_was_taken_stores_nothing() {
    let w = World::new().await;
    let tx = w.db.begin().await.unwrap();
    let sql = "UPDATE category SET name = 'uncommitted'";
    tx.inner().execute_unprepared(sql).await.unwrap();
    assert_eq!(names(&tx).await, ["uncommitted", "uncommitted"]);
    drop(tx);

    assert_eq!(names(&w.db).await, ["tech", "art"]);
}
