//! `CACHEOPS.VERSION`: what this module is and can do, for the handshake of a client.
//! Reply: map of version, grammar and capabilities. O(1).

use super::reply_field;
use crate::error::CommandError;
use crate::ffi::{Args, Context};

/// The grammar of conditions and commands; grows only when old clients would misread something.
const GRAMMAR: u64 = 1;

const CAPABILITIES: &[&str] =
    &["token", "check", "ifnot", "lock", "dryrun", "shard", "explain", "top", "reap"];

pub(crate) fn version(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    if !args.bytes().is_empty() {
        return Err(CommandError::Arity);
    }
    ctx.reply_map(3);
    ctx.reply_bytes(b"version");
    ctx.reply_bytes(crate::info::VERSION.as_bytes());
    reply_field(ctx, "grammar", GRAMMAR);
    ctx.reply_bytes(b"capabilities");
    ctx.reply_array(CAPABILITIES.len());
    CAPABILITIES.iter().for_each(|capability| ctx.reply_bytes(capability.as_bytes()));
    Ok(())
}
