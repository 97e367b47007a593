//! The module's state: reached on the main thread only, one borrow at a time.

use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::thread::{self, ThreadId};

use super::raw;
use crate::state::State;

struct Global {
    state: UnsafeCell<Option<State>>,
    is_borrowed: Cell<bool>,
    /// A context without a client, for what happens outside commands. NULL until the module is loaded.
    detached: Cell<*mut raw::RedisModuleCtx>,
}

// SAFETY: all access goes through `with_state`, `release_after_panic` and `detached`. The server calls the module's commands
// and callbacks on its main thread, but for `free` and log lines, which ask `is_main_thread` or only read the context that
// is set once at load.
unsafe impl Sync for Global {}

static GLOBAL: Global = Global {
    state: UnsafeCell::new(None),
    is_borrowed: Cell::new(false),
    detached: Cell::new(null_mut()),
};
static MAIN_THREAD: OnceLock<ThreadId> = OnceLock::new();

/// Runs `run` with the state. What touches a key calls back into the module: never do so from within.
#[inline]
pub(crate) fn with_state<R>(run: impl FnOnce(&mut State) -> R) -> R {
    assert!(!GLOBAL.is_borrowed.replace(true), "the state is borrowed already");
    // SAFETY: on the main thread (see `Global`), and the flag proves that this is the only borrow.
    let state = unsafe { &mut *GLOBAL.state.get() };
    let answer = run(state.get_or_insert_with(State::default));
    GLOBAL.is_borrowed.set(false);
    answer
}

/// After a panic has unwound through `with_state`.
pub(super) fn release_after_panic() {
    GLOBAL.is_borrowed.set(false);
}

pub(super) fn is_main_thread() -> bool {
    MAIN_THREAD.get() == Some(&thread::current().id())
}

/// The context for timers, logs and look-ups outside commands.
pub(super) fn detached() -> *mut raw::RedisModuleCtx {
    GLOBAL.detached.get()
}

/// To be called once, on the main thread, while the module is loaded.
///
/// # Safety
///
/// `ctx` is the context of `RedisModule_OnLoad`.
pub(super) unsafe fn initialise(ctx: *mut raw::RedisModuleCtx) {
    MAIN_THREAD.get_or_init(|| thread::current().id());
    // SAFETY: the caller's context is valid; the new one is never freed, as the module is never unloaded.
    GLOBAL.detached.set(unsafe { api_ptr!(RedisModule_GetDetachedThreadSafeContext(ctx)) });
}
