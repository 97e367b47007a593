//! SeaORM queries cached on a Redis or Valkey server with `libcacheops.so`, and invalidated by what is written.
//!
//! ```
//! use cacheops_sea_orm::{Cache, Cacheops, Connect};
//! use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, Database, EntityTrait, QueryFilter};
//!
//! mod article {
//!     use sea_orm::entity::prelude::*;
//!
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//!     #[sea_orm(table_name = "article")]
//!     pub struct Model {
//!         #[sea_orm(primary_key)]
//!         pub id: i32,
//!         pub title: String,
//!         pub tag: i32,
//!     }
//!
//!     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     pub enum Relation {}
//!
//!     impl ActiveModelBehavior for ActiveModel {}
//! }
//! use article::Entity as Article;
//!
//! # let server = support::Server::start();
//! # let url = format!("redis://127.0.0.1:{}/", server.port());
//! # tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
//! let co = Cacheops::connect(url).await?; // redis://127.0.0.1/
//! let db = co.connect(Database::connect("sqlite::memory:").await?); // the one change
//! db.execute_unprepared("CREATE TABLE article (id INTEGER PRIMARY KEY, title TEXT, tag INTEGER)").await?;
//! let first = article::ActiveModel { title: Set("One".into()), tag: Set(2), ..Default::default() };
//! let first = first.insert(&db).await?;
//!
//! let tagged = || Article::find().filter(article::Column::Tag.eq(2)).cache().all(&db);
//! assert_eq!(tagged().await?.len(), 1); // from the database
//! assert_eq!(tagged().await?.len(), 1); // from the cache
//!
//! let mut first: article::ActiveModel = first.into();
//! first.tag = Set(3);
//! first.update(&db).await?; // invalidates what depends on the old row or the new one
//! assert_eq!(tagged().await?.len(), 0); // from the database again
//! # assert_eq!(co.stats().hits, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Reading
//!
//! [`cache`](Cache::cache) on any query: `all`, `one`, `get` (one row or an error), `count`, `exists`, `aggregate`,
//! `paginate`, `cursor_by`. On selects of one to six entities, related or linked, consolidated or not; on
//! `into_model`, `into_partial_model`, `into_tuple`, `into_values`, `into_json`; on raw statements. SeaORM's builder
//! methods work before it and, but for rare ones, behind it. `.ttl(..)`, `.lock(true)`, `.ops(..)` and `.nocache()`
//! stand behind it. [`Article::objects()`](Objects::objects) is cached as the [`Profile`] of the table says. Streams
//! are not cached.
//!
//! Loaders: `articles.cache().load_many(Comment, &db)`, and `load_one`, `load_many_to_many`, `load_self` and the rest,
//! on a `Vec` or slice of models.
//!
//! [`db.reads("front page")`](CacheReads::reads) makes one entry of many queries, and depends on what they have read.
//! By itself `Article::load().with(..)`, SeaORM's nested load, reads from the database, since SeaORM accepts its rows from
//! nowhere else. In such a block its result is cached as a whole. For a function that
//! depends on the rows of queries, but reads elsewhere, there is [`cached_as`](CachedConn::cached_as).
//!
//! Models are stored by their columns, so fields that serde skips are kept; models of raw statements and of
//! `into_model` too, once their entity was read as such or [registered](Connector::model). Other types, and the results of
//! blocks and functions, go through serde: they are [`CacheValue`]s. Before such a result is stored, it is decoded and
//! compared. If it differs (a field with `#[serde(skip)]`, a relation that was loaded and is not there, a NaN), it is not
//! stored, and a warning names its type, once.
//!
//! What is kept is the item that [`FromQueryResult`](sea_orm::FromQueryResult) makes of a row, with all that it computes
//! beside reading columns. So it must be a function of the row alone: a token that it draws, a time that it looks up, a
//! signature with an expiry would be the same for every reader until the row changes.
//!
//! With `cache_on_save` in the profile of a [registered](Connector::model) entity, `insert`, `update` and `save` are
//! followed by a read of the row through the cache, by its primary key or the field of the profile: after the
//! invalidation is confirmed, in a transaction after the commit. `find_by_id` then finds it there. Needs RETURNING, so
//! not on MySQL. With `local_get` and the feature `moka`, rows of `one` and `get` are kept in the process; the server
//! confirms at each read that they are valid.
//!
//! What a result depends on is read from its SQL. What is not understood depends on whole tables; a statement that
//! locks rows, calls `now()` or a function that is not known to be pure, or names no table, is not cached.
//!
//! # Writing
//!
//! [`CachedConn`] and [`CachedTxn`] see every statement. What is not known to be a read is a write, also behind
//! `.cache()`: `INSERT .. RETURNING` as a raw statement. What each statement invalidates by:
//!
//! | statement | |
//! |---|---|
//! | INSERT | the row, as RETURNING gives it; without, what the SQL implies, on MySQL with the number of the new row if its entity is [registered](Connector::model); columns with defaults are unknown |
//! | UPDATE, with RETURNING (`save`, `update`) and without, and DELETE (`delete`, `update_many`, `delete_by_id` ...) | the rows before, read and locked in one transaction with the write, and the rows after: as RETURNING gives them, or as far as the SQL says what is assigned |
//! | DELETE with RETURNING, upsert with RETURNING | the rows it gives; of a row that was there before all but what was assigned |
//! | other writes, INSERT .. SELECT, scripts | what the SQL implies, whole tables, or everything |
//! | rows deleted by a foreign key | those of [registered](Connector::model) entities, recursively |
//!
//! Up to 256 rows are read before a write ([`Connector::pre_select`]). For more rows, and where other rows
//! decide on them (joins and subqueries, but for SQLite, which locks everything), and in a deferred transaction of
//! SQLite that has not written yet, an UPDATE with RETURNING leaves the old values of what it assigns unknown, and
//! other writes invalidate what their SQL implies. Rows read before the write are used only if the write changed as many
//! rows as were read. An unknown column matches every value, so a write never invalidates too little.
//!
//! Reading first costs a write outside of a transaction three more statements (BEGIN, SELECT, COMMIT), inside of one
//! a SELECT; where no index finds the rows, that is a second scan. On PostgreSQL the first write to a table also queries
//! whether the user may lock its rows; if not, they are not read. `pre_select(0)` saves all that, and an `update` of a
//! title then invalidates what depends on any title.
//!
//! By hand: [`invalidate_obj`](CachedConn::invalidate_obj), [`invalidate_model`](CachedConn::invalidate_model) and
//! [`invalidate_all`](Cacheops::invalidate_all), after writes that this connection did not run. Within
//! [`no_invalidation`](Cacheops::no_invalidation), and on [`without_invalidation`](CachedConn::without_invalidation), writes
//! invalidate nothing. A stream may write in a transaction only.
//!
//! # The model of consistency
//!
//! That of [`cacheops`] holds: nothing stale is read after an acknowledged write. In particular:
//!
//! * **Outside of a transaction** a write returns when the cache has confirmed the invalidation, or has it in the
//!   outbox and uses no hit. Its future may be dropped at any time: a database completes a statement that it has
//!   received, so a task completes the write, and invalidates when it has taken effect. The same holds for a commit.
//!   A write that was still waiting for a connection of the pool is carried out too. In strict mode, an error that
//!   [`is_unconfirmed`](Unconfirmed::is_unconfirmed) is of a write that has taken effect.
//! * **In a transaction** nothing is sent before the outermost commit. Until it writes, it reads from the cache; then
//!   it neither reads from it nor fills it. A rollback, of a savepoint too, discards its changes (but on MySQL, where some
//!   engines keep the rows). The state belongs to the object. A statement that reads the session or the clock, sets something or locks
//!   rows makes the rest of its transaction bypass the cache; so do SERIALIZABLE, and IMMEDIATE of SQLite, from the first
//!   statement on: a locking read must see the latest commit, whose invalidation may not have been sent yet. If the
//!   connection is lost during COMMIT, the changes are sent at once; a commit that the database completes only after that
//!   is not invalidated.
//! * **Snapshots.** A result is stored with a token from before the first statement of its transaction, unless READ
//!   COMMITTED was requested by name. A hit may be newer than the transaction's snapshot. On PostgreSQL, before a result
//!   of a transaction is stored, a query finds out whether the transaction has written anything: a view or an operator
//!   may call a function that writes.
//! * **Not seen**: writes by other programs, by [`CachedConn::inner`], views, triggers and computed columns unless
//!   [`Schema`] names them, cascades of entities that are not registered. [`Connector::watch_bypass`] warns of writes
//!   by `inner`. A connection to a replica of the database that lags is not for cached reads. `psql` or another
//!   language invalidates with one command: `redis-cli CACHEOPS.INVALIDATE ON article "id=7&tag=2"`, or `ON article
//!   "*"`. Whole numbers may be named as they are; texts and other values have a [form of their own](cacheops_sql), so
//!   leave them out: a field that is missing matches every value. Table and columns are those of the database, on SQLite and
//!   MySQL in lower case; a schema (`audit.article`) only if there is a [default one](Schema::default_schema) and it is
//!   another.
//! * **On MySQL** programs that share a cache register the same tables in their [`Schema`], or none: what a text means
//!   beside a number, `'any text' = 0`, depends on the type of the column.
//! * `BEGIN` and `COMMIT` as SQL text on the connection are no transaction: use `begin()`. A statement that ends a
//!   transaction from inside, as `COMMIT` and MySQL's definitions and `TRUNCATE` do, is understood: what was written so
//!   far is sent at once, and so is every write that follows.
//!
//! # In the place of SeaORM's connection
//!
//! [`CachedConn`] has the methods of [`DatabaseConnection`](sea_orm::DatabaseConnection): `begin` and `transaction` by
//! SeaORM's traits, `transaction_async`, `get_schema_builder`, `ping`, `close` and the pools by itself; with the feature
//! `schema-sync` it is taken by `SchemaBuilder::sync`, and with `rbac` it has `load_rbac`, `replace_rbac` and
//! `restricted_for`, whose `CachedRestricted` checks each statement first and has the methods of SeaORM's restricted
//! connection and transaction. What SeaORM does not let another crate do:
//!
//! * `DatabaseExecutor`, `IntoDatabaseExecutor` and so `Migrator::up(&db)`: the executor is a closed enum of SeaORM's own
//!   connections and transactions, whose writes the cache would not see. Instead:
//!   `db.unseen(async |plain| Migrator::up(plain, None).await)`, which [invalidates everything](CachedConn::unseen)
//!   afterwards.
//! * `debug_query!(&query, &db)`: the macro has methods of SeaORM's connection only. Give it
//!   `db.get_database_backend()`.
//! * `Article::load().with(..)` by itself is not cached, as said above; a function that wants
//!   `&DatabaseConnection` gets [`inner`](CachedConn::inner), whose writes the cache does not see. In a transaction,
//!   [`CachedTxn::inner`] ends the use of the cache.
//! * `CachedCursor: Clone` holds where SeaORM's cursor is `Clone`: over two entities or more.
//!
//! # Something is stale
//!
//! Look for a writer beside the cache, a view, trigger or cascade that is not declared, a replica that lags. `on_read`
//! of the builder reports the key of each read, `CACHEOPS.EXPLAIN key` what an entry depends on, `CACHEOPS.INVALIDATE
//! DRYRUN ON table row` how many links a row would cut. `invalidate_model` helps until the cause is found.
//!
//! # Features
//!
//! `sqlx-sqlite`, `sqlx-postgres` and `sqlx-mysql`, as sea-orm has them, name the database of a connection; `moka` is
//! for `local_get`; `rbac`, `schema-sync` and `entity-registry` are those of sea-orm. `cluster`, `sentinel`, `rustls`,
//! `metrics` and `json` are those of [`cacheops`].
//!
//! # How it is tested
//!
//! Random queries run before and after random writes, through this adapter and without the cache: joins of all
//! kinds, subqueries, relations, aggregates, raw SQL; values of all types; writes of all kinds, in transactions and
//! savepoints that are committed or not. Deliberate mistakes are found. The longest runs (two shared cores): SQLite
//! 1,087,043 results that a write had changed and 15,071,001 results kept through one, PostgreSQL 15 25,986 and
//! 245,967, MariaDB 10.11 56,929 and 421,825, none stale. `make test` does it for ten seconds on the first two, `make
//! test-mariadb` on the third.
//!
//! # Several databases
//!
//! Each connection has the name of its database in its keys, found from its pool if the feature of its driver is on
//! (`sqlx-sqlite`, `sqlx-postgres`, `sqlx-mysql`) and from the database itself, or given by [`Connector::name`]. A
//! database that was deleted and created again has another name; that method says what else to do then. Results of two
//! databases never mix, unless the profile says `db_agnostic`. Conditions name tables and no databases: where two databases
//! have tables of one name, a write to one also invalidates results of the other that the same values satisfy. Two
//! databases of the Redis server keep them apart.

#![forbid(unsafe_code)]

mod address;
mod block;
mod builders;
mod bypass;
mod cached;
#[cfg(feature = "self-check")]
mod checking;
mod codec;
mod confirmed;
mod connect;
mod connection;
mod cursor;
mod driver;
mod function;
mod inherent;
mod items;
mod loaders;
mod paginate;
mod query;
mod read;
mod rehearse;
mod relations;
#[cfg(feature = "rbac")]
mod restricted;
mod rows;
mod run;
mod saving;
mod shared;
mod source;
mod transaction;
mod value;

pub use block::{CacheReads, CachedReads, Recorder};
pub use cached::{Cache, Cached, Objects};
pub use cacheops_adapter::CacheValue;
pub use confirmed::Unconfirmed;
pub use connect::{Connect, Connector};
pub use connection::CachedConn;
pub use cursor::CachedCursor;
pub use function::CachedFunction;
pub use paginate::{CachedPaginator, PageStream};
pub use query::{CachedQuery, Reader, SelectQuery};
#[cfg(feature = "rbac")]
pub use restricted::CachedRestricted;
pub use source::Source;
pub use transaction::CachedTxn;

pub use cacheops;
pub use cacheops::{Cacheops, Ops, Profile};
pub use cacheops_sql::{ColumnKind, Schema, Table};
