//! What comes from outside, read without trust: the arguments of the commands, and the saved form of an entry.
//!
//! One rule everywhere: options in any order, each at most once, in any letter case, before `ON`; after `ON` only pairs of
//! table and condition. Everything here borrows from the arguments, checks all of them before anything is done, and can be
//! fuzzed without a server.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod args;
mod commands;
mod error;
mod saved;

pub use args::{Dependencies, Limits, MAX_NAME};
pub use commands::{
    CheckArgs, Expiry, GetArgs, InvalidateArgs, LockArgs, ReapArgs, ReleaseArgs, ShardArgs,
    StoreArgs, TopArgs, TopBy,
};
pub use error::ArgError;
pub use saved::{DamagedEntry, read_conditions, write_conditions};

/// Tokens and versions are below this, so that Lua and JavaScript keep them exact.
pub const MAX_NUMBER: u64 = 1 << 53;
