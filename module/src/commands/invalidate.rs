//! `CACHEOPS.INVALIDATE [DRYRUN] [SHARD] ON table condition [...]`: kills what changed rows may have made stale.
//! Reply: integer, the links cut: an upper bound of the entries that died. Always replicated, unless DRYRUN: a replica may hold
//! what this server has discarded. O(rows x schemes + fields), whatever the fan-out.

use std::time::Instant;

use cacheops_protocol::{ArgError, InvalidateArgs};

use super::refuse_on_replica;
use crate::config;
use crate::error::CommandError;
use crate::ffi::{self, Args, Context, with_state};
use crate::reaper;
use crate::state::State;

/// Beyond this many dead entries every invalidation helps with the reclaiming, or it would never catch up.
const CROWD: usize = 100_000;
/// How many it then reclaims.
const HELP: usize = 16;

pub(crate) fn invalidate(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let changes = InvalidateArgs::parse(args.bytes())?;
    let database = ctx.database();
    if !changes.shard && with_state(|state| state.is_cluster) && !ctx.is_replicated() {
        return Err(ArgError::ShardRequired.into());
    }
    if changes.dry_run {
        let links =
            with_state(|state| state.index(database).count(&changes.on, &config::index_limits()));
        ctx.reply_integer(links as u64);
        return Ok(());
    }
    refuse_on_replica(ctx)?;

    let text: usize = args.bytes().iter().map(|argument| argument.len()).sum();
    let start = is_timed(text).then(Instant::now);
    let (links, dead, may_reclaim) = with_state(|state| {
        #[cfg(feature = "panic-injection")]
        state.panic_if("command");
        let index = state.index(database);
        let cut = index.invalidate(&changes.on, ffi::now_ms, &config::index_limits());
        let dead = index.sizes().dead;
        if let Some(start) = start {
            note_duration(state, start, changes.on.first().map_or(&[], |(table, _)| table));
        }
        (cut.links, dead, state.is_primary && state.loading.is_none())
    });
    ctx.replicate_verbatim();
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
