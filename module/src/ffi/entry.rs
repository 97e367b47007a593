//! An entry: the value of a key, in one block of memory.
//!
//! ```text
//! born 8 | version 8 | record 4 | stamps and length 4 | stamp 4 ... | value ...
//! ```
//! Up to three stamps, the numbers of the nodes that it depends on, so that a read need not look up its record. Their count
//! has two bits, the value's length thirty.
//!
//! One allocation and a thin pointer: a box of a struct with a boxed slice would cost two allocations and 48 bytes more.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use cacheops_index::{Slot, Stamps};

/// Bytes of all entries.
static ENTRY_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of all entries, their heads included.
pub(crate) fn entry_bytes() -> usize {
    ENTRY_BYTES.load(Ordering::Relaxed)
}

/// Entries that were unlinked and not freed yet.
static ORPHANS: AtomicUsize = AtomicUsize::new(0);
/// In place of the record's handle: the entry is counted in [`ORPHANS`].
const ORPHAN: u32 = u32::MAX - 1;

/// Entries that the server has unlinked from their key and not freed. They are on their way to another thread, which frees
/// them, or RENAME and MOVE have put them under another key.
pub(crate) fn orphans() -> usize {
    ORPHANS.load(Ordering::Relaxed)
}

/// Longest value: the server itself takes no longer argument.
pub(crate) const MAX_VALUE: usize = 1 << 29;
const LEN_BITS: u32 = 30;
const _: () = assert!(Stamps::MOST < 1 << (32 - LEN_BITS) && MAX_VALUE < 1 << LEN_BITS);

#[repr(C)]
struct Head {
    born: Cell<u64>,
    version: u64,
    record: Cell<u32>,
    /// The number of stamps in the upper two bits, the length of the value in the others.
    lengths: u32,
}

/// An entry that belongs to nobody else.
pub(crate) struct Entry(NonNull<Head>);

impl Entry {
    /// A value longer than [`MAX_VALUE`] is cut, which no caller lets happen.
    pub(crate) fn new(value: &[u8], slot: Slot, stamps: &[u32], version: u64) -> Self {
        debug_assert!(value.len() <= MAX_VALUE && stamps.len() <= Stamps::MOST);
        let len = value.len().min(MAX_VALUE);
        let count = stamps.len().min(Stamps::MOST);
        let layout = layout(count, len);
        // SAFETY: the layout is not empty; head, stamps and value are written whole, one behind the other, before anybody
        // sees them, and the layout has room for exactly these. Stamps lie aligned, for the head's size is a multiple of 8.
        unsafe {
            let Some(head) = NonNull::new(alloc(layout).cast::<Head>()) else {
                handle_alloc_error(layout)
            };
            head.write(Head {
                born: Cell::new(slot.born),
                version,
                record: Cell::new(slot.record),
                lengths: (count as u32) << LEN_BITS | len as u32,
            });
            let after = head.add(1).cast::<u32>();
            after.copy_from_nonoverlapping(NonNull::from(stamps).cast(), count);
            after
                .add(count)
                .cast::<u8>()
                .copy_from_nonoverlapping(NonNull::from(value).cast(), len);
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
        let layout = self.as_ref().layout();
        ENTRY_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        if self.as_ref().is_orphan() {
            ORPHANS.fetch_sub(1, Ordering::Relaxed);
        }
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
        match self.head().born.get() {
            born if born == Slot::NONE.born => Slot::NONE,
            born => Slot { born, record: self.head().record.get() },
        }
    }

    /// Forgets where the entry stands in the index: it is dead from here on.
    pub(crate) fn clear_slot(self) {
        self.head().born.set(Slot::NONE.born);
        self.head().record.set(Slot::NONE.record);
    }

    /// Tells the entry where it stands in the index from now on.
    ///
    /// # Safety
    ///
    /// Nothing borrows the stamps.
    pub(super) unsafe fn set_place(self, slot: Slot, stamps: &[u32]) {
        self.head().born.set(slot.born);
        self.head().record.set(slot.record);
        let count = stamps.len().min((self.head().lengths >> LEN_BITS) as usize);
        // SAFETY: as many stamps lie behind the head, and the caller promises that they are not borrowed.
        unsafe {
            self.head
                .add(1)
                .cast::<u32>()
                .copy_from_nonoverlapping(NonNull::from(stamps).cast(), count);
        }
    }

    /// Forgets where the entry stands in the index, because it leaves its key; it is counted in [`orphans`] until it is freed.
    pub(super) fn leave_key(self) {
        if !self.is_orphan() {
            ORPHANS.fetch_add(1, Ordering::Relaxed);
        }
        self.head().born.set(Slot::NONE.born);
        self.head().record.set(ORPHAN);
    }

    fn is_orphan(self) -> bool {
        self.head().born.get() == Slot::NONE.born && self.head().record.get() == ORPHAN
    }

    pub(crate) fn version(self) -> u64 {
        self.head().version
    }

    /// Where the stamps begin, and behind them the value. A pointer of the whole block, not of the head alone.
    fn behind_head(self) -> *const u8 {
        // SAFETY: `Entry::new` allocated the head and what is behind it as one block.
        unsafe { self.head.cast::<u8>().add(size_of::<Head>()).as_ptr() }
    }

    /// The nodes that it depends on, if they are few.
    pub(crate) fn stamps(self) -> &'k [u32] {
        let count = (self.head().lengths >> LEN_BITS) as usize;
        // SAFETY: `Entry::new` wrote as many stamps behind the head, aligned, and they never change.
        unsafe { std::slice::from_raw_parts(self.behind_head().cast::<u32>(), count) }
    }

    pub(crate) fn value(self) -> &'k [u8] {
        let len = (self.head().lengths & ((1 << LEN_BITS) - 1)) as usize;
        let stamps = size_of::<u32>() * (self.head().lengths >> LEN_BITS) as usize;
        // SAFETY: `Entry::new` wrote as many bytes behind the stamps, and they never change.
        unsafe { std::slice::from_raw_parts(self.behind_head().add(stamps), len) }
    }

    /// Bytes of its memory.
    pub(crate) fn size(self) -> usize {
        self.layout().size()
    }

    fn layout(self) -> Layout {
        layout(self.stamps().len(), self.value().len())
    }
}

fn layout(stamps: usize, value: usize) -> Layout {
    let size = size_of::<Head>() + size_of::<u32>() * stamps + value;
    // SAFETY: the alignment is a power of two, and a value of at most 512 MiB keeps the size far below the limit.
    unsafe { Layout::from_size_align_unchecked(size, align_of::<Head>()) }
}
