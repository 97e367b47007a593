//! The law of canonical values on real servers: what the database calls equal has one form, or one of the two has none.
//!
//! SQLite's share is in `tests/cases/law.rs`.
#![allow(missing_docs)]

mod law;
#[path = "../live/mod.rs"]
mod live;
mod mariadb;
#[path = "../differential/matcher.rs"]
mod matcher;
mod postgres;
mod traps;
