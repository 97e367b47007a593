//! A cache of database query results with granular invalidation, for Redis and Valkey servers
//! that have loaded `libcacheops.so`.
//!
//! A result is stored together with the [`Condition`] it depends on: per table, which rows could
//! change it. When a row changes, its old and new values are sent once, and exactly the entries
//! whose condition one of them satisfies are gone.
//!
//! # The model of consistency
//!
//! * **At once.** When [`Cacheops::invalidate`] has been answered, no [`get`](Cacheops::get) on
//!   that server and database returns an entry that the changed rows match. The work of the
//!   server does not grow with the number of entries; their memory is given back afterwards.
//! * **The slow reader.** A reader may query the database, pause while a writer changes the row
//!   and invalidates, and store its old result last. A [`Token`] taken *before the query* closes
//!   that gap: the server refuses the store, and [`Store`] answers `None`. A store without a token
//!   is not protected, so every fill should carry one.
//! * **Not covered.** The time between the database's commit and the invalidation is the
//!   application's: send the rows right after the commit. An invalidation that fails is an error,
//!   and until it is repeated (see [`Error::is_retryable`]) entries may be stale.
//! * **Fail closed.** What the server cannot vouch for is a miss: entries from before a restart,
//!   restored, renamed or moved keys, tokens of another server.
//!
//! Values are equal only if their bytes are: `7` is not `07`. Conditions and rows must spell a
//! value alike. [`Value`] has conversions only for types with one spelling: integers, text,
//! bytes, and `Option` of these for NULL.
//!
//! A [`Row`] may be partial. A field that is absent is unknown and could have any value, so
//! `Row::new().set("category_id", 3)` stands for every row of category 3.
//!
//! # Example
//!
//! ```no_run
//! use cacheops::{Cacheops, Condition, Lookup, Row};
//! use std::time::Duration;
//!
//! # async fn query(_sql: &str) -> Vec<u8> { Vec::new() }
//! # async fn run() -> Result<(), cacheops::Error> {
//! let cache = Cacheops::connect("redis://127.0.0.1/").await?;
//!
//! // Read: ask the cache; after a miss run the query, and store its result with the token that
//! // came with the miss.
//! let posts = match cache.lookup("posts:author:7").await? {
//!     Lookup::Hit(posts) => posts,
//!     Lookup::Miss(token) => {
//!         let posts = query("SELECT * FROM post WHERE author_id = 7 AND deleted_at IS NULL").await;
//!         if let Some(token) = token {
//!             cache
//!                 .store("posts:author:7", &posts)
//!                 .ttl(Duration::from_secs(3600))
//!                 .token(token)
//!                 .on("post", Condition::all().term("author_id", 7).null("deleted_at"))
//!                 .await?;
//!         }
//!         posts
//!     }
//! };
//!
//! // Write: change the row, then tell the cache what it was and what it is.
//! query("UPDATE post SET author_id = 8 WHERE id = 42").await;
//! let post = Row::new().set("id", 42).null("deleted_at");
//! cache
//!     .invalidate()
//!     .changed("post", post.clone().set("author_id", 7), post.set("author_id", 8))
//!     .await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod cache;
mod check;
mod condition;
mod error;
mod explain;
mod invalidate;
mod number;
mod store;

pub use cache::{Cacheops, Lookup, Server};
pub use check::Check;
pub use condition::{Condition, Row, Value};
pub use error::{Error, ErrorKind};
pub use explain::{Explanation, State};
pub use invalidate::Invalidate;
pub use number::{Token, Version};
pub use store::Store;

/// The client for everything else that one does with the server.
pub use redis;
