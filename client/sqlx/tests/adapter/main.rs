//! sqlx through the cache, on real databases and a real server.

mod connections;
mod hiding;
mod reading;
mod search;
mod transactions;
mod world;
mod writing;
