//! `CACHEOPS.EXPLAIN key`: is the entry alive, and if not, why?
//! Reply: map, or nil for a missing key. Never writes. O(conjunctions), and a bounded search for the cause.

use crate::error::CommandError;
use crate::ffi::{Args, Context, Held, Key, Mode, with_state};

pub(crate) fn explain(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let ([_], Some(name)) = (args.bytes(), args.name(0)) else { return Err(CommandError::Arity) };
    let key = Key::open(ctx, name, Mode::Peek);
    let entry = match key.held() {
        Held::Nothing => {
            ctx.reply_null();
            return Ok(());
        }
        Held::Foreign => {
            ctx.reply_map(1);
            reply_text(ctx, "state", b"foreign");
            return Ok(());
        }
        Held::Entry(entry) => entry,
    };
    let database = ctx.database();
    let slot = entry.slot();
    let (explanation, was_flushed) = with_state(|state| {
        let index = state.get(database);
        index.map_or((None, false), |index| (index.explain(slot), index.was_flushed(slot)))
    });
    let is_alive = explanation.as_ref().is_some_and(|explanation| explanation.alive);
    let cause = explanation.as_ref().and_then(|explanation| explanation.cause.as_ref());
    let conditions = explanation.as_ref().map_or(&[][..], |explanation| &explanation.conditions);

    let details = match (is_alive, cause) {
        (true, _) => 0,
        (false, None) => 1,
        (false, Some(cause)) => 4 + usize::from(cause.conjunction.is_some()),
    };
    ctx.reply_map(5 + details);
    reply_text(ctx, "state", if is_alive { b"alive" } else { b"dead" });
    if !is_alive {
        let reason: &[u8] = match (cause, &explanation) {
            (Some(cause), _) if cause.conjunction.is_none() => b"dropped",
            (_, Some(_)) => b"invalidated",
            (_, None) if was_flushed => b"flushed",
            // No index knows it: renamed, moved, restored, or from before a restart.
            (_, None) => b"unlinked",
        };
        reply_text(ctx, "reason", reason);
        if let Some(cause) = cause {
            reply_text(ctx, "table", &cause.table);
            if let Some(conjunction) = &cause.conjunction {
                reply_text(ctx, "conjunction", conjunction);
            }
            super::reply_field(ctx, "sequence", cause.sequence);
            super::reply_field(ctx, "time", cause.time_ms);
        }
    }
    ctx.reply_bytes(b"ttl");
    ctx.reply_signed(key.ttl_ms().unwrap_or(-1));
    super::reply_field(ctx, "bytes", entry.value().len() as u64);
    super::reply_field(ctx, "version", entry.version());
    ctx.reply_bytes(b"conditions");
    ctx.reply_array(conditions.len() * 2);
    for (table, text) in conditions {
        ctx.reply_bytes(table);
        ctx.reply_bytes(text);
    }
    Ok(())
}

fn reply_text(ctx: &Context, name: &str, value: &[u8]) {
    ctx.reply_bytes(name.as_bytes());
    ctx.reply_bytes(value);
}
