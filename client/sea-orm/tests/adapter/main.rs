//! The adapter on SQLite, and on PostgreSQL where it is installed, with a server of its own for each test.

mod blog;
mod entities;
mod fuzz;
mod postgres;
mod reading;
mod reference;
mod transactions;
mod waiting;
mod world;
mod writing;
