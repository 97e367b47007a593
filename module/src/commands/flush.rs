//! `CACHEOPS.FLUSH [SHARD]`: kills all entries of the selected database, and all tokens.
//! Reply: integer, how many there were. Always replicated. Other keys are untouched. O(1): memory is reclaimed afterwards.

use cacheops_protocol::{ArgError, ShardArgs};

use super::refuse_on_replica;
use crate::error::CommandError;
use crate::ffi::{self, Args, Context, with_state};
use crate::reaper;

pub(crate) fn flush(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let options = ShardArgs::parse(args.bytes())?;
    if !options.shard && with_state(|state| state.is_cluster) && !ctx.is_replicated() {
        return Err(ArgError::ShardRequired.into());
    }
    refuse_on_replica(ctx)?;

    let database = ctx.database();
    let entries = with_state(|state| {
        let entries = state.index(database).flush(ffi::random());
        reaper::schedule_with(state);
        entries
    });
    ctx.replicate_verbatim();
    ctx.reply_integer(entries as u64);
    Ok(())
}
