//! What the server calls when it loads the module.
//!
//! There is no `OnUnload`: the data type alone keeps MODULE UNLOAD from happening, and a function that refuses makes Redis 8.2
//! end by an assertion where it unloads a module after an error of its own.

use std::os::raw::{c_char, c_int};

use super::command::{self, command};
use super::{
    Context, config, data_type, events, guard, info, log_warning, probe, raw, state, with_state,
};
use crate::commands::{self, specs};

const OK: c_int = raw::REDISMODULE_OK as c_int;
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// Loads the module.
///
/// # Safety
///
/// Called by the server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    if probe::is_loaded_now() {
        // SAFETY: as for this function.
        return unsafe { probe::load(ctx) };
    }
    // Nothing may allocate before this call: the server hands its allocator over here.
    // SAFETY: the server lends the context, and the name ends in NUL.
    unsafe {
        let name: *const c_char = c"cacheops".as_ptr();
        if raw::Export_RedisModule_Init(
            ctx,
            name,
            crate::MODULE_VERSION,
            raw::REDISMODULE_APIVER_1 as c_int,
        ) != OK
        {
            return ERR;
        }
        state::initialise(ctx);
    }
    guard::log_panics();
    // SAFETY: as above.
    let ctx = unsafe { Context::new(ctx) };
    super::guarded(ERR, || match load(&ctx, argc) {
        Ok(()) => OK,
        Err(problem) => {
            log_warning(&format!("cacheops is not loaded: {problem}"));
            ERR
        }
    })
}

fn load(ctx: &Context, argc: c_int) -> Result<(), &'static str> {
    if argc != 0 {
        return Err(
            "it takes no arguments, write directives such as 'cacheops.on-restart keep' on lines of their own",
        );
    }
    // SAFETY: reads pointers that the server has set, or not.
    let is_old = unsafe {
        { raw::RedisModule_RegisterNumericConfig }.is_none()
            || { raw::RedisModule_SetCommandInfo }.is_none()
            || { raw::RedisModule_AvoidReplicaTraffic }.is_none()
            || { raw::RedisModule_GetDbIdFromIO }.is_none()
            || { raw::RedisModule_SetAbsExpire }.is_none()
    };
    if is_old {
        return Err(
            "the server is too old, Redis 7.0 or Valkey 7.2 is the first that has what it needs",
        );
    }
    // Diskless loading into a second keyspace (REPL_ASYNC_LOAD) is not claimed: the server then flushes before it loads. A
    // key is signalled as modified only when it is.
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | NO_IMPLICIT_SIGNAL_MODIFIED;
    // SAFETY: the context is that of the load.
    unsafe { api!(RedisModule_SetModuleOptions(ctx.raw(), options as c_int)) };
    // What may be refused comes before the data type and the events: some servers do not forget these when the module is
    // refused.
    if !config::register(ctx, crate::config::NUMBERS, crate::config::ENUMS) {
        return Err("the server refuses a directive, its log names it above");
    }
    if probe::finds_unknown_directives(ctx) {
        return Err(
            "CONFIG of MODULE LOADEX names a directive that does not exist, see redis.conf.example",
        );
    }
    if !data_type::register(ctx) {
        return Err(
            "the server refuses the data type cacheops1, is another module using the name?",
        );
    }
    if !command::add_category(ctx, "cacheops") {
        return Err("the server refuses the ACL category @cacheops");
    }
    let registered = [
        command::register(ctx, &specs::STORE, command!(commands::store)),
        command::register(ctx, &specs::GET, command!(commands::get)),
        command::register(ctx, &specs::MGET, command!(commands::mget)),
        command::register(ctx, &specs::RELEASE, command!(commands::release)),
        command::register(ctx, &specs::TOKEN, command!(commands::token)),
        command::register(ctx, &specs::CHECK, command!(commands::check, key)),
        command::register(ctx, &specs::INVALIDATE, command!(commands::invalidate)),
        command::register(ctx, &specs::FLUSH, command!(commands::flush)),
        command::register(ctx, &specs::REAP, command!(commands::reap)),
        command::register(ctx, &specs::EXPLAIN, command!(commands::explain)),
        command::register(ctx, &specs::TOP, command!(commands::top)),
        command::register(ctx, &specs::TABLES, command!(commands::tables)),
        command::register(ctx, &specs::VERSION, command!(commands::version)),
    ];
    if registered.contains(&false) {
        return Err("the server refuses a command, is another module using the prefix CACHEOPS?");
    }
    #[cfg(feature = "panic-injection")]
    if !command::register(ctx, &specs::PANIC, command!(commands::panic)) {
        return Err("the server refuses the command CACHEOPS.PANIC");
    }
    with_state(|state| {
        state.is_primary = ctx.is_primary();
        state.is_cluster = ctx.is_cluster();
    });
    if !info::register(ctx) || !events::subscribe(ctx) {
        return Err("the server refuses a subscription that the index cannot do without");
    }
    Ok(())
}

/// `REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED`, which the bindings leave out.
const NO_IMPLICIT_SIGNAL_MODIFIED: u32 = 1 << 1;
