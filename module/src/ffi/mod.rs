//! The one place where Rust meets the server's C interface, and the only one that may say `unsafe`.
//!
//! What leaves this folder is safe: borrowed arguments, keys that close themselves, entries that own their bytes, and a
//! state that is reached only on the server's main thread. Every function that the server calls is wrapped by [`guarded`].
//!
//! Raw bindings instead of the binding crate's safe layer: that one copies all arguments into a vector of owned strings,
//! which costs a GET more than its look-up, and its safe events drop the number of the flushed database.

pub(crate) use redis_module::raw;

/// Calls a function of the server's module interface. Servers that lack it are refused when the module is loaded, or the
/// caller asks [`has!`] first; should it be absent all the same, the call answers its default.
macro_rules! api {
    ($name:ident($($argument:expr),* $(,)?)) => {
        match $crate::ffi::raw::$name {
            Some(function) => function($($argument),*),
            None => Default::default(),
        }
    };
}
/// As `api!`, for functions that answer a pointer.
macro_rules! api_ptr {
    ($name:ident($($argument:expr),* $(,)?)) => {
        match $crate::ffi::raw::$name {
            Some(function) => function($($argument),*),
            None => std::ptr::null_mut(),
        }
    };
}

mod alloc;
mod blocked;
mod command;
mod config;
mod context;
mod data_type;
mod entry;
mod events;
mod guard;
mod info;
mod key;
mod load;
mod probe;
mod scan;
mod state;
mod timer;

pub(crate) use alloc::allocated_bytes;
pub(crate) use blocked::{Answer, BlockedClients};
pub(crate) use command::{Arg, ArgKind, Args, CommandSpec, KeySpec};
pub(crate) use config::{EnumSpec, NumberSpec};
pub(crate) use context::{Context, OwnedName};
pub(crate) use entry::{Entry, EntryRef, MAX_VALUE, entry_bytes, orphans};
pub(crate) use guard::guarded;
use guard::log_warning;
pub(crate) use info::InfoWriter;
pub(crate) use key::{Held, Key, Mode};
pub(crate) use scan::Scan;
pub(crate) use state::with_state;
pub(crate) use timer::{Timer, schedule_flights, schedule_reaper};

/// 64 bits that nobody can guess.
pub(crate) fn random() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the server writes exactly the eight bytes that the array has.
    unsafe { api!(RedisModule_GetRandomBytes(bytes.as_mut_ptr(), bytes.len())) };
    u64::from_le_bytes(bytes)
}

/// Unix time in milliseconds, as the server reads it.
pub(crate) fn now_ms() -> u64 {
    // SAFETY: takes nothing and reads a clock.
    let now: i64 = unsafe { api!(RedisModule_Milliseconds()) };
    u64::try_from(now).unwrap_or(0)
}

/// Whether the server holds all replication back, because of CLIENT PAUSE or a failover in progress. Replicating outside a
/// command would then end the server by an assertion.
pub(crate) fn must_not_replicate() -> bool {
    // SAFETY: takes nothing and reads a flag.
    let paused: std::os::raw::c_int = unsafe { api!(RedisModule_AvoidReplicaTraffic()) };
    paused != 0
}
