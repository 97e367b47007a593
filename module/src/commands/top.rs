//! `CACHEOPS.TOP [BY fanout|memory|invalidations] [COUNT n]`: the conjunctions that cost most.
//! Reply: array of maps; conjunctions without their values for a user who may not read all keys. From lists that are kept while working, never a walk: a conjunction is met once it has had eight
//! dependents, or by invalidations once it was among the 64 most frequent. O(1).

use cacheops_index::{TopOrder, TopReport};
use cacheops_protocol::{TopArgs, TopBy};

use super::reply_field;
use crate::error::CommandError;
use crate::ffi::{Args, Context, with_state};

pub(crate) fn top(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let TopArgs { by, count } = TopArgs::parse(args.bytes())?;
    let order = match by {
        TopBy::FanOut => TopOrder::FanOut,
        TopBy::Memory => TopOrder::Memory,
        TopBy::Invalidations => TopOrder::Invalidations,
    };
    let database = ctx.database();
    let mut reports =
        with_state(|state| state.get(database).map_or(Vec::new(), |index| index.top(order, count)));
    // Values are those of other users' rows: a mail address, an account.
    if !ctx.may_read_all_keys() {
        reports.iter_mut().for_each(TopReport::hide_values);
    }
    ctx.reply_array(reports.len());
    for report in reports {
        ctx.reply_map(5);
        ctx.reply_bytes(b"table");
        ctx.reply_bytes(&report.table);
        ctx.reply_bytes(b"conjunction");
        ctx.reply_bytes(&report.conjunction);
        reply_field(ctx, "fanout", report.fan_out as u64);
        reply_field(ctx, "bytes", report.bytes as u64);
        reply_field(ctx, "invalidations", report.invalidations);
    }
    Ok(())
}
