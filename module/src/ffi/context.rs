//! The server's side of a command: replies, replication, databases.

use std::ffi::CString;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int, c_long};

use super::key::Name;
use super::raw;

/// A context of the server, alive for the call that it was lent to.
pub(crate) struct Context {
    raw: *mut raw::RedisModuleCtx,
}

/// A string of the server's that we made.
pub(crate) struct OwnedName {
    raw: *mut raw::RedisModuleString,
}

impl OwnedName {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        // SAFETY: without a context the string is ours alone, and freed when dropped.
        let raw = unsafe {
            api_ptr!(RedisModule_CreateString(
                std::ptr::null_mut(),
                bytes.as_ptr().cast::<c_char>(),
                bytes.len()
            ))
        };
        Self { raw: raw.cast() }
    }

    pub(crate) fn name(&self) -> Name<'_> {
        Name { raw: self.raw, life: PhantomData }
    }
}

impl Drop for OwnedName {
    fn drop(&mut self) {
        // SAFETY: made by `new`, freed once.
        unsafe { api!(RedisModule_FreeString(std::ptr::null_mut(), self.raw)) };
    }
}

impl Context {
    /// # Safety
    ///
    /// `raw` is valid for as long as the answer is used.
    pub(super) unsafe fn new(raw: *mut raw::RedisModuleCtx) -> Self {
        Self { raw }
    }

    #[inline]
    pub(super) fn raw(&self) -> *mut raw::RedisModuleCtx {
        self.raw
    }

    /// The number of the selected database.
    #[inline]
    pub(crate) fn database(&self) -> usize {
        // SAFETY: the context is valid.
        let database: c_int = unsafe { api!(RedisModule_GetSelectedDb(self.raw)) };
        usize::try_from(database).unwrap_or(0)
    }

    /// Selects a database; false if there is none of this number.
    pub(crate) fn select(&self, database: usize) -> bool {
        let Ok(database) = c_int::try_from(database) else { return false };
        // SAFETY: the context is valid.
        let status: c_int = unsafe { api!(RedisModule_SelectDb(self.raw, database)) };
        status == raw::REDISMODULE_OK as c_int
    }

    pub(super) fn flags(&self) -> u32 {
        // SAFETY: the context is valid.
        let flags: c_int = unsafe { api!(RedisModule_GetContextFlags(self.raw)) };
        flags as u32
    }

    /// Whether the command comes from a primary, or from a file that is being loaded.
    pub(crate) fn is_replicated(&self) -> bool {
        self.flags() & (raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING)
            != 0
    }

    /// Whether clients may not write here.
    pub(crate) fn is_read_only(&self) -> bool {
        self.flags() & raw::REDISMODULE_CTX_FLAGS_READONLY != 0
    }

    /// The connection that the command came through.
    pub(crate) fn client(&self) -> u64 {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_GetClientId(self.raw)) }
    }

    /// The connection that the command came through, if its end will be told: not that of a script, which runs under a client
    /// of the server's own, nor that of what another module calls.
    pub(crate) fn connection(&self) -> Option<u64> {
        let flags = self.flags();
        let is_transaction = flags & raw::REDISMODULE_CTX_FLAGS_MULTI != 0;
        let is_called = flags & raw::REDISMODULE_CTX_FLAGS_LUA != 0
            || flags & raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING != 0 && !is_transaction;
        let client = self.client();
        // SAFETY: NULL asks only whether there is such a client.
        let status: c_int =
            unsafe { api!(RedisModule_GetClientInfoById(std::ptr::null_mut(), client)) };
        (!is_called && status == raw::REDISMODULE_OK as c_int).then_some(client)
    }

    /// Whether the user of this connection may read every key there is, or may be.
    pub(crate) fn may_read_all_keys(&self) -> bool {
        // What runs under a client of the server's own may have no user, and Redis 7.0 does not look before it reads its name.
        if self.connection().is_none() {
            return false;
        }
        // SAFETY: the context is that of a connection, which has a user; name and user are freed once, and each key lives while
        // it is asked for.
        unsafe {
            let name = api_ptr!(RedisModule_GetCurrentUserName(self.raw));
            if name.is_null() {
                return false;
            }
            let user = api_ptr!(RedisModule_GetModuleUserFromUserName(name));
            api!(RedisModule_FreeString(self.raw, name));
            if user.is_null() {
                return false;
            }
            let may_read = |key: &[u8]| {
                let key = OwnedName::new(key);
                let flags = raw::REDISMODULE_CMD_KEY_ACCESS as c_int;
                let status = match raw::RedisModule_ACLCheckKeyPermissions {
                    Some(check) => check(user, key.raw, flags),
                    None => raw::REDISMODULE_ERR as c_int,
                };
                status == raw::REDISMODULE_OK as c_int
            };
            // The server tells of one key at a time. Patterns that match each key of one byte begin with any byte, and what
            // matches a long key of bytes that nobody writes in a pattern goes on with any.
            let long = super::random().to_le_bytes().map(|byte| byte | 0x80).repeat(2);
            let may_read_all = (0..=u8::MAX).all(|byte| may_read(&[byte])) && may_read(&long);
            api!(RedisModule_FreeModuleUser(user));
            may_read_all
        }
    }

    /// Whether the client may be kept waiting: not within MULTI, a script, or what another module calls.
    pub(super) fn may_block(&self) -> bool {
        const DENIED: u32 = raw::REDISMODULE_CTX_FLAGS_MULTI
            | raw::REDISMODULE_CTX_FLAGS_LUA
            | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
        self.flags() & DENIED == 0
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.flags() & raw::REDISMODULE_CTX_FLAGS_CLUSTER != 0
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.flags() & raw::REDISMODULE_CTX_FLAGS_SLAVE == 0
    }

    /// Whether a replica may be fed from what is replicated now, or an append only file is written.
    pub(crate) fn has_listeners(&self) -> bool {
        if self.flags() & raw::REDISMODULE_CTX_FLAGS_AOF != 0 {
            return true;
        }
        let fields =
            self.server_info(c"replication", [c"repl_backlog_active", c"connected_slaves"]);
        fields.is_none_or(|fields| fields != [0, 0])
    }

    /// Whether the server names itself, as Valkey does since it is not Redis.
    pub(super) fn is_valkey(&self) -> bool {
        // SAFETY: the strings end in NUL; the answer of the first call is freed by the last, after the name was looked at.
        unsafe {
            let info = api_ptr!(RedisModule_GetServerInfo(self.raw, c"server".as_ptr()));
            if info.is_null() {
                return false;
            }
            let name: *const c_char = match raw::RedisModule_ServerInfoGetFieldC {
                Some(field) => field(info, c"server_name".as_ptr()),
                None => std::ptr::null(),
            };
            let is_valkey =
                !name.is_null() && std::ffi::CStr::from_ptr(name).to_bytes() == b"valkey";
            api!(RedisModule_FreeServerInfo(self.raw, info));
            is_valkey
        }
    }

    /// Values that wait for another thread to free them; 0 where the server does not count them.
    pub(crate) fn pending_frees(&self) -> u64 {
        self.server_info(c"memory", [c"lazyfree_pending_objects"]).map_or(0, |[pending]| pending)
    }

    /// Fields of a section of INFO; `None` if one of them is missing or no number.
    pub(super) fn server_info<const N: usize>(
        &self,
        section: &std::ffi::CStr,
        fields: [&std::ffi::CStr; N],
    ) -> Option<[u64; N]> {
        // SAFETY: the strings end in NUL; the answer of the first call is freed by the last.
        unsafe {
            let info = api_ptr!(RedisModule_GetServerInfo(self.raw, section.as_ptr()));
            if info.is_null() {
                return None;
            }
            let mut error = 0;
            let values = fields.map(|name| -> u64 {
                let mut missing = 0;
                let value =
                    api!(RedisModule_ServerInfoGetFieldUnsigned(info, name.as_ptr(), &mut missing));
                error |= missing;
                value
            });
            api!(RedisModule_FreeServerInfo(self.raw, info));
            (error == 0).then_some(values)
        }
    }

    #[inline]
    pub(crate) fn reply_bytes(&self, bytes: &[u8]) {
        // SAFETY: the server copies the bytes.
        let _: c_int = unsafe {
            api!(RedisModule_ReplyWithStringBuffer(
                self.raw,
                bytes.as_ptr().cast::<c_char>(),
                bytes.len()
            ))
        };
    }

    #[inline]
    pub(crate) fn reply_null(&self) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe { api!(RedisModule_ReplyWithNull(self.raw)) };
    }

    #[inline]
    pub(crate) fn reply_integer(&self, number: u64) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe {
            api!(RedisModule_ReplyWithLongLong(self.raw, i64::try_from(number).unwrap_or(i64::MAX)))
        };
    }

    pub(crate) fn reply_signed(&self, number: i64) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe { api!(RedisModule_ReplyWithLongLong(self.raw, number)) };
    }

    pub(crate) fn reply_array(&self, len: usize) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe { api!(RedisModule_ReplyWithArray(self.raw, len as c_long)) };
    }

    /// A map of `len` pairs; under RESP2 a flat array.
    pub(crate) fn reply_map(&self, len: usize) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe { api!(RedisModule_ReplyWithMap(self.raw, len as c_long)) };
    }

    pub(crate) fn reply_error(&self, text: &str) {
        let text = CString::new(text.replace(['\0', '\r', '\n'], " ")).unwrap_or_default();
        // SAFETY: the text ends in NUL, and the server copies it.
        let _: c_int = unsafe { api!(RedisModule_ReplyWithError(self.raw, text.as_ptr())) };
    }

    pub(crate) fn reply_wrong_arity(&self) {
        // SAFETY: the context is valid.
        let _: c_int = unsafe { api!(RedisModule_WrongArity(self.raw)) };
    }

    /// Replicates the command as it was given.
    #[inline]
    pub(crate) fn replicate_verbatim(&self) {
        // SAFETY: the context is that of a command.
        let _: c_int = unsafe { api!(RedisModule_ReplicateVerbatim(self.raw)) };
    }

    /// Replicates another command, to the database that is selected.
    pub(crate) fn replicate(&self, command: &std::ffi::CStr, arguments: &[&[u8]]) {
        let owned: Vec<OwnedName> =
            arguments.iter().map(|argument| OwnedName::new(argument)).collect();
        let mut strings: Vec<*mut raw::RedisModuleString> =
            owned.iter().map(|name| name.raw).collect();
        // SAFETY: "v" takes an array of strings and its length; all live until the call returns, and the server retains what
        // it keeps.
        unsafe {
            if let Some(replicate) = raw::RedisModule_Replicate {
                replicate(
                    self.raw,
                    command.as_ptr(),
                    c"v".as_ptr(),
                    strings.as_mut_ptr(),
                    strings.len(),
                );
            }
        }
    }

    /// Tells watchers and tracking clients that a key has changed.
    #[inline]
    pub(crate) fn signal_modified(&self, name: Name<'_>) {
        // SAFETY: context and name are valid.
        let _: c_int = unsafe { api!(RedisModule_SignalModifiedKey(self.raw, name.raw)) };
    }

    /// Sends a keyspace notification of the module's own class.
    #[inline]
    pub(crate) fn notify_module(&self, event: &std::ffi::CStr, name: Name<'_>) {
        // SAFETY: context and name are valid, the event ends in NUL.
        let _: c_int = unsafe {
            api!(RedisModule_NotifyKeyspaceEvent(
                self.raw,
                raw::REDISMODULE_NOTIFY_MODULE,
                event.as_ptr(),
                name.raw
            ))
        };
    }

    /// Sends the notification that a deleted key sends.
    pub(crate) fn notify_deleted(&self, name: Name<'_>) {
        // SAFETY: context and name are valid, the event ends in NUL.
        let _: c_int = unsafe {
            api!(RedisModule_NotifyKeyspaceEvent(
                self.raw,
                raw::REDISMODULE_NOTIFY_GENERIC,
                c"del".as_ptr(),
                name.raw
            ))
        };
    }
}
