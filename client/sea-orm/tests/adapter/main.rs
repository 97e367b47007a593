//! The adapter on SQLite, and on PostgreSQL where it is installed, with a server of its own for each test.

mod blog;
mod entities;
mod fuzz;
mod kinds;
mod postgres;
mod reading;
mod transactions;
mod world;
mod writing;
