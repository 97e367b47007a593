//! SeaORM queries cached on a Redis or Valkey server with `libcacheops.so`, and invalidated by what is written.

#![forbid(unsafe_code)]

mod bypass;
mod cached;
mod cascade;
mod change;
mod codec;
mod connect;
mod connection;
mod image;
mod paginate;
mod query;
mod rows;
mod run;
mod source;
mod transaction;
mod value;

pub use cached::{Cache, Cached, Objects};
pub use connect::{Connect, Connector};
pub use connection::CachedConn;
pub use paginate::CachedPaginator;
pub use query::{CachedQuery, SelectQuery};
pub use source::Source;
pub use transaction::CachedTxn;

pub use cacheops;
pub use cacheops::{Cacheops, Ops, Profile};
pub use cacheops_sql::{ColumnKind, Schema, Table};
