//! The stale-hit checker: many readers and writers, a database in memory, and a judge.
//!
//! Every change of the simulated database has a number, its *commit*; every cached answer carries the number of the last
//! commit that it knows. A writer commits, sends INVALIDATE, and once that is answered the change counts as
//! *acknowledged*. **A hit is stale if, before the GET (or CHECK) was sent, a change was acknowledged that the answer
//! lacks**: one with a higher number than the answer's that altered a row, before or after, which the query selects.
//! Which rows a query selects is said in Rust here, apart from the condition that the module is given.
//!
//! A change that is committed and not yet acknowledged is owed to nobody: between commit and invalidation every
//! look-aside cache serves the old value. A writer that gets no answer repeats its INVALIDATE until there is one.
//!
//! Each mode runs short in every test run. `make check-stale` runs all of them long and prints a table. A seed fixes who
//! does what; how the threads interleave is the machine's business.

mod actors;
mod change;
mod database;
mod mode;
mod modes;
mod query;
mod stage;
mod wire;
mod worker;
mod world;

use mode::{HEAD, Mode, Stale};
use support::number;

/// Hits of each mode in a usual test run.
const SHORT: u64 = 100_000;
/// Hits of each mode that must find stale ones, in a long run.
const CONTROL: u64 = 100_000;

#[test]
fn without_tokens_there_are_stale_hits() {
    short(&modes::TOKENS_OFF);
}

#[test]
fn with_tokens_there_is_none() {
    short(&modes::TOKENS);
}

#[test]
fn fresh_tokens_do_not_see_that_a_replica_of_the_database_lags() {
    short(&modes::LAGGING);
}

#[test]
fn tokens_as_old_as_the_lag_leave_no_stale_hit() {
    short(&modes::LAGGING_BY_POSITION);
}

#[test]
fn check_proves_what_a_process_keeps() {
    short(&modes::INSIDEOUT);
}

#[test]
fn ifnot_proves_what_a_process_keeps() {
    short(&modes::NEAR_CACHE);
}

#[test]
fn who_waits_for_another_receives_nothing_stale() {
    short(&modes::SINGLE_FLIGHT);
    short(&modes::FAILOVER_SINGLE_FLIGHT);
    short(&modes::FLUSH_SINGLE_FLIGHT);
}

#[test]
fn no_stale_hit_while_keys_are_deleted_copied_renamed_and_expired() {
    short(&modes::VANDALS);
}

#[test]
fn no_stale_hit_after_a_restart_from_an_older_snapshot() {
    short(&modes::RESTART);
}

#[test]
fn a_restart_that_trusts_an_older_snapshot_serves_stale_hits() {
    short(&modes::RESTART_TRUSTING);
}

#[test]
fn no_stale_hit_after_a_restart_from_the_append_only_file() {
    short(&modes::RESTART_FROM_LOG);
}

#[test]
fn no_stale_hit_after_a_restart_that_trusts_the_append_only_file() {
    short(&modes::RESTART_FROM_LOG_TRUSTING);
}

#[test]
fn no_stale_hit_after_a_failover() {
    short(&modes::FAILOVER);
}

#[test]
fn a_promotion_that_trusts_a_replica_serves_what_it_missed() {
    short(&modes::FAILOVER_TRUSTING);
}

#[test]
fn no_stale_hit_over_flushes() {
    short(&modes::FLUSH);
}

#[test]
fn no_stale_hit_after_swapping_with_an_empty_database() {
    short(&modes::SWAP);
}

#[test]
fn no_stale_hit_after_swapping_there_and_back() {
    short(&modes::SWAP_BACK);
}

#[test]
fn a_swap_that_trusts_the_other_database_serves_what_it_missed() {
    short(&modes::SWAP_BACK_TRUSTING);
}

#[test]
fn no_stale_hit_under_eviction() {
    short(&modes::EVICTION_RANDOM);
    short(&modes::EVICTION_LRU);
}

#[test]
fn no_stale_hit_over_changes_of_the_tombstones() {
    short(&modes::RESIZE);
}

#[test]
fn no_stale_hit_with_few_tombstones() {
    short(&modes::FEW_TOMBSTONES);
}

#[test]
fn no_stale_hit_where_limits_make_it_coarse() {
    short(&modes::SMALL_LIMITS);
}

/// All modes; `CACHEOPS_CHECK_READS` hits in all those that must find none, ten million unless told otherwise.
#[test]
#[ignore = "takes minutes: make check-stale"]
fn long() {
    let wanted = number("CACHEOPS_CHECK_READS").unwrap_or(10_000_000);
    let seed = seed();
    println!("seed {seed}\n{HEAD}");
    let (mut hits_of_all, mut stale_of_all) = (0, 0);
    for mode in modes::ALL {
        let hits = match mode.expected {
            Stale::Never => (wanted * mode.share / 100).max(1000),
            Stale::Some => CONTROL,
        };
        let found = mode.run(hits, seed);
        println!("{found}");
        found.verify();
        if mode.expected == Stale::Never {
            hits_of_all += found.tally.hits;
            stale_of_all += found.tally.stale;
        }
    }
    println!("where none is expected: {stale_of_all} stale in {hits_of_all} checked hits");
}

#[track_caller]
fn short(mode: &Mode) {
    mode.run(SHORT, seed()).verify();
}

fn seed() -> u64 {
    number("CACHEOPS_CHECK_SEED").unwrap_or(1)
}
