//! Timers of the server: they run between commands, on the main thread.

use std::os::raw::{c_int, c_void};
use std::ptr::null_mut;
use std::time::Duration;

use super::{Context, guarded, raw, state};
use crate::{flight, reaper};

/// Lets the reaper run after a while.
pub(crate) fn schedule_reaper(after: Duration) {
    schedule(after, reaping);
}

/// Lets what is due in the flights be done after a while.
pub(crate) fn schedule_flights(after: Duration) -> Timer {
    Timer { id: schedule(after, flying) }
}

/// A timer that has not fired yet, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    id: u64,
}

impl Timer {
    /// To be called when it fires: the server frees it then, and a second time if it was stopped meanwhile.
    pub(crate) fn fired(self) {
        std::mem::forget(self);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the detached context is the one that the timer was made with. An id that has fired is refused, and never
        // given again.
        unsafe {
            let ctx = state::detached();
            if !ctx.is_null() {
                let _: c_int = api!(RedisModule_StopTimer(ctx, self.id, null_mut()));
            }
        }
    }
}

fn schedule(after: Duration, fired: Callback) -> u64 {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    // SAFETY: the detached context lives as long as the module; the callback takes no data.
    unsafe {
        let ctx = state::detached();
        if ctx.is_null() {
            return 0;
        }
        api!(RedisModule_CreateTimer(ctx, after, Some(fired), null_mut()))
    }
}

type Callback = unsafe extern "C" fn(*mut raw::RedisModuleCtx, *mut c_void);

unsafe extern "C" fn reaping(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: the server lends the context for this call.
    guarded((), || reaper::run(&unsafe { Context::new(ctx) }));
}

unsafe extern "C" fn flying(_ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    guarded((), flight::run);
}
