//! An entry: the value of a key, in one block of memory.
//!
//! ```text
//! born 8 | version 8 | record 4 | length 4 | value ...
//! ```
//! One allocation and a thin pointer: a box of a struct with a boxed slice would cost two allocations and 48 bytes more.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use cacheops_index::Slot;

/// Bytes of all entries.
static ENTRY_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of all entries, their heads included.
pub(crate) fn entry_bytes() -> usize {
    ENTRY_BYTES.load(Ordering::Relaxed)
}

#[repr(C)]
struct Head {
    born: Cell<u64>,
    version: u64,
    record: Cell<u32>,
    len: u32,
}

/// An entry that belongs to nobody else.
pub(crate) struct Entry(NonNull<Head>);

impl Entry {
    /// Values are shorter than 4 GiB: a longer one is cut, which no limit of the module allows to happen.
    pub(crate) fn new(value: &[u8], slot: Slot, version: u64) -> Self {
        debug_assert!(u32::try_from(value.len()).is_ok());
        let len = value.len().min(u32::MAX as usize);
        let layout = layout(len);
        // SAFETY: the layout is not empty; the head is written whole before anybody sees it, and the value fits behind it.
        unsafe {
            let Some(head) = NonNull::new(alloc(layout).cast::<Head>()) else {
                handle_alloc_error(layout)
            };
            head.write(Head {
                born: Cell::new(slot.born),
                version,
                record: Cell::new(slot.record),
                len: len as u32,
            });
            head.add(1).cast::<u8>().copy_from_nonoverlapping(NonNull::from(value).cast(), len);
            ENTRY_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
            Self(head)
        }
    }

    /// Gives the entry to the server.
    pub(crate) fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// Takes an entry back from the server.
    ///
    /// # Safety
    ///
    /// `raw` comes from [`Entry::into_raw`], and the server has let go of it.
    pub(super) unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        NonNull::new(raw.cast()).map(Self)
    }

    pub(crate) fn as_ref(&self) -> EntryRef<'_> {
        EntryRef { head: self.0, life: PhantomData }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let layout = layout(self.as_ref().value().len());
        ENTRY_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: allocated in `new` with this very layout, and owned.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) }
    }
}

/// An entry that the server keeps, for as long as its key is open.
#[derive(Clone, Copy)]
pub(crate) struct EntryRef<'k> {
    head: NonNull<Head>,
    life: PhantomData<&'k Head>,
}

impl<'k> EntryRef<'k> {
    /// # Safety
    ///
    /// `raw` is the value of a key of the module's type, and lives as long as `'k`.
    pub(super) unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        Some(Self { head: NonNull::new(raw.cast())?, life: PhantomData })
    }

    fn head(self) -> &'k Head {
        // SAFETY: the entry lives as long as 'k, and its fields are cells: nobody holds a unique reference.
        unsafe { self.head.as_ref() }
    }

    pub(crate) fn slot(self) -> Slot {
        Slot { born: self.head().born.get(), record: self.head().record.get() }
    }

    /// Forgets where the entry stands in the index: it is dead from here on.
    pub(crate) fn clear_slot(self) {
        self.head().born.set(Slot::NONE.born);
        self.head().record.set(Slot::NONE.record);
    }

    pub(crate) fn version(self) -> u64 {
        self.head().version
    }

    pub(crate) fn value(self) -> &'k [u8] {
        let len = self.head().len as usize;
        // SAFETY: `Entry::new` wrote as many bytes behind the head, and they never change.
        unsafe { std::slice::from_raw_parts(self.head.add(1).cast::<u8>().as_ptr(), len) }
    }

    /// Bytes of its memory.
    pub(crate) fn size(self) -> usize {
        layout(self.value().len()).size()
    }
}

fn layout(value: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and a value below 4 GiB keeps the size far below the limit.
    unsafe { Layout::from_size_align_unchecked(size_of::<Head>() + value, align_of::<Head>()) }
}
