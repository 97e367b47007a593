//! The adapter on SQLite, with a server of its own for each test.

mod entities;
mod reading;
mod transactions;
mod world;
mod writing;
