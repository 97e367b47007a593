//! `CACHEOPS.CHECK token [KEY key] ON table condition [...]`: has nothing that the conditions match been invalidated since?
//! Reply: 1, or 0 if something was or the token is unknown. For values that are kept outside the server. Never replicated.
//! O(terms). Registers schemes that are new, so that the next check can be answered by 1.

use cacheops_protocol::CheckArgs;

use crate::config;
use crate::error::CommandError;
use crate::ffi::{Args, Context, with_state};

pub(crate) fn check(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let CheckArgs { token, on, .. } = CheckArgs::parse(args.bytes(), &config::argument_limits())?;
    let database = ctx.database();
    let is_unchanged = with_state(|state| {
        state.is_primary
            && state.index(database).check(&on, token, &config::index_limits()).unwrap_or(false)
    });
    ctx.reply_integer(is_unchanged.into());
    Ok(())
}
