//! `libcacheops.so`: a cache of query results for Redis and Valkey, invalidated by condition.
//!
//! A thin shell round `cacheops-index`. Commands parse, change, replicate and reply, in this order; what can fail, fails while
//! parsing. All that is unsafe is in `ffi`.
#![deny(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo)]
#![allow(missing_docs, reason = "the module's interface is its commands, described in COMMANDS.md")]

mod commands;
mod config;
mod databases;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod flight;
mod info;
mod lifecycle;
mod reaper;
mod state;

/// As in `MODULE LIST`: major * 10000 + minor * 100 + patch.
const MODULE_VERSION: std::os::raw::c_int = 100;
