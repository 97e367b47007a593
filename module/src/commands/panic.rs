//! `CACHEOPS.PANIC command|index|timer|unlink|save|lock|reply`: panics when the module next comes to that place. For tests only.
//! Reply: integer, 1.
//!
//! `CACHEOPS.PANIC nested|thread`: reaches for the state while it is borrowed, or from another thread.
//! Reply: integer, 1 if that was refused and the state left as it was.

use crate::error::CommandError;
use crate::ffi::{self, Args, Context, with_state};

pub(crate) fn panic(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let [place] = args.bytes() else { return Err(CommandError::Arity) };
    match *place {
        b"nested" => {
            let is_refused = with_state(|state| {
                let before = state.counts;
                ffi::guarded((), || with_state(|state| state.counts.hits += 1));
                state.counts == before
            });
            ctx.reply_integer(is_refused.into());
            return Ok(());
        }
        b"thread" => {
            let reach = || ffi::guarded(true, || with_state(|_| false));
            let is_refused = std::thread::spawn(reach).join().unwrap_or(false);
            ctx.reply_integer(is_refused.into());
            return Ok(());
        }
        _ => {}
    }
    let places = ["command", "index", "timer", "unlink", "save", "lock", "reply"];
    let Some(place) = places.into_iter().find(|known| known.as_bytes() == *place) else {
        return Err(CommandError::Arity);
    };
    with_state(|state| state.panic_at = Some(place));
    ctx.reply_integer(1);
    Ok(())
}
