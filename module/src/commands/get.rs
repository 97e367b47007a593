//! `CACHEOPS.GET key [IFNOT version] [TOKEN] [LOCK ms [WAIT ms]]`: the value of an entry, if nothing that it depends on was
//! invalidated. Reply: the value, or nil. With IFNOT a hit is `[version, value]`, or `[version, nil]` if that is the version the
//! client has. With TOKEN a miss is an integer: the token for the coming STORE. With LOCK only one asker gets it; the others
//! get nil, or after WAIT what was stored. Never writes, never replicated. O(conjunctions).

use cacheops_protocol::GetArgs;

use crate::error::CommandError;
use crate::ffi::{Args, Context, EntryRef, Held, Key, Mode, with_state};
use crate::flight;

pub(crate) fn get(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let options = GetArgs::parse(args.bytes())?;
    let Some(name) = args.name(0) else { return Err(CommandError::Arity) };
    let key = Key::open(ctx, name, Mode::Read);
    let database = ctx.database();
    match key.held() {
        Held::Foreign => return Err(CommandError::WrongType),
        Held::Entry(entry) if is_hit(database, entry) => match options.if_not {
            None => ctx.reply_bytes(entry.value()),
            Some(known) => {
                ctx.reply_array(2);
                ctx.reply_integer(entry.version());
                if known == entry.version() {
                    ctx.reply_null()
                } else {
                    ctx.reply_bytes(entry.value())
                }
            }
        },
        held => {
            let is_dead = matches!(held, Held::Entry(_));
            drop(key);
            let token = with_state(|state| {
                state.counts.misses += 1;
                state.counts.misses_dead += u64::from(is_dead);
                // A replica gives no token: what it has not heard yet may be invalidated already.
                (options.token && state.is_primary).then(|| state.index(database).token())
            });
            match (token, options.lock) {
                (None, _) => ctx.reply_null(),
                (Some(token), None) => ctx.reply_integer(token),
                (Some(_), Some(lock)) => {
                    flight::ask(ctx, database, options.key, options.if_not, lock);
                }
            }
        }
    }
    Ok(())
}

/// Whether the entry is alive; counts it as a hit if so.
#[inline]
pub(super) fn is_hit(database: usize, entry: EntryRef<'_>) -> bool {
    let (slot, stamps) = (entry.slot(), entry.stamps());
    with_state(|state| {
        let is_hit = state.get(database).is_some_and(|index| index.hit(slot, stamps));
        state.counts.hits += u64::from(is_hit);
        is_hit
    })
}
