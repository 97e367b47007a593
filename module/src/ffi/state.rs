//! The module's state: reached on the main thread only, one borrow at a time.

use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

use super::raw;
use crate::state::State;

struct Global {
    state: UnsafeCell<Option<State>>,
    /// A context without a client, for what happens outside commands. NULL until the module is loaded.
    detached: Cell<*mut raw::RedisModuleCtx>,
}

// SAFETY: the state is reached through `with_state` only, which refuses every thread but the main one. The context is set once
// while the module is loaded, before any other thread can know of it.
unsafe impl Sync for Global {}

static GLOBAL: Global = Global { state: UnsafeCell::new(None), detached: Cell::new(null_mut()) };

/// What a thread may do with the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Nothing: it is not the main thread.
    Foreign,
    Free,
    Borrowed,
    /// Borrowed, and something has panicked meanwhile that was caught before it came to the borrow.
    BorrowedBroken,
    /// Something has panicked: the indexes are to be replaced before anything else.
    Broken,
}

thread_local! {
    static ACCESS: Cell<Access> = const { Cell::new(Access::Foreign) };
}

/// Ends the borrow, also when a panic unwinds through it.
struct Borrow;

impl Borrow {
    fn begin() -> Self {
        ACCESS.set(Access::Borrowed);
        Self
    }
}

impl Drop for Borrow {
    #[inline]
    fn drop(&mut self) {
        let is_broken = ACCESS.get() == Access::BorrowedBroken;
        ACCESS.set(if is_broken { Access::Broken } else { Access::Free });
    }
}

/// Runs `run` with the state. What touches a key calls back into the module: never do so from within.
#[inline]
pub(crate) fn with_state<R>(run: impl FnOnce(&mut State) -> R) -> R {
    let access = ACCESS.get();
    if access != Access::Free {
        prepare(access);
    }
    let _borrow = Borrow::begin();
    // SAFETY: on the main thread, for every other one is refused above, and the only borrow, for it was free.
    let state = unsafe { &mut *GLOBAL.state.get() };
    run(state.get_or_insert_with(State::default))
}

/// Makes the state free to be borrowed, or panics.
#[cold]
fn prepare(access: Access) {
    assert!(access != Access::Foreign, "the state is reached from another thread");
    assert!(access == Access::Broken, "the state is borrowed already");
    let _borrow = Borrow::begin();
    // SAFETY: as in `with_state`.
    let state = unsafe { &mut *GLOBAL.state.get() };
    state.get_or_insert_with(State::default).start_anew();
}

/// A panic was caught. Replaces the indexes, if no borrow is in the way; else they are replaced when it has ended.
pub(super) fn recover_from_panic() {
    match ACCESS.get() {
        // What runs in other threads holds nothing of the state.
        Access::Foreign => {}
        Access::Borrowed | Access::BorrowedBroken => ACCESS.set(Access::BorrowedBroken),
        Access::Free | Access::Broken => {
            ACCESS.set(Access::Broken);
            with_state(|_| {});
        }
    }
}

pub(super) fn is_main_thread() -> bool {
    ACCESS.get() != Access::Foreign
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
    if ACCESS.get() == Access::Foreign {
        ACCESS.set(Access::Free);
    }
    // SAFETY: the caller's context is valid; the new one is never freed, as the module is never unloaded.
    GLOBAL.detached.set(unsafe { api_ptr!(RedisModule_GetDetachedThreadSafeContext(ctx)) });
}
