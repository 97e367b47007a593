//! Tests of the module in a real server: one file per command, and one per concern of the server.

mod harness;

mod bad_input;
mod check;
mod config;
mod explain;
mod flush;
mod get;
mod info;
mod invalidate;
mod lock;
mod mget;
mod reap;
mod store;
mod tables;
mod token;
mod top;
mod version;

mod acl;
mod cluster;
mod defrag;
mod documents;
mod eviction;
mod flushing;
mod lifecycle;
mod limits;
mod loadex;
mod loading;
mod model;
mod panic;
mod pause;
mod persistence;
mod plain;
mod refusal;
mod replica_read_only;
mod replication;
mod restore;
mod stale;
mod swapdb;
mod transactions;
