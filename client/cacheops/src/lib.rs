//! A cache of database query results with granular invalidation, for Redis and Valkey servers
//! that have loaded `libcacheops.so`.
//!
//! A result is stored together with the [`Condition`] it depends on: per table, which rows could
//! change it. When a row changes, its old and new values are sent once, and exactly the entries
//! whose condition one of them satisfies are gone.
//!
//! # Example
//!
//! ```
//! use cacheops::{Cacheops, Changes, Condition, Row};
//! use std::convert::Infallible;
//!
//! # let server = support::Server::start();
//! # let url = format!("redis://127.0.0.1:{}/", server.port());
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let query = |_sql: &str| async { Ok::<_, Infallible>(vec!["a title".to_string()]) };
//! let cacheops = Cacheops::connect(url).await?; // redis://127.0.0.1/
//!
//! // Read: from the cache, or from the database and then into the cache.
//! let titles: Vec<String> = cacheops
//!     .read("titles:author:7")
//!     .on("post", Condition::all().term("author_id", 7).null("deleted_at"))
//!     .get_or_load(|| query("SELECT title FROM post WHERE author_id = 7 AND deleted_at IS NULL"))
//!     .await?;
//! # assert_eq!(titles, ["a title"]);
//!
//! // Write: change the row, then send its old and new values.
//! let post = Row::new().set("id", 42).null("deleted_at");
//! let (old, new) = (post.clone().set("author_id", 7), post.set("author_id", 8));
//! query("UPDATE post SET author_id = 8 WHERE id = 42").await?;
//! let mut changes = Changes::new();
//! changes.add_change("post", &old, &new);
//! cacheops.invalidate(changes).await?;
//! # assert_eq!(cacheops.stats().links_cut, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! An adapter for an ORM does both by itself: conditions come from the SQL, rows from the writes.
//! What it stands on is here: [`Read`], [`Pending`], [`TxStack`], [`Snapshot`], [`Profile`]. Below
//! is the [`Client`], the module's commands and nothing more.
//!
//! # The model of consistency
//!
//! * **At once.** When [`Cacheops::invalidate`] has been confirmed, no read of any process on that
//!   server and database is given an entry that the changed rows match. The work of the server does
//!   not grow with the number of entries; their memory is given back afterwards.
//! * **The slow reader.** A reader may query the database, pause while a writer changes the row
//!   and invalidates, and store its old result last. Every fill carries the token that came with its
//!   miss, and the server refuses it. In a transaction that reads from a snapshot of the database the
//!   token must be older than the transaction: see [`Cacheops::snapshot`].
//! * **The late reader.** Concurrent readers of one process share one load, but no caller receives
//!   a value that was loaded before its own request, unless the server confirms that it is still valid.
//! * **Transactions.** What a transaction has changed is sent after its commit. From its first write to its end
//!   the transaction itself does not use the cache: see [`TxStack`].
//! * **Not covered.** The time between the database's commit and the confirmed invalidation, and a
//!   process that crashes in it: until the entry expires. Readers on a replica of the database that
//!   lags behind, whose rows are older than their token. A network that falls apart, with an old primary
//!   on the other side that still answers: it does not receive what is invalidated on this side.
//! * **Fail closed.** An entry that the server cannot prove to be valid is a miss: entries from before a restart,
//!   restored, renamed or moved keys, tokens of another server.
//!
//! # When the server is away
//!
//! Reads go to the database. After one failure later reads do not wait for the server, and a background task
//! tries to reconnect. An invalidation that was not confirmed goes to a bounded outbox, and until
//! the outbox is flushed this handle and its clones use no hit, however soon the server is back. Other
//! processes, and other handles of this one, may read what it could not invalidate until then, so
//! [`Builder::strict`] makes it an error as well. [`Cacheops::stats`] counts all of this.
//!
//! A future that is dropped loses nothing either: see [`Pending`].
//!
//! # Values
//!
//! Values in conditions and rows are equal only if their bytes are: `7` is not `07`. Both must spell
//! a value alike. [`Value`] has conversions only for types with one spelling: integers, text, bytes,
//! and `Option` of these for NULL.
//!
//! A [`Row`] may be partial. A field that is absent is unknown and could have any value, so
//! `Row::new().set("category_id", 3)` stands for every row of category 3.
//!
//! # Two releases, one cache
//!
//! An entry is read as the type it was written as, or not at all: where a type has other fields than in the program that
//! wrote the entry, and where [`Builder::version`] differs, it is a miss. [`Codec`] says which changes are detected. A value
//! that serde would not decode to itself is not stored: see [`Format`].
//!
//! # Metrics
//!
//! With the feature `metrics`. A table is the first one where there are several.
//!
//! | | labels | |
//! |---|---|---|
//! | `cacheops_reads_total` | `op`, `table`, `result`: `hit`, `near_hit`, `miss`, `coalesced`, `bypass`, `error` | reads |
//! | `cacheops_read_duration_seconds` | `op`, `table` | how long they took, loader included |
//! | `cacheops_stores_total` | `op`, `table`, `result`: `stored`, `refused`, `rejected`, `unencodable`, `error` | attempts to store a result |
//! | `cacheops_invalidations_total` | `table`, `kind`: `rows`, `table`, `everything`; `result`: `confirmed`, `queued` | invalidations, one a table |
//! | `cacheops_links_cut_total` | | links removed by confirmed invalidations |
//!
//! # Features
//!
//! | | |
//! |---|---|
//! | `cluster`, `sentinel` | `Builder::cluster`, `Builder::sentinel` |
//! | `rustls` | `rediss://` |
//! | `moka` | values kept in the process and proven by the server: [`Read::local`] |
//! | `metrics` | counters and durations for the application's recorder of the crate [metrics](https://docs.rs/metrics) |
//! | `json`, `bincode`, `postcard` | [`Format`]s beside MessagePack; bincode is unmaintained (RUSTSEC-2025-0141) |

#![forbid(unsafe_code)]

mod address;
mod ask;
mod builder;
mod cached;
mod changes;
mod channel;
mod check;
mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod codec;
mod condition;
mod config;
mod connection;
mod core;
mod deps;
mod digest;
mod endpoint;
mod error;
mod events;
mod explain;
mod fill;
mod find;
mod fingerprint;
mod flight;
mod handle;
mod hooks;
mod invalidate;
mod key;
mod layout;
mod link;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(feature = "moka")]
mod near;
#[cfg(feature = "cluster")]
mod nodes;
mod number;
mod once;
mod options;
mod outbox;
mod pending;
mod profile;
mod read;
mod refusals;
mod scope;
#[cfg(feature = "sentinel")]
mod sentinel;
mod simple;
#[cfg(feature = "cluster")]
mod slotless_primaries;
mod snapshot;
mod stats;
mod store;
mod txn;
mod wait;

pub use builder::Builder;
pub use cached::CachedAs;
pub use cacheops_condition::OwnedConjunction;
pub use changes::Changes;
pub use channel::Server;
pub use check::Check;
pub use client::{Client, Lookup};
pub use codec::{Codec, Format, Raw};
pub use condition::{Condition, Row, Value};
pub use connection::Connection;
pub use deps::Deps;
pub use error::{Error, ErrorKind};
pub use events::{InvalidateEvent, Invalidated, ReadEvent, ReadOutcome, StoreEvent, StoreOutcome};
pub use explain::{Explanation, State};
pub use handle::Cacheops;
pub use invalidate::Invalidate;
pub use key::{Key, QueryKey};
pub use number::{Token, Version};
#[doc(hidden)]
pub use once::Once;
pub use pending::Pending;
pub use profile::{CacheOnSave, Ops, Profile};
pub use read::Read;
pub use simple::Simple;
pub use snapshot::Snapshot;
pub use stats::Stats;
pub use store::Store;
pub use txn::TxStack;

/// The client for everything else that one does with the server.
pub use redis;
