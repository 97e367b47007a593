//! sqlx queries cached on the server with `libcacheops.so`: [`.cached()`](Cache::cached) on a query, and writes that
//! invalidate exactly the results that they change. For PostgreSQL, MySQL or MariaDB, and SQLite: features `postgres`,
//! `mysql`, `sqlite`.
//!
//! ```no_run
//! use cacheops_sqlx::{Cache, Cacheops, Connect, Profile};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(sqlx::FromRow, Serialize, Deserialize, PartialEq)] struct Post { id: i64, title: String }
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let co = Cacheops::builder("redis://127.0.0.1/").profile("*", Profile::new()).build().await?;
//! # let pool = sqlx::Pool::<sqlx::Sqlite>::connect("sqlite::memory:").await?;
//! let db = co.pool(pool); // any Pool of sqlx
//!
//! let posts: Vec<Post> = sqlx::query_as("SELECT id, title FROM post WHERE author = $1")
//!     .bind(7)
//!     .cached() // looked up by its text and values; loaded and stored if it is missing
//!     .fetch_all(&db)
//!     .await?;
//!
//! let mut tx = db.begin().await?;
//! sqlx::query("UPDATE post SET author = $1 WHERE id = $2").bind(8).bind(1).execute(&mut tx).await?;
//! tx.commit().await?; // now the posts of author 7 and of author 8 are loaded again; those of others are not
//! # Ok(()) }
//! ```
//!
//! # Reads
//!
//! `.cached()` is a method of `query_as`, `query_scalar`, the checked macros `query_as!` and `query_scalar!`, and of queries
//! with a mapper. The items must be a [`CacheValue`]: they implement serde's traits and `PartialEq`, and are decoded and
//! compared before they are stored. How long results live, and whether readers in several processes wait for one that loads,
//! is said in profiles by table ([`Builder::profile`](cacheops::Builder::profile)); if there are any, a table without one is
//! not cached, and `"*"` is for all that have no other.
//!
//! Of a query that was mapped with a closure the key has the closure's type, which is another one in each build of the
//! program; a closure that captures values cannot be told from another of its kind, and its query is not cached.
//!
//! # Writes
//!
//! `&CachedPool`, `&mut CachedTx` and `&mut CachedConnection` are executors: each statement that sqlx runs on them is
//! analysed, and what is not known to be a read invalidates what it may have changed. The rows before an UPDATE or DELETE are
//! read and locked first, up to [`Connector::old_rows`]; on a [`CachedConnection`] they are not. With RETURNING the new rows
//! are known. A write's rows are collected before the first is returned, so a stream that writes is not cut off half-way.
//!
//! # Bound values
//!
//! sqlx does not give bound values to other crates. This one reads them from the `Debug` text of the arguments, strictly and
//! proven once at run time with known values; what is not of the expected form counts as unknown: a read is then not
//! cached if it has no key, and matches more than it needs; a write invalidates more than it needs. So it is with arguments
//! of more than about 200 KB, and with values that have no canonical form: times, JSON, ranges, types of the application.
//!
//! # Limits
//!
//! * Types without serde cannot be cached: the rows of sqlx cannot be made outside of its drivers, so `FromRow` alone cannot
//!   make an item of an entry. The records of `query!` have no name; use `query_as!`.
//! * `Any` is not supported: it hides the dialect of its statements.
//! * Not seen are writes that go round these executors: [`CachedPool::inner`], `COPY`, migrations, other programs. Run them
//!   inside of [`CachedPool::unseen`], or call [`CachedPool::invalidate_table`] after them. Foreign keys with an action and triggers must
//!   be declared: [`Connector::foreign_key`], [`Connector::schema`].
//! * The connections of a pool must see the same rows. A setting that policies of row security or `search_path` depend on, and
//!   that is another one on each connection, needs a pool of its own with a [`Connector::name`].
//! * `LISTEN` works on [`CachedPool::inner`].
//! * On MySQL, rows are read before a write only if the values of its condition are numbers, texts or bytes.

//! # How it is tested
//!
//! Random reads with bound values run through the cache and without it, between random writes, transactions and savepoints
//! that are committed, rolled back or dropped, on each database. Deliberate mistakes are found. The longest runs, of four
//! minutes each on two shared cores: SQLite 193,508 results that a write had changed, PostgreSQL 15 161,949, MariaDB 10.11
//! 120,896, none stale. `make test` does it for ten seconds on the first two, `make test-mariadb` on the third.

#![forbid(unsafe_code)]

mod cached;
mod capture;
mod connect;
mod connection;
mod database;
mod debug;
mod driver;
mod error;
#[cfg(feature = "mysql")]
mod mysql;
mod numbered;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod transaction;

pub use cached::{Cache, Cached, Fetch};
pub use connect::{Connect, Connector};
pub use connection::CachedConnection;
pub use database::CachedDatabase;
pub use error::Unconfirmed;
pub use pool::CachedPool;
pub use source::Source;
pub use transaction::CachedTx;

pub use cacheops;
pub use cacheops::{Cacheops, Ops, Profile};
pub use cacheops_adapter::{Action, CacheValue, ForeignKey};
pub use cacheops_sql::{ColumnKind, Schema, Table};
