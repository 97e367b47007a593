//! What the server tests stand on: a server of one's own, a client that reads like a prompt, and a look at the
//! replication stream.
//!
//! A [`Server`] is one process with its own port and directory, killed when it is dropped. Nothing is shared between
//! tests, and nothing waits for a time: [`wait_until`] polls a condition up to a deadline.
//!
//! Two environment variables choose what is tested: `CACHEOPS_SERVER` is the server binary (default `redis-server`),
//! `CACHEOPS_MODULE` the module (default the newest `libcacheops.so` that cargo built). `CACHEOPS_WRAPPER` is put before
//! the server's command line, for example `valgrind --error-exitcode=99`.
//!
//! [`Postgres`] is the same for the database.

#![forbid(unsafe_code)]

mod client;
mod dump;
mod environment;
mod events;
mod mariadb;
mod postgres;
mod process;
mod random;
mod server;
mod stream;
mod wait;

pub use client::{Client, Reply, as_map, as_text};
pub use dump::Dump;
pub use environment::number;
pub use events::Events;
pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use random::Random;
pub use redis::Value;
pub use server::{Builder, Server, free_port, module_path};
pub use stream::Stream;
pub use wait::{deadline, eventually, wait_until};
