//! Clients that wait for an answer, and how they get it.
//!
//! A waiter has a number of its own, given once, so that what was meant for one can never reach another. A client that is
//! gone, killed, or unblocked by somebody else is not in the list any more, and answering it then does nothing.
//!
//! The server is told of no deadline: Redis 7.0 forgets to reply to a client that reaches one while the module's answer is
//! already under way. So patience ends by the module's own timer, and only CLIENT UNBLOCK still calls what is registered for
//! it.

use std::collections::BTreeMap;
use std::os::raw::{c_int, c_void};
use std::rc::Rc;

use super::{Context, guarded, raw};
use crate::flight;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// What a waiter is told.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// What was stored, and the version that this client has already.
    Value { version: u64, value: Rc<[u8]>, if_not: Option<u64> },
    /// It is its turn to fetch.
    Token(u64),
    /// Its patience has ended.
    Nil,
}

/// All clients that wait.
#[derive(Debug, Default)]
pub(crate) struct BlockedClients {
    handles: BTreeMap<u64, *mut raw::RedisModuleBlockedClient>,
    numbers: BTreeMap<*mut raw::RedisModuleBlockedClient, u64>,
    last: u64,
}

impl BlockedClients {
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Keeps the client of a command waiting until it is answered, and tells the number that it is known by. `None` where
    /// nobody may be kept waiting: within MULTI, a script, or what another module calls, and after SUBSCRIBE on Valkey, which
    /// blocks clients of its type "normal" only.
    pub(crate) fn block(&mut self, ctx: &Context) -> Option<u64> {
        if !ctx.may_block() {
            return None;
        }
        const NO_DEADLINE: i64 = 0;
        // SAFETY: the context is that of a command which may block; the callbacks are functions of this module, which is
        // never unloaded. The server keeps the handle until it is unblocked.
        let handle = unsafe {
            api_ptr!(RedisModule_BlockClient(
                ctx.raw(),
                Some(reply),
                Some(unblocked),
                Some(free),
                NO_DEADLINE
            ))
        };
        if handle.is_null() {
            return None;
        }
        // SAFETY: the handle is valid.
        unsafe { api!(RedisModule_SetDisconnectCallback(handle, Some(disconnected))) };
        self.last += 1;
        self.handles.insert(self.last, handle);
        self.numbers.insert(handle, self.last);
        Some(self.last)
    }

    /// Answers a waiter, if it still waits. The answer is sent when the command or timer that runs has ended.
    pub(crate) fn answer(&mut self, number: u64, answer: Answer) {
        if let Some(handle) = self.handles.remove(&number) {
            self.numbers.remove(&handle);
            let answer: *mut Answer = Box::into_raw(Box::new(answer));
            // SAFETY: the handle was in the list, so it was not unblocked yet, and is now, once. `free` takes the box back.
            let _: c_int = unsafe { api!(RedisModule_UnblockClient(handle, answer.cast())) };
        }
    }

    /// A client that the server has stopped waiting for: its handle is given back. Answers its number.
    fn abort(&mut self, handle: *mut raw::RedisModuleBlockedClient) -> Option<u64> {
        let number = self.numbers.remove(&handle)?;
        self.handles.remove(&number);
        // SAFETY: the handle was in the list, so it was not unblocked yet, and is now, once.
        let _: c_int = unsafe { api!(RedisModule_AbortBlock(handle)) };
        Some(number)
    }
}

fn abort(handle: *mut raw::RedisModuleBlockedClient) {
    super::with_state(|state| {
        if let Some(number) = state.flights.clients.abort(handle) {
            flight::left(state, number);
        }
    });
}

/// Sends the answer to a client that still listens.
unsafe extern "C" fn reply(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let is_sent = guarded(false, || {
        // SAFETY: the server lends the context for this call, and knows the answer that the client was unblocked with.
        let (ctx, answer) = unsafe {
            let answer: *mut c_void = api_ptr!(RedisModule_GetBlockedClientPrivateData(ctx));
            (Context::new(ctx), answer.cast::<Answer>().as_ref())
        };
        #[cfg(feature = "panic-injection")]
        super::with_state(|state| state.panic_if("reply"));
        match answer {
            None | Some(Answer::Nil) => ctx.reply_null(),
            Some(Answer::Token(token)) => ctx.reply_integer(*token),
            Some(Answer::Value { value, if_not: None, .. }) => ctx.reply_bytes(value),
            Some(Answer::Value { version, value, if_not: Some(known) }) => {
                ctx.reply_array(2);
                ctx.reply_integer(*version);
                if known == version { ctx.reply_null() } else { ctx.reply_bytes(value) }
            }
        }
        true
    });
    if !is_sent {
        // SAFETY: as above.
        unsafe { Context::new(ctx) }.reply_error(super::command::INTERNAL_ERROR);
    }
    OK
}

/// CLIENT UNBLOCK ends its wait.
unsafe extern "C" fn unblocked(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: the server lends the context for this call, and knows the handle of its client.
    let handle = unsafe { api_ptr!(RedisModule_GetBlockedClientHandle(ctx)) };
    guarded((), || abort(handle));
    // SAFETY: as above.
    unsafe { Context::new(ctx) }.reply_null();
    OK
}

/// The client is gone, or was unblocked with an error.
unsafe extern "C" fn disconnected(
    _ctx: *mut raw::RedisModuleCtx,
    handle: *mut raw::RedisModuleBlockedClient,
) {
    guarded((), || abort(handle));
}

unsafe extern "C" fn free(_ctx: *mut raw::RedisModuleCtx, answer: *mut c_void) {
    guarded((), || {
        if !answer.is_null() {
            // SAFETY: made by `answer` with `Box::into_raw`, and given back once, on the main thread.
            drop(unsafe { Box::from_raw(answer.cast::<Answer>()) });
        }
    });
}
