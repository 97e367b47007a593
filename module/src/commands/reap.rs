//! `CACHEOPS.REAP [chunk [min-size]]`: reclaims dead entries now, and audits conjunctions against the keyspace.
//! Reply: `[examined, freed]`. Looks at up to `chunk` dead entries and as many links of conjunctions with at least `min-size`
//! dependents, for no longer than a slice of the timer. What it deletes is replicated as UNLINK.

use cacheops_protocol::ReapArgs;

use super::refuse_on_replica;
use crate::error::CommandError;
use crate::ffi::{Args, Context};
use crate::reaper;

pub(crate) fn reap(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let ReapArgs { chunk, min_size } = ReapArgs::parse(args.bytes())?;
    refuse_on_replica(ctx)?;
    let (examined, freed) = reaper::reap(ctx, ctx.database(), chunk, min_size);
    ctx.reply_array(2);
    ctx.reply_integer(examined as u64);
    ctx.reply_integer(freed as u64);
    Ok(())
}
