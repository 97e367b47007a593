//! `CACHEOPS.MGET key [key ...]`: the values of several entries.
//! Reply: array, the value or nil for each key; a key of another type is nil. Never writes. O(keys x conjunctions).

use super::get::is_hit;
use crate::error::CommandError;
use crate::ffi::{Args, Context, Held, Key, Mode, with_state};

pub(crate) fn mget(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    if args.bytes().is_empty() {
        return Err(CommandError::Arity);
    }
    let database = ctx.database();
    ctx.reply_array(args.bytes().len());
    for at in 0..args.bytes().len() {
        let Some(name) = args.name(at) else { continue };
        let key = Key::open(ctx, name, Mode::Read);
        match key.held() {
            Held::Entry(entry) if is_hit(database, entry) => ctx.reply_bytes(entry.value()),
            held => {
                with_state(|state| {
                    state.counts.misses += 1;
                    state.counts.misses_dead += u64::from(matches!(held, Held::Entry(_)));
                });
                ctx.reply_null();
            }
        }
    }
    Ok(())
}
