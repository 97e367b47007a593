//! Timers of the server: they run between commands, on the main thread.

use std::os::raw::c_void;
use std::ptr::null_mut;
use std::time::Duration;

use super::{Context, guarded, raw, state};
use crate::reaper;

/// Lets the reaper run after a while.
pub(crate) fn schedule(after: Duration) {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    // SAFETY: the detached context lives as long as the module; the callback takes no data.
    unsafe {
        let ctx = state::detached();
        if !ctx.is_null() {
            let _: u64 = api!(RedisModule_CreateTimer(ctx, after, Some(fired), null_mut()));
        }
    }
}

unsafe extern "C" fn fired(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: the server lends the context for this call.
    guarded((), || reaper::run(&unsafe { Context::new(ctx) }));
}
