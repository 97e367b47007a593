//! What the server tells of itself. Subscribed raw: the safe layer of the binding drops which database was flushed.

use std::os::raw::{c_char, c_int, c_void};

use super::{Context, data_type, guarded, raw};
use crate::flight;
use crate::lifecycle::{self, Loading};

/// Subscribes to all events; false if the server refuses.
pub(super) fn subscribe(ctx: &Context) -> bool {
    let events: [(u64, u64, EventHandler); 9] = [
        (raw::REDISMODULE_EVENT_FLUSHDB, 1, flushed),
        (raw::REDISMODULE_EVENT_SWAPDB, 1, swapped),
        (raw::REDISMODULE_EVENT_LOADING, 1, loading),
        (raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, 1, role_changed),
        (raw::REDISMODULE_EVENT_PERSISTENCE, 1, saving),
        (raw::REDISMODULE_EVENT_FORK_CHILD, 1, listeners_may_come),
        (raw::REDISMODULE_EVENT_REPLICA_CHANGE, 1, listeners_may_come),
        (raw::REDISMODULE_EVENT_CRON_LOOP, 1, cron),
        (raw::REDISMODULE_EVENT_CLIENT_CHANGE, 1, client_changed),
    ];
    let mut accepted = true;
    for (id, dataver, handler) in events {
        let event = raw::RedisModuleEvent { id, dataver };
        // SAFETY: the handlers have the signature that the server calls.
        let status: c_int =
            unsafe { api!(RedisModule_SubscribeToServerEvent(ctx.raw(), event, Some(handler))) };
        accepted &= status == raw::REDISMODULE_OK as c_int;
    }
    accepted && subscribe_to_trimming(ctx)
}

/// Has a server that trims migrated slots (Redis 8.4) unlink each key: without a subscriber to this event it would drop them
/// without a call of [`super::data_type`]. No other keyspace events are subscribed to, for a subscription costs other clients:
/// Valkey 8.1 leaves a client in the destination database after MOVE and COPY if a module subscribes to generic events.
fn subscribe_to_trimming(ctx: &Context) -> bool {
    const KEY_TRIMMED: c_int = 1 << 17;
    // SAFETY: takes nothing.
    let known: c_int = unsafe { api!(RedisModule_GetKeyspaceNotificationFlagsAll()) };
    // The same bit may mean another event in Valkey.
    if known & KEY_TRIMMED == 0 || ctx.is_valkey() {
        return true;
    }
    // SAFETY: the handler has the signature that the server calls.
    let status: c_int = unsafe {
        api!(RedisModule_SubscribeToKeyspaceEvents(ctx.raw(), KEY_TRIMMED, Some(trimmed)))
    };
    status == raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn trimmed(
    _ctx: *mut raw::RedisModuleCtx,
    _kind: c_int,
    _event: *const c_char,
    _key: *mut raw::RedisModuleString,
) -> c_int {
    raw::REDISMODULE_OK as c_int
}

type EventHandler =
    unsafe extern "C" fn(*mut raw::RedisModuleCtx, raw::RedisModuleEvent, u64, *mut c_void);

unsafe extern "C" fn flushed(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    guarded((), || {
        // SAFETY: the server lends the structure of this event.
        let info = unsafe { data.cast::<raw::RedisModuleFlushInfo>().as_ref() };
        if subevent == raw::REDISMODULE_SUBEVENT_FLUSHDB_START {
            // -1 is all databases.
            lifecycle::flushed(info.and_then(|info| usize::try_from(info.dbnum).ok()));
        }
    });
}

unsafe extern "C" fn swapped(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    guarded((), || {
        // SAFETY: the server lends the structure of this event.
        let Some(info) = (unsafe { data.cast::<raw::RedisModuleSwapDbInfo>().as_ref() }) else {
            return;
        };
        if let (Ok(first), Ok(second)) =
            (usize::try_from(info.dbnum_first), usize::try_from(info.dbnum_second))
        {
            lifecycle::swapped(first, second);
        }
    });
}

unsafe extern "C" fn loading(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    guarded((), || {
        // SAFETY: the server lends the context for this call.
        let ctx = unsafe { Context::new(ctx) };
        match subevent {
            raw::REDISMODULE_SUBEVENT_LOADING_RDB_START
            | raw::REDISMODULE_SUBEVENT_LOADING_AOF_START => {
                lifecycle::loading_started(Loading::Restart);
            }
            raw::REDISMODULE_SUBEVENT_LOADING_REPL_START => {
                lifecycle::loading_started(Loading::FullSync)
            }
            raw::REDISMODULE_SUBEVENT_LOADING_ENDED | raw::REDISMODULE_SUBEVENT_LOADING_FAILED => {
                lifecycle::loading_ended(&ctx);
            }
            _ => {}
        }
    });
}

unsafe extern "C" fn role_changed(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    /// REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER
    const NOW_PRIMARY: u64 = 0;
    guarded((), || lifecycle::role_changed(subevent == NOW_PRIMARY));
}

unsafe extern "C" fn listeners_may_come(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    guarded((), lifecycle::listeners_may_come);
}

unsafe extern "C" fn cron(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    // SAFETY: the server lends the context for this call.
    guarded((), || lifecycle::cron(&unsafe { Context::new(ctx) }));
}

unsafe extern "C" fn client_changed(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    if subevent == raw::REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED {
        // SAFETY: the server lends the structure of this event.
        let info = unsafe { data.cast::<raw::RedisModuleClientInfo>().as_ref() };
        guarded((), || info.map_or((), |info| flight::disconnected(info.id)));
    }
}

/// Tells files from the payloads of DUMP.
unsafe extern "C" fn saving(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let has_ended = subevent == raw::REDISMODULE_SUBEVENT_PERSISTENCE_ENDED
        || subevent == raw::REDISMODULE_SUBEVENT_PERSISTENCE_FAILED;
    data_type::saving_changed(!has_ended);
}
