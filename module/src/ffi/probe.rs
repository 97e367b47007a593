//! Does MODULE LOADEX name directives that do not exist?
//!
//! The server looks for these only when the module is loaded, and then unloads it. With a data type it cannot: Redis 7.0 keeps
//! the module and answers an error, Valkey 8.1 and 9.1 crash. No function of the interface names the directives that are left.
//! So the module loads its own file once more from within its load, as a module of another name that registers nothing.
//! Of that one the server can let go, and its answer says whether directives are left. If so, the module refuses to be
//! loaded, which leaves nothing behind on any server.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Context, log_warning, raw};

const NAME: &CStr = c"cacheops-probe";

static IS_PROBING: AtomicBool = AtomicBool::new(false);

/// Whether the server loads the module from within [`finds_unknown_directives`].
pub(super) fn is_loaded_now() -> bool {
    IS_PROBING.load(Ordering::Relaxed)
}

/// Loads the module under its other name.
///
/// # Safety
///
/// `ctx` is the context of `RedisModule_OnLoad`.
pub(super) unsafe fn load(ctx: *mut raw::RedisModuleCtx) -> c_int {
    // SAFETY: the caller's promise, and the name ends in NUL. The functions of the server that this call sets are set already,
    // to the same.
    unsafe {
        raw::Export_RedisModule_Init(
            ctx,
            NAME.as_ptr(),
            crate::MODULE_VERSION,
            raw::REDISMODULE_APIVER_1 as c_int,
        )
    }
}

/// Whether the module is loaded by MODULE LOADEX with a directive that is not registered. Those that are must be read already.
pub(super) fn finds_unknown_directives(ctx: &Context) -> bool {
    // Before a client can connect, `loadmodule` loads the module. Then the server names unknown directives of its
    // configuration file itself, and those of other modules must not be touched.
    let clients = ctx.server_info(c"clients", [c"connected_clients"]);
    let Some(path) = own_path().filter(|_| clients.is_some_and(|[clients]| clients > 0)) else {
        return false;
    };
    IS_PROBING.store(true, Ordering::Relaxed);
    let is_refused = call_fails(ctx, c"LOADEX", path);
    IS_PROBING.store(false, Ordering::Relaxed);
    if !is_refused && call_fails(ctx, c"UNLOAD", NAME) {
        log_warning("cacheops: MODULE UNLOAD cacheops-probe fails; that module does nothing");
    }
    is_refused
}

/// Calls a subcommand of MODULE.
fn call_fails(ctx: &Context, subcommand: &CStr, argument: &CStr) -> bool {
    // SAFETY: the context is that of the load, all strings end in NUL, and the reply is freed once.
    unsafe {
        let Some(call) = raw::RedisModule_Call else { return false };
        let reply = call(
            ctx.raw(),
            c"MODULE".as_ptr(),
            c"cc".as_ptr(),
            subcommand.as_ptr(),
            argument.as_ptr(),
        );
        if reply.is_null() {
            return false;
        }
        let kind: c_int = api!(RedisModule_CallReplyType(reply));
        api!(RedisModule_FreeCallReply(reply));
        kind == raw::REDISMODULE_REPLY_ERROR as c_int
    }
}

/// The file that the module was loaded from, as it was named then.
fn own_path() -> Option<&'static CStr> {
    #[repr(C)]
    struct Found {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }

    unsafe extern "C" {
        fn dladdr(address: *const c_void, found: *mut Found) -> c_int;
    }

    let mut found = Found { file: null(), base: null_mut(), symbol: null(), address: null_mut() };
    // SAFETY: `Found` has the form of `Dl_info`, and the loader writes nothing else. The name that it finds lives as long as the
    // module, which is longer than its code runs.
    unsafe {
        let here: *const c_void = std::ptr::from_ref(&IS_PROBING).cast();
        if dladdr(here, &mut found) == 0 || found.file.is_null() {
            return None;
        }
        Some(CStr::from_ptr(found.file))
    }
}
