//! The commands, one file each. COMMANDS.md describes them for those who use them.

mod check;
mod explain;
mod flush;
mod get;
mod invalidate;
mod mget;
#[cfg(feature = "panic-injection")]
mod panic;
mod reap;
mod release;
pub(crate) mod specs;
mod store;
mod tables;
mod token;
mod top;
mod version;

pub(crate) use check::check;
pub(crate) use explain::explain;
pub(crate) use flush::flush;
pub(crate) use get::get;
pub(crate) use invalidate::invalidate;
pub(crate) use mget::mget;
#[cfg(feature = "panic-injection")]
pub(crate) use panic::panic;
pub(crate) use reap::reap;
pub(crate) use release::release;
pub(crate) use store::store;
pub(crate) use tables::tables;
pub(crate) use token::token;
pub(crate) use top::top;
pub(crate) use version::version;

use crate::error::CommandError;
use crate::ffi::{Context, with_state};

/// Refuses a client that would change a replica's data by itself. What comes from the primary passes.
fn refuse_on_replica(ctx: &Context) -> Result<(), CommandError> {
    let is_primary = with_state(|state| state.is_primary);
    if !is_primary && ctx.is_read_only() && !ctx.is_replicated() {
        return Err(CommandError::ReadOnly);
    }
    Ok(())
}

/// Replies a name and a number, as part of a map.
fn reply_field(ctx: &Context, name: &str, value: u64) {
    ctx.reply_bytes(name.as_bytes());
    ctx.reply_integer(value);
}
