//! A panic must never cross into the server: it would abort, and take everybody's data along.

use std::cell::Cell;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{raw, state};

/// Runs what the server asked for. After a panic the answer is `fallback`, and the cache is empty instead of wrong.
#[inline]
pub(crate) fn guarded<R>(fallback: R, run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        recover();
        fallback
    })
}

#[cold]
fn recover() {
    // Should even this panic, the state stays as it is: empty or with entries that nobody vouches for.
    let _ = catch_unwind(state::recover_from_panic);
}

/// Writes a warning to the server's log.
pub(crate) fn log_warning(text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: the strings end in NUL and outlive the call; the context is NULL or lives as long as the module.
    unsafe {
        if let Some(log) = raw::RedisModule_Log {
            log(state::detached(), c"warning".as_ptr(), c"%s".as_ptr(), text.as_ptr());
        }
    }
}

/// Sends panic messages to the server's log.
pub(super) fn log_panics() {
    thread_local!(static IN_HOOK: Cell<bool> = const { Cell::new(false) });
    std::panic::set_hook(Box::new(|panic| {
        if !IN_HOOK.replace(true) {
            log_warning(&format!("cacheops: {panic}; all entries are discarded"));
            IN_HOOK.set(false);
        }
    }));
}
