//! `CACHEOPS.RELEASE key token`: gives up the lock that `GET .. LOCK` has answered with this token; the first who waits has it
//! then. Reply: 1, or 0 if the lock is not theirs, or not any more. Never replicated. O(log locks).

use cacheops_protocol::ReleaseArgs;

use crate::error::CommandError;
use crate::ffi::{Args, Context};
use crate::flight;

pub(crate) fn release(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let ReleaseArgs { key, token } = ReleaseArgs::parse(args.bytes())?;
    ctx.reply_integer(u64::from(flight::release(ctx.database(), key, token)));
    Ok(())
}
