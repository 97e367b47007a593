//! `CACHEOPS.INVALIDATE [DRYRUN] [SHARD] ON table condition [...]`: kills what changed rows may have made stale.
//! Reply: integer, the links cut: an upper bound of the entries that died. Always replicated, unless DRYRUN: a replica may hold
//! what this server has discarded. O(rows x schemes + fields), whatever the fan-out; past `cacheops.max-condition-bytes` and
//! `cacheops.max-probes` tables are dropped.

use std::time::Instant;

use cacheops_protocol::{ArgError, InvalidateArgs, Limits};

use super::refuse_on_replica;
use crate::config;
use crate::error::CommandError;
use crate::ffi::{self, Args, Context, with_state};
use crate::lifecycle::UNBOUND;
use crate::reaper;
use crate::state::State;

/// Beyond this many dead entries every invalidation helps with the reclaiming, or it would never catch up.
const CROWD: usize = 100_000;
/// How many it then reclaims.
const HELP: usize = 16;

pub(crate) fn invalidate(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let database = ctx.database();
    let (limits, index_limits) = if is_from_stream(ctx) {
        (Limits::STREAM, UNBOUND)
    } else {
        (config::argument_limits(), config::index_limits())
    };
    let is_known =
        |table: &[u8]| with_state(|state| state.get(database).is_some_and(|i| i.knows(table)));
    let changes = InvalidateArgs::parse(args.bytes(), &limits, is_known)?;
    if !changes.shard && with_state(|state| state.is_cluster) && !ctx.is_replicated() {
        return Err(ArgError::ShardRequired.into());
    }
    if changes.dry_run {
        let links = with_state(|state| state.index(database).count(&changes.on, &index_limits));
        ctx.reply_integer(links as u64);
        return Ok(());
    }
    refuse_on_replica(ctx)?;

    let text: usize = args.bytes().iter().map(|argument| argument.len()).sum();
    let start = is_timed(text).then(Instant::now);
    let (links, coarse, dead, may_reclaim) = with_state(|state| {
        #[cfg(feature = "panic-injection")]
        state.panic_if("command");
        let index = state.index(database);
        let cut = index.invalidate(&changes.on, ffi::now_ms, &index_limits);
        index.count_over(changes.unread.len());
        let mut coarse: Vec<usize> =
            changes.unread.iter().chain(index.cut_off()).copied().collect();
        coarse.sort_unstable();
        let dead = index.sizes().dead;
        if let Some(start) = start {
            note_duration(state, start, changes.on.first().map_or(&[], |(table, _)| table));
        }
        (cut.links, coarse, dead, state.is_primary && state.loading.is_none())
    });
    if coarse.is_empty() {
        ctx.replicate_verbatim();
    } else {
        replicate(ctx, &changes, args, &coarse);
    }
    ctx.reply_integer(links as u64);
    if dead > 0 {
        let inline =
            if dead > CROWD { HELP.max(config::reap_inline()) } else { config::reap_inline() };
        if may_reclaim && inline > 0 {
            reaper::reclaim(ctx, database, inline, &mut reaper::Budget::of_a_slice());
        }
        with_state(reaper::schedule_with);
    }
    Ok(())
}

/// What a primary or a file brings is carried out whatever its length: what was too long was cut where it came from.
fn is_from_stream(ctx: &Context) -> bool {
    with_state(|state| !state.is_primary || state.loading.is_some()) && ctx.is_replicated()
}

/// Replicates what was done: some tables were dropped in the place of looking at their rows, and a replica, which has no limits,
/// would spend the time that was saved here.
fn replicate(ctx: &Context, changes: &InvalidateArgs<'_>, args: &Args<'_>, coarse: &[usize]) {
    let mut form: Vec<&[u8]> = vec![b"SHARD", b"ON"];
    let Some(pairs) = args.bytes().len().checked_sub(2 * changes.on.len()) else { return };
    for (at, pair) in args.bytes().get(pairs..).unwrap_or(&[]).chunks(2).enumerate() {
        let [table, rows] = pair else { continue };
        form.extend([*table, if coarse.binary_search(&at).is_ok() { b"*" } else { *rows }]);
    }
    ctx.replicate(c"CACHEOPS.INVALIDATE", &form);
}

/// Reading the clock twice takes a tenth of a small invalidation, so of those only one in eight is timed.
fn is_timed(bytes: usize) -> bool {
    /// A row of some twenty fields.
    const SMALL: usize = 256;
    bytes > SMALL
        || with_state(|state| {
            let is_due = state.untimed.is_multiple_of(8);
            state.untimed = state.untimed.wrapping_add(1);
            is_due
        })
}

/// Remembers the slowest invalidation and the first table of it.
fn note_duration(state: &mut State, start: Instant, table: &[u8]) {
    let took = start.elapsed().as_micros() as u64;
    if took > state.counts.slowest_us {
        state.counts.slowest_us = took;
        let mut name = [0; 64];
        name.iter_mut().zip(table).for_each(|(place, &byte)| *place = byte);
        state.counts.slowest_table = Some(name);
    }
}
