//! `CACHEOPS.TABLES`: every table that entries of the selected database depend on.
//! Reply: array of maps, ordered by name. O(tables x schemes).

use super::reply_field;
use crate::error::CommandError;
use crate::ffi::{Args, Context, with_state};

pub(crate) fn tables(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    if !args.bytes().is_empty() {
        return Err(CommandError::Arity);
    }
    let database = ctx.database();
    let mut reports =
        with_state(|state| state.get(database).map_or(Vec::new(), |index| index.tables()));
    reports.sort_by(|left, right| left.name.cmp(&right.name));
    ctx.reply_array(reports.len());
    for report in reports {
        ctx.reply_map(7);
        ctx.reply_bytes(b"table");
        ctx.reply_bytes(&report.name);
        reply_field(ctx, "schemes", report.schemes as u64);
        reply_field(ctx, "entries", report.links as u64);
        reply_field(ctx, "conjunctions", report.conjunctions as u64);
        reply_field(ctx, "hits", report.hits);
        reply_field(ctx, "refused", report.refused);
        reply_field(ctx, "invalidations", report.invalidations);
    }
    Ok(())
}
