//! Random questions before and after random writes, all through the adapter: whatever the database says, the cache must
//! say the same.
//!
//! A round begins with a few rows and some forty questions, whose answers are then in the cache. After each write, or
//! transaction of writes, every question is asked again. An answer that the cache gives is compared with that of the
//! database: if the write has changed it, the cache was not told, and the search ends with a report that names the seed
//! of the round. `CACHEOPS_FUZZ_SEED` repeats it, `CACHEOPS_FUZZ_SECONDS` makes a run longer than its ten seconds.
//!
//! What counts are results that a write has changed: the cache must have lost them. The longest runs, in release, on two
//! cores that others used too:
//!
//! | | seed, lanes, seconds | questions | writes | asked again | changed | kept | lost unchanged | stale |
//! |---|---|---|---|---|---|---|---|---|
//! | SQLite | 20261129, 4, 3060 | 1,946,880 | 778,752 | 23,194,040 | 1,087,043 | 15,071,001 | 6,875,005 | 0 |
//! | PostgreSQL 15 | 20261131, 2, 420 | 29,640 | 11,856 | 389,040 | 25,986 | 245,967 | 117,078 | 0 |
//! | MariaDB 10.11 | 20261126, 2, 420 | 61,720 | 24,688 | 830,600 | 56,929 | 421,825 | 351,846 | 0 |
//!
//! An error of the database is no answer, and an answer that the database does not give twice to the same statement is
//! printed and counted as odd. MariaDB has done so, though not in that run.
//!
//! Four programs share the database, which differ in what they register of it and in how many rows they read before
//! a write. One of them asks, any of them writes. On MariaDB those of a lane register the same, as they must: all of it in
//! every second lane, nothing in the others.

pub mod entities;
mod predicate;
mod question;
mod raw;
mod search;
mod sql;
mod tables;
mod values;
pub mod worlds;
mod writing;

use std::time::Duration;

use cacheops_sql::Mutation;
use support::{MariaDb, Postgres, number};

use search::{Plan, search};
use worlds::{Databases, Wrong};

async fn finds_nothing(name: &str, databases: &Databases) {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("CACHEOPS_FUZZ_SEED").unwrap_or(clock.subsec_nanos().into());
    let lanes = number("CACHEOPS_FUZZ_LANES").unwrap_or(2) as usize;
    let seconds = number("CACHEOPS_FUZZ_SECONDS").unwrap_or(10);
    let plan = Plan { lanes, seed, time: Duration::from_secs(seconds), wrong: None };

    let found = search(databases, &plan).await;

    eprintln!("{name}: seed {seed}, {seconds} s, {found}");
    for odd in &found.odd {
        eprintln!("odd: {odd}");
    }
    for stale in &found.stale {
        eprintln!("stale: {stale}");
    }
    assert!(found.stale.is_empty(), "stale answers: see above");
    assert!(found.changed > 0 && found.kept > 0);
}

async fn finds(databases: &Databases, wrong: Wrong) {
    // Only a search that is blind takes all of it.
    let time = 10 * support::deadline();
    let plan = Plan { lanes: 1, seed: 7, time, wrong: Some(wrong) };

    let found = search(databases, &plan).await;

    assert!(!found.stale.is_empty(), "the search is blind for {wrong:?}: {found}");
    eprintln!("{wrong:?} was seen after {} changed results", found.changed);
}

fn sqlite() -> Databases {
    Databases::Sqlite(tempfile::tempdir().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_the_cache_says_what_the_database_says() {
    finds_nothing("SQLite", &sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_the_cache_says_what_the_database_says() {
    let Some(postgres) = Postgres::start() else { return };
    finds_nothing("PostgreSQL", &Databases::Postgres(postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make test-mariadb"]
async fn on_mariadb_the_cache_says_what_the_database_says() {
    finds_nothing("MariaDB", &Databases::MariaDb(MariaDb::start())).await;
}

#[tokio::test]
async fn sees_writes_that_are_not_told() {
    finds(&sqlite(), Wrong::Silent).await;
}

#[tokio::test]
async fn sees_cascades_that_are_not_known() {
    finds(&sqlite(), Wrong::NoCascades).await;
}

#[tokio::test]
async fn sees_an_analyser_that_lets_the_on_of_an_outer_join_narrow_the_kept_side() {
    finds(&sqlite(), Wrong::Analyser(Mutation::OuterJoin)).await;
}

#[tokio::test]
async fn sees_an_analyser_that_forgets_a_conjunction() {
    finds(&sqlite(), Wrong::Analyser(Mutation::LostConjunction)).await;
}

#[tokio::test]
async fn sees_an_analyser_that_sends_only_the_old_image() {
    finds(&sqlite(), Wrong::Analyser(Mutation::LostImage)).await;
}
