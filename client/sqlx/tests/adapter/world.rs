//! A server and a database, connected.

use cacheops_sqlx::{Cacheops, Profile};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use support::Server;

pub const TABLES: [&str; 3] = [
    "CREATE TABLE author (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL)",
    "CREATE TABLE post (id BIGINT NOT NULL PRIMARY KEY, author BIGINT NOT NULL, title VARCHAR(50) NOT NULL, \
     note VARCHAR(50))",
    "CREATE TABLE numbered (id BIGINT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
];

#[derive(Clone, Debug, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
pub struct Post {
    pub id: i64,
    pub author: i64,
    pub title: String,
    pub note: Option<String>,
}

pub fn post(id: i64, author: i64, title: &str) -> Post {
    Post { id, author, title: title.to_owned(), note: None }
}

pub async fn cacheops(server: &Server) -> Cacheops {
    Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .connect_timeout(support::deadline())
        .profile("*", Profile::new())
        .build()
        .await
        .unwrap()
}

/// Whether the queries that `read` makes are all answered by the cache, and what they say.
pub async fn hits<T>(co: &Cacheops, read: impl Future<Output = T>) -> (bool, T) {
    let before = co.stats();
    let value = read.await;
    let after = co.stats();
    let loaded = after.misses + after.bypasses - before.misses - before.bypasses;
    (after.hits > before.hits && loaded == 0, value)
}

macro_rules! world {
    ($database:ty, $mark:literal) => {
        use cacheops_sqlx::{CachedPool, Connect};
        use sqlx::AssertSqlSafe;

        pub type Db = $database;

        /// A text with this database's marks for its parameters, which are written in their order.
        pub fn sql(text: &str) -> AssertSqlSafe<String> {
            super::marked(text, $mark)
        }

        pub struct World {
            pub co: cacheops_sqlx::Cacheops,
            pub db: CachedPool<Db>,
            _server: support::Server,
            _below: Below,
        }

        impl World {
            pub async fn of(pool: sqlx::Pool<Db>, below: Below) -> Self {
                let server = support::Server::start();
                let co = super::cacheops(&server).await;
                for table in super::TABLES {
                    sqlx::query(table).execute(&pool).await.unwrap();
                }
                let db = co.pool(pool);
                let world = Self { co, db, _server: server, _below: below };
                for (id, name) in [(1, "ann"), (2, "bob")] {
                    let insert = sql("INSERT INTO author (id, name) VALUES ($1, $2)");
                    sqlx::query(insert).bind(id).bind(name).execute(&world.db).await.unwrap();
                }
                for (id, author) in [(1, 1), (2, 1), (3, 2)] {
                    world.insert(id, author).await;
                }
                world
            }

            pub async fn insert(&self, id: i64, author: i64) {
                let insert = sql("INSERT INTO post (id, author, title) VALUES ($1, $2, $3)");
                let insert = sqlx::query(insert).bind(id).bind(author).bind(format!("post {id}"));
                insert.execute(&self.db).await.unwrap();
            }

            /// See [`hits`](super::hits).
            pub async fn hits<T>(&self, read: impl Future<Output = T>) -> (bool, T) {
                super::hits(&self.co, read).await
            }

            /// The posts of an author, through the cache: whether they were there, and their numbers.
            pub async fn posts(&self, author: i64) -> (bool, Vec<i64>) {
                let (hit, posts) = self.hits(posts_of(author).fetch_all(&self.db)).await;
                (hit, posts.unwrap().into_iter().map(|post| post.id).collect())
            }

            /// Puts the posts of both authors into the cache.
            pub async fn warm(&self) {
                for author in [1, 2] {
                    self.posts(author).await;
                    assert!(self.posts(author).await.0, "author {author}");
                }
            }

            /// Of which authors the posts are in the cache.
            pub async fn cached(&self) -> Vec<i64> {
                let mut cached = Vec::new();
                for author in [1, 2] {
                    if self.posts(author).await.0 {
                        cached.push(author);
                    }
                }
                cached
            }
        }

        pub fn posts_of(
            author: i64,
        ) -> cacheops_sqlx::Cached<
            sqlx::query::QueryAs<'static, Db, super::Post, <Db as sqlx::Database>::Arguments>,
        > {
            let select =
                sql("SELECT id, author, title, note FROM post WHERE author = $1 ORDER BY id");
            cacheops_sqlx::Cache::cached(sqlx::query_as(select).bind(author))
        }
    };
}

/// A text whose parameters `$1`, `$2` have another mark.
pub fn marked(text: &str, mark: &str) -> AssertSqlSafe<String> {
    let mut out = text.to_owned();
    if mark == "?" {
        for number in 1..10 {
            out = out.replace(&format!("${number}"), mark);
        }
    }
    AssertSqlSafe(out)
}

pub mod sqlite {
    world!(sqlx::Sqlite, "$");

    pub type Below = tempfile::TempDir;

    pub async fn world() -> Option<World> {
        use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("blog.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(support::deadline());
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        Some(World::of(pool, dir).await)
    }
}

pub mod postgres {
    world!(sqlx::Postgres, "$");

    pub type Below = support::Postgres;

    pub async fn world() -> Option<World> {
        let postgres = support::Postgres::start()?;
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10);
        let pool = pool.connect(&postgres.url()).await.unwrap();
        Some(World::of(pool, postgres).await)
    }
}

pub mod mariadb {
    world!(sqlx::MySql, "?");

    pub type Below = support::MariaDb;

    pub async fn world() -> Option<World> {
        let mariadb = support::MariaDb::start();
        let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(10);
        let pool = pool.connect(&mariadb.url("mysql")).await.unwrap();
        Some(World::of(pool, mariadb).await)
    }
}

/// Makes each test one on SQLite, one on PostgreSQL if it is installed, and one on MariaDB behind its target.
macro_rules! on_each_database {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident) $body:block)*) => {
        mod on_sqlite {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use $crate::world::sqlite::*;

            $($(#[$doc])* #[tokio::test] async fn $name() {
                let Some($world) = world().await else { return };
                $body
            })*
        }

        mod on_postgres {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use $crate::world::postgres::*;

            $($(#[$doc])* #[tokio::test] async fn $name() {
                let Some($world) = world().await else { return };
                $body
            })*
        }

        mod on_mariadb {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use $crate::world::mariadb::*;

            $($(#[$doc])* #[tokio::test] #[ignore = "needs MariaDB: make test-mariadb"] async fn $name() {
                let Some($world) = world().await else { return };
                $body
            })*
        }
    };
}
pub(crate) use on_each_database;
