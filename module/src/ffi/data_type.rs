//! The callbacks of the entries' data type.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{null_mut, slice_from_raw_parts};
use std::sync::atomic::{AtomicBool, Ordering};

use cacheops_index::{Relocate, Slot};
use cacheops_protocol::read_conditions;

use super::context::OwnedName;
use super::{Context, Entry, EntryRef, MAX_VALUE, alloc, guarded, raw, state, with_state};
use crate::lifecycle::{self, DEAD_TOKEN, Origin};

/// The form of what [`save`] writes.
const ENCODING: c_int = 1;
const DEAD: u64 = 0;
/// Alive, in a file or in a full synchronisation.
const ALIVE: u64 = 1;
/// Alive, in the payload of DUMP or MIGRATE. An append only file holds it again, as the argument of RESTORE.
const DUMPED: u64 = 2;

/// The server writes a file or a full synchronisation. Set by events of the process that writes, which may be a child.
static IS_SAVING: AtomicBool = AtomicBool::new(false);

pub(super) fn saving_changed(is_saving: bool) {
    IS_SAVING.store(is_saving, Ordering::Relaxed);
}

struct DataType(Cell<*mut raw::RedisModuleType>);

// SAFETY: set once while the module is loaded, and read on the main thread.
unsafe impl Sync for DataType {}

static DATA_TYPE: DataType = DataType(Cell::new(null_mut()));

#[inline]
pub(super) fn data_type() -> *mut raw::RedisModuleType {
    DATA_TYPE.0.get()
}

/// Registers the type; false if the server refuses it.
pub(super) fn register(ctx: &Context) -> bool {
    let mut methods = raw::RedisModuleTypeMethods {
        version: 4,
        rdb_load: Some(load),
        rdb_save: Some(save),
        aof_rewrite: Some(rewrite),
        // Superseded by mem_usage2.
        mem_usage: None,
        digest: Some(digest),
        free: Some(free),
        // There is nothing outside the keyspace to save: the index is derived from the entries.
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        aux_save2: None,
        // Superseded by free_effort2.
        free_effort: None,
        free_effort2: Some(free_effort),
        // Superseded by unlink2 and copy2.
        unlink: None,
        copy: None,
        defrag: Some(defrag),
        mem_usage2: Some(mem_usage),
        unlink2: Some(unlink),
        copy2: Some(copy),
    };
    // SAFETY: the name has nine characters and ends in NUL; the server copies the table of callbacks.
    let data_type = unsafe {
        api_ptr!(RedisModule_CreateDataType(
            ctx.raw(),
            c"cacheops1".as_ptr(),
            ENCODING,
            &mut methods
        ))
    };
    DATA_TYPE.0.set(data_type);
    !data_type.is_null()
}

/// The bytes of one of the server's strings.
///
/// # Safety
///
/// `string` is NULL or valid for `'a`.
pub(super) unsafe fn bytes<'a>(string: *const raw::RedisModuleString) -> Option<&'a [u8]> {
    if string.is_null() {
        return None;
    }
    let mut len = 0;
    // SAFETY: the string is valid, and the server answers where its bytes are.
    unsafe {
        let start: *const c_char = raw::RedisModule_StringPtrLen?(string, &mut len);
        (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast(), len))
    }
}

/// A buffer that the server has allocated for us.
struct Buffer(*mut [u8]);

impl Buffer {
    /// # Safety
    ///
    /// `io` is being loaded from.
    unsafe fn load(io: *mut raw::RedisModuleIO) -> Option<Self> {
        let mut len = 0;
        // SAFETY: the caller's promise; NULL means a read error.
        let start: *mut c_char = unsafe { api_ptr!(RedisModule_LoadStringBuffer(io, &mut len)) };
        (!start.is_null()).then(|| Self(slice_from_raw_parts(start.cast::<u8>(), len).cast_mut()))
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the server wrote the bytes, and they are ours until dropped.
        unsafe { &*self.0 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated by the server for us, freed once.
        unsafe { api!(RedisModule_Free(self.0.cast())) };
    }
}

/// Loads an entry from an RDB file, a full synchronisation or RESTORE. NULL refuses it.
unsafe extern "C" fn load(io: *mut raw::RedisModuleIO, encoding: c_int) -> *mut c_void {
    guarded(null_mut(), || {
        if encoding != ENCODING {
            return null_mut();
        }
        // SAFETY: the server lends `io` for this call; the name is alive as long.
        unsafe {
            let flags: u64 = api!(RedisModule_LoadUnsigned(io));
            let version: u64 = api!(RedisModule_LoadUnsigned(io));
            let (Some(conditions), Some(value)) = (Buffer::load(io), Buffer::load(io)) else {
                return null_mut();
            };
            let failed: c_int = api!(RedisModule_IsIOError(io));
            if failed != 0 || flags > DUMPED || value.bytes().len() > MAX_VALUE {
                return null_mut();
            }
            let key = bytes(match raw::RedisModule_GetKeyNameFromIO {
                Some(name) => name(io),
                None => null_mut(),
            });
            let database: c_int = api!(RedisModule_GetDbIdFromIO(io));
            let database = usize::try_from(database).unwrap_or(0);
            let entry = if flags == DEAD {
                lifecycle::load_dead(database, key, version)
            } else {
                let Ok(conditions) = read_conditions(conditions.bytes()) else { return null_mut() };
                let origin = if flags == DUMPED { Origin::Dump } else { Origin::File };
                lifecycle::load(database, key, value.bytes(), version, &conditions, origin)
            };
            entry.into_raw()
        }
    })
}

/// Saves an entry with its conditions, or as dead, for a file or for DUMP. In a child process mostly: reads, and never changes.
unsafe extern "C" fn save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    guarded((), || {
        // SAFETY: the server lends `io` and the entry for this call, and copies the bytes.
        unsafe {
            let Some(entry) = EntryRef::from_raw(value) else { return };
            let saved = lifecycle::conditions(entry);
            let (flags, conditions, value) = match &saved {
                Some(conditions) => {
                    let mut bytes = Vec::new();
                    let pairs = conditions.iter().map(|(table, text)| (&table[..], &text[..]));
                    cacheops_protocol::write_conditions(&mut bytes, pairs);
                    let is_file = IS_SAVING.load(Ordering::Relaxed);
                    (if is_file { ALIVE } else { DUMPED }, bytes, entry.value())
                }
                None => (DEAD, Vec::new(), &[][..]),
            };
            api!(RedisModule_SaveUnsigned(io, flags));
            api!(RedisModule_SaveUnsigned(io, entry.version()));
            for part in [&conditions[..], value] {
                api!(RedisModule_SaveStringBuffer(io, part.as_ptr().cast::<c_char>(), part.len()));
            }
        }
    });
}

/// Writes an entry as the command that makes it again; the server adds its expiry. A dead one is written too, as a STORE that
/// is too late: replicas may hold its key, and a server that loads the file under them (DEBUG LOADAOF) can only delete there what
/// it holds itself.
unsafe extern "C" fn rewrite(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    guarded((), || {
        // SAFETY: the server lends all three for this call; the strings live until it returns.
        unsafe {
            let Some(entry) = EntryRef::from_raw(value) else { return };
            let Some(emit) = raw::RedisModule_EmitAOF else { return };
            let Some(conditions) = lifecycle::conditions(entry) else {
                return emit(
                    io,
                    c"CACHEOPS.STORE".as_ptr(),
                    c"scclccc".as_ptr(),
                    key,
                    c"".as_ptr(),
                    c"TOKEN".as_ptr(),
                    DEAD_TOKEN as i64,
                    c"ON".as_ptr(),
                    c"-".as_ptr(),
                    c"*".as_ptr(),
                );
            };
            let owned: Vec<OwnedName> = conditions
                .iter()
                .flat_map(|(table, text)| [OwnedName::new(table), OwnedName::new(text)])
                .collect();
            let mut pairs: Vec<*mut raw::RedisModuleString> =
                owned.iter().map(|name| name.name().raw).collect();
            emit(
                io,
                c"CACHEOPS.STORE".as_ptr(),
                c"sbclcv".as_ptr(),
                key,
                entry.value().as_ptr().cast::<c_char>(),
                entry.value().len(),
                c"VERSION".as_ptr(),
                entry.version() as i64,
                c"ON".as_ptr(),
                pairs.as_mut_ptr(),
                pairs.len(),
            );
        }
    });
}

unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    guarded((), || {
        // SAFETY: the server lends both for this call.
        unsafe {
            let Some(entry) = EntryRef::from_raw(value) else { return };
            // What dead entries hold does not matter, and may differ between a primary and its replicas.
            let conditions = lifecycle::conditions(entry);
            let mut add = |part: &[u8]| {
                api!(RedisModule_DigestAddStringBuffer(
                    digest,
                    part.as_ptr().cast::<c_char>(),
                    part.len()
                ));
            };
            if let Some(mut conditions) = conditions {
                add(entry.value());
                add(&entry.version().to_le_bytes());
                conditions.sort_unstable();
                for (table, text) in &conditions {
                    let mut conjunctions: Vec<&[u8]> = text.split(|&byte| byte == b'|').collect();
                    conjunctions.sort_unstable();
                    add(table);
                    conjunctions.into_iter().for_each(&mut add);
                }
            }
            api!(RedisModule_DigestEndSequence(digest));
        }
    });
}

/// Frees an entry. Mostly it was unlinked before; not so a key that is dropped while an RDB file loads, or by FLUSHALL.
unsafe extern "C" fn free(value: *mut c_void) {
    guarded((), || {
        // SAFETY: the server lets go of the entry.
        let Some(entry) = (unsafe { Entry::from_raw(value) }) else { return };
        let slot = entry.as_ref().slot();
        // In another thread the index is out of reach. That is right: there only what was unlinked or flushed is freed.
        if slot != Slot::NONE && state::is_main_thread() {
            with_state(|state| state.remove(slot));
        }
    });
}

/// How much it is to free an entry: the server frees in another thread what is more than 64, where it frees lazily.
unsafe extern "C" fn free_effort(
    _ctx: *mut raw::RedisModuleKeyOptCtx,
    value: *const c_void,
) -> usize {
    /// One allocation each, but the system takes back the memory of large ones: from 16 KiB on another thread does it.
    const UNIT: usize = 256;
    guarded(1, || {
        // SAFETY: the server lends the entry for this call.
        let entry: Option<EntryRef<'_>> = unsafe { EntryRef::from_raw(value.cast_mut()) };
        entry.map_or(1, |entry| 1 + entry.size() / UNIT)
    })
}

/// An entry leaves the keyspace: deleted, expired, evicted, overwritten, renamed or moved.
unsafe extern "C" fn unlink(_ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    guarded((), || {
        // SAFETY: the server lends the entry for this call.
        let Some(entry) = (unsafe { EntryRef::from_raw(value.cast_mut()) }) else { return };
        let slot = entry.slot();
        entry.leave_key();
        if slot != Slot::NONE {
            with_state(|state| state.remove(slot));
        }
    });
}

unsafe extern "C" fn copy(
    ctx: *mut raw::RedisModuleKeyOptCtx,
    value: *const c_void,
) -> *mut c_void {
    guarded(null_mut(), || {
        // SAFETY: the server lends the context and the entry for this call, and the name lives as long.
        unsafe {
            let Some(entry) = EntryRef::from_raw(value.cast_mut()) else { return null_mut() };
            let from: c_int = api!(RedisModule_GetDbIdFromOptCtx(ctx));
            let to: c_int = api!(RedisModule_GetToDbIdFromOptCtx(ctx));
            let name = match raw::RedisModule_GetToKeyNameFromOptCtx {
                Some(name) => bytes(name(ctx)),
                None => None,
            };
            let to_database = usize::try_from(to).unwrap_or(0);
            lifecycle::copy(entry, from == to, to_database, name).into_raw()
        }
    })
}

/// The server defragments its memory: moves the entry's block, and packs what the index keeps of the entry.
unsafe extern "C" fn defrag(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    /// Nothing is left to do.
    const DONE: c_int = 0;
    guarded((), || {
        // SAFETY: the server lends the context for this call and owns the value, which is an entry. It looks at `value`
        // afterwards to see where the entry is. An entry is one block, and nothing points into it.
        unsafe {
            let moved: *mut c_void = api_ptr!(RedisModule_DefragAlloc(ctx, *value));
            if !moved.is_null() {
                *value = moved;
            }
            let Some(entry) = EntryRef::from_raw(*value) else { return };
            let place = lifecycle::pack(entry.slot(), &mut Mover { ctx });
            if let Some((slot, stamps)) = place {
                entry.set_place(slot, stamps.nodes());
            }
        }
    });
    DONE
}

/// Has the server move blocks of the index where that helps.
struct Mover {
    ctx: *mut raw::RedisModuleDefragCtx,
}

impl Mover {
    /// Where a block of our allocator's is now.
    ///
    /// # Safety
    ///
    /// The block is in use, and the answer takes its place.
    unsafe fn move_block<T>(&self, block: *mut T) -> *mut T {
        if !alloc::is_of_server(align_of::<T>()) {
            return block;
        }
        // SAFETY: the caller's promise; the server allocated the block, and copies its bytes.
        let moved: *mut c_void =
            unsafe { api_ptr!(RedisModule_DefragAlloc(self.ctx, block.cast())) };
        if moved.is_null() { block } else { moved.cast() }
    }
}

impl Relocate for Mover {
    fn vector<T>(&mut self, vector: &mut Vec<T>) {
        if vector.capacity() * size_of::<T>() == 0 {
            return;
        }
        let mut vector_taken = ManuallyDrop::new(std::mem::take(vector));
        let (len, capacity) = (vector_taken.len(), vector_taken.capacity());
        // SAFETY: the block, its length and its capacity are those of the vector that was taken, and have no other owner now.
        *vector = unsafe {
            Vec::from_raw_parts(self.move_block(vector_taken.as_mut_ptr()), len, capacity)
        };
    }

    fn boxed<T>(&mut self, boxed: &mut Box<T>) {
        if size_of::<T>() == 0 {
            return;
        }
        let place: *mut Box<T> = boxed;
        // SAFETY: the box is read and written back without a drop in between, and `move_block` does not unwind.
        unsafe { place.write(Box::from_raw(self.move_block(Box::into_raw(place.read())))) };
    }
}

unsafe extern "C" fn mem_usage(
    _ctx: *mut raw::RedisModuleKeyOptCtx,
    value: *const c_void,
    _samples: usize,
) -> usize {
    guarded(0, || {
        // SAFETY: the server lends the entry for this call.
        let entry: Option<EntryRef<'_>> = unsafe { EntryRef::from_raw(value.cast_mut()) };
        entry.map_or(0, |entry| entry.size() + lifecycle::index_bytes(entry))
    })
}

/// Ties a borrowed name to the call that lends it.
pub(super) fn lent<'a>(string: *mut raw::RedisModuleString) -> super::key::Name<'a> {
    super::key::Name { raw: string, life: PhantomData }
}
