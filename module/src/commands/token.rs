//! `CACHEOPS.TOKEN [key]`: the token of now, for a transaction that reads from a snapshot. Take it before BEGIN.
//! Reply: integer; nil on a replica. The key only chooses the shard in a cluster. Never replicated. O(1).

use crate::error::CommandError;
use crate::ffi::{Args, Context, with_state};

pub(crate) fn token(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    if args.bytes().len() > 1 {
        return Err(CommandError::Arity);
    }
    let database = ctx.database();
    match with_state(|state| state.is_primary.then(|| state.index(database).token())) {
        Some(token) => ctx.reply_integer(token),
        None => ctx.reply_null(),
    }
    Ok(())
}
