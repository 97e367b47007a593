//! The adapter on SQLite, and on PostgreSQL where it is installed, with a server of its own for each test.

mod blocks;
mod blog;
mod building;
mod drift;
mod effects;
mod entities;
mod failing;
mod failing_elsewhere;
mod forum;
mod fuzz;
mod kinds;
mod loading;
mod local;
mod mariadb;
mod options;
mod postgres;
mod postgres_reading;
mod reading;
mod reference;
mod releases;
mod saving;
mod shapes;
mod transactions;
mod waiting;
mod world;
mod writing;
