//! A key of the database, open until it is dropped.

use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr::null_mut;

use super::data_type::data_type;
use super::{Context, Entry, EntryRef, raw};

/// How a key is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To look, as GET does: counts in the key's idle time and frequency.
    Read,
    /// To look without a trace.
    Peek,
    Write,
}

/// A name that the server keeps, alive for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(super) raw: *mut raw::RedisModuleString,
    pub(super) life: PhantomData<&'a [u8]>,
}

/// A key that may or may not exist.
pub(crate) struct Key<'c> {
    raw: *mut raw::RedisModuleKey,
    life: PhantomData<&'c Context>,
}

/// What a key holds.
pub(crate) enum Held<'k> {
    Nothing,
    Entry(EntryRef<'k>),
    /// A value that is not ours.
    Foreign,
}

impl<'c> Key<'c> {
    #[inline]
    pub(crate) fn open(ctx: &'c Context, name: Name<'_>, mode: Mode) -> Self {
        let mode = match mode {
            Mode::Read => raw::REDISMODULE_READ,
            Mode::Peek => raw::REDISMODULE_READ | raw::REDISMODULE_OPEN_KEY_NOTOUCH,
            Mode::Write => raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        };
        // SAFETY: the context and the name are valid while borrowed; NULL, for no such key, is handled everywhere.
        let raw = unsafe { api_ptr!(RedisModule_OpenKey(ctx.raw(), name.raw, mode as c_int)) };
        Self { raw: raw.cast(), life: PhantomData }
    }

    #[inline]
    pub(crate) fn held(&self) -> Held<'_> {
        // SAFETY: the key is open or NULL, which both functions take for a missing key.
        unsafe {
            if self.raw.is_null() {
                return Held::Nothing;
            }
            if api_ptr!(RedisModule_ModuleTypeGetType(self.raw)) != data_type() {
                let kind: c_int = api!(RedisModule_KeyType(self.raw));
                let is_empty = kind == raw::REDISMODULE_KEYTYPE_EMPTY as c_int;
                return if is_empty { Held::Nothing } else { Held::Foreign };
            }
            // SAFETY: of our type, so `Entry::into_raw` made it; it lives while the key is open and not written to, and
            // writing takes `&mut self`.
            EntryRef::from_raw(api_ptr!(RedisModule_ModuleTypeGetValue(self.raw)))
                .map_or(Held::Nothing, Held::Entry)
        }
    }

    /// Puts an entry in the place of what was there, and answers the entry that it replaced, if the server has not freed it.
    pub(crate) fn put(&mut self, entry: Entry) -> Option<Entry> {
        let is_entry = matches!(self.held(), Held::Entry(_));
        let new = entry.into_raw();
        // SAFETY: the key is open for writing, and `new` is a value of our type that the server now owns. Replacing hands
        // the old value over to us; setting frees it by the callbacks of its type.
        unsafe {
            if is_entry {
                let mut old = null_mut();
                api!(RedisModule_ModuleTypeReplaceValue(self.raw, data_type(), new, &mut old));
                return Entry::from_raw(old);
            }
            api!(RedisModule_ModuleTypeSetValue(self.raw, data_type(), new));
        }
        None
    }

    /// Lets the key expire at a Unix time in milliseconds, or never.
    pub(crate) fn expire_at(&mut self, time_ms: Option<u64>) {
        let time = time_ms
            .and_then(|time| i64::try_from(time).ok())
            .unwrap_or(raw::REDISMODULE_NO_EXPIRE.into());
        // SAFETY: the key is open for writing.
        let _: c_int = unsafe { api!(RedisModule_SetAbsExpire(self.raw, time)) };
    }

    /// Milliseconds that are left, if the key expires.
    pub(crate) fn ttl_ms(&self) -> Option<i64> {
        // SAFETY: the key is open.
        let ttl: i64 = unsafe { api!(RedisModule_GetExpire(self.raw)) };
        (!self.raw.is_null() && ttl >= 0).then_some(ttl)
    }

    /// Deletes the key. A large value is freed in another thread of the server.
    pub(crate) fn unlink(&mut self) {
        // SAFETY: the key is open for writing.
        let _: c_int = unsafe { api!(RedisModule_UnlinkKey(self.raw)) };
    }
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: opened by us and closed once.
            unsafe { api!(RedisModule_CloseKey(self.raw)) };
        }
    }
}
