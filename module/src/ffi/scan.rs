//! A walk over the keys of a database, a few at a time.

use std::os::raw::{c_int, c_void};

use super::data_type::bytes;
use super::{Context, raw};

/// Where a walk has come to.
pub(crate) struct Scan {
    cursor: *mut raw::RedisModuleScanCursor,
}

impl Scan {
    pub(crate) fn new() -> Self {
        // SAFETY: takes nothing; freed when dropped.
        Self { cursor: unsafe { api_ptr!(RedisModule_ScanCursorCreate()) } }
    }

    /// Collects the next few keys of the selected database, of whatever type; false when the walk is over.
    pub(crate) fn step(&mut self, ctx: &Context, keys: &mut Vec<Vec<u8>>) -> bool {
        if self.cursor.is_null() {
            return false;
        }
        let list: *mut Vec<Vec<u8>> = keys;
        // SAFETY: the callback gets the list back as it was passed, during this call only.
        let more: c_int =
            unsafe { api!(RedisModule_Scan(ctx.raw(), self.cursor, Some(collect), list.cast())) };
        more != 0
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if !self.cursor.is_null() {
            // SAFETY: created by us, destroyed once.
            unsafe { api!(RedisModule_ScanCursorDestroy(self.cursor)) };
        }
    }
}

unsafe extern "C" fn collect(
    _ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
    _key: *mut raw::RedisModuleKey,
    list: *mut c_void,
) {
    super::guarded((), || {
        // SAFETY: `Scan::step` passed the list, and nobody else uses it during the call; the name is lent.
        let passed = unsafe { (list.cast::<Vec<Vec<u8>>>().as_mut(), bytes(name)) };
        if let (Some(list), Some(name)) = passed {
            list.push(name.to_vec());
        }
    });
}
