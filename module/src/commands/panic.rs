//! `CACHEOPS.PANIC command|index|timer|unlink|save|lock`: panics when the module next comes to that place. For tests only.
//! Reply: integer, 1.

use crate::error::CommandError;
use crate::ffi::{Args, Context, with_state};

pub(crate) fn panic(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let [place] = args.bytes() else { return Err(CommandError::Arity) };
    let places = ["command", "index", "timer", "unlink", "save", "lock"];
    let Some(place) = places.into_iter().find(|known| known.as_bytes() == *place) else {
        return Err(CommandError::Arity);
    };
    with_state(|state| state.panic_at = Some(place));
    ctx.reply_integer(1);
    Ok(())
}
