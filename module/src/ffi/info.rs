//! The section of INFO.

use std::ffi::{CStr, CString};
use std::os::raw::c_int;

use super::{Context, guarded, raw};

/// Writes fields of the section; the server puts `cacheops_` before each name.
pub(crate) struct InfoWriter {
    raw: *mut raw::RedisModuleInfoCtx,
}

impl InfoWriter {
    pub(crate) fn number(&self, name: &CStr, value: u64) {
        // SAFETY: the server lends the writer, and copies the name.
        let _: c_int =
            unsafe { api!(RedisModule_InfoAddFieldULongLong(self.raw, name.as_ptr(), value)) };
    }

    pub(crate) fn text(&self, name: &CStr, value: &str) {
        let value = CString::new(value.replace(['\0', '\r', '\n'], " ")).unwrap_or_default();
        // SAFETY: as above.
        let _: c_int = unsafe {
            api!(RedisModule_InfoAddFieldCString(self.raw, name.as_ptr(), value.as_ptr()))
        };
    }
}

/// Registers the section; false if the server refuses it.
pub(super) fn register(ctx: &Context) -> bool {
    // SAFETY: the function has the signature that the server calls.
    let status: c_int = unsafe { api!(RedisModule_RegisterInfoFunc(ctx.raw(), Some(write))) };
    status == raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn write(raw: *mut raw::RedisModuleInfoCtx, for_crash_report: c_int) {
    // A crash may have come in the middle of anything: then the state is not to be looked at.
    if for_crash_report != 0 {
        return;
    }
    guarded((), || {
        // SAFETY: the server lends the writer for this call; the name ends in NUL.
        let status: c_int = unsafe { api!(RedisModule_InfoAddSection(raw, c"".as_ptr())) };
        if status == self::raw::REDISMODULE_OK as c_int {
            crate::info::write(&InfoWriter { raw });
        }
    });
}
