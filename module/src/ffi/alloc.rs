//! The server's allocator as Rust's, so that the index counts in `used_memory` and `maxmemory` bounds it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::raw;

/// Alignment that the server's allocator gives to anything.
const ALIGN: usize = 16;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that the module has asked for and not given back: entries and index.
pub(crate) fn allocated_bytes() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// Whether a block of this alignment, allocated since the module is loaded, is the server's.
pub(super) const fn is_of_server(align: usize) -> bool {
    align <= ALIGN
}

struct ServerAllocator;

#[global_allocator]
static ALLOCATOR: ServerAllocator = ServerAllocator;

// SAFETY: memory of ordinary alignment comes from the server's allocator, which aligns as malloc does; the rest, and
// whatever is asked for before the server has handed over its functions, comes from the system's. A block goes back to
// where it came from: the functions are handed over once, before the module allocates anything.
unsafe impl GlobalAlloc for ServerAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the whole implementation.
        unsafe {
            match raw::RedisModule_Alloc {
                Some(alloc) if layout.align() <= ALIGN => {
                    ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
                    alloc(layout.size()).cast()
                }
                _ => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the whole implementation.
        unsafe {
            match raw::RedisModule_Calloc {
                Some(calloc) if layout.align() <= ALIGN => {
                    ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
                    calloc(1, layout.size()).cast()
                }
                _ => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for the whole implementation.
        unsafe {
            match raw::RedisModule_Free {
                Some(free) if layout.align() <= ALIGN => {
                    ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
                    free(block.cast());
                }
                _ => System.dealloc(block, layout),
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for the whole implementation.
        unsafe {
            match raw::RedisModule_Realloc {
                Some(realloc) if layout.align() <= ALIGN => {
                    ALLOCATED.fetch_add(size, Ordering::Relaxed);
                    ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
                    realloc(block.cast(), size).cast()
                }
                _ => System.realloc(block, layout, size),
            }
        }
    }
}
