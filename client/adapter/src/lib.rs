//! The core of ORM adapters of cacheops.
//!
//! An adapter makes an ORM's connections cached ones: reads are looked up in the cache, and every write invalidates the
//! entries whose conditions it satisfies. Which rows a statement reads or changes, when a transaction's changes are sent,
//! and which results must not be stored is decided here, once for all ORMs. An adapter implements [`Driver`] for the ORM's
//! connections, and has the traits, query types and values of the ORM; it calls
//!
//! * [`read`](read()) for a read, and [`Combined`] for a result of several reads;
//! * [`write`](write()) for a write outside of a transaction, and [`write_in`] in one;
//! * [`TxState::new`] before it begins a transaction, and [`Level`] for each level of it.
//!
//! Applications use an adapter, not this crate.

#![forbid(unsafe_code)]

mod cascade;
mod change;
mod checked;
mod columns;
mod core;
mod debug_text;
mod driver;
mod error;
mod function;
mod identity;
mod level;
mod lockable;
mod old_rows;
mod options;
mod read;
mod recorder;
mod run_to_completion;
mod session;
mod transaction;
mod unwritten;
mod write;

pub use crate::core::{Core, OLD_ROWS};
pub use cascade::{Action, ForeignKey};
pub use checked::{CacheValue, Checked};
pub use columns::{
    Columns, Many, Maybe, Reader, Rows, add_column, decode_rows, encode_rows, shape_of,
};
pub use driver::{Bind, Driver, ErrorClass, Outcome};
pub use error::WriteError;
pub use function::{FunctionCall, Sample};
pub use identity::Identity;
pub use level::{Level, Levels};
pub use options::{Mode, Options, Rules};
pub use read::{Combined, Storable, Unstored, is_agnostic, key_of, read};
pub use recorder::Recorder;
pub use run_to_completion::run_to_completion;
pub use session::{Session, Writes};
pub use transaction::{Isolation, TxState};
pub use write::{queue_upper_bound, write, write_in};
