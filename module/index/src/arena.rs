//! Short byte strings under 32-bit handles, packed by size class.
//!
//! A heap allocation for each key and each conjunction's values would cost 16 bytes of pointer and length and the
//! allocator's rounding; here a string costs its length rounded up to 8.
//!
//! ```text
//! handle    class (6 bits) | number (26 bits)
//! class c   strings of up to 8 * (c + 1) bytes, in segments of 512
//! class 63  longer ones, boxed
//! ```
//! A freed string reads as zeros or as empty, until its place is given again. A full class overflows into the next.

use smallvec::SmallVec;

use crate::pack::Relocate;
use crate::seg::Directory;
use crate::slab::Slab;

const GRAIN: usize = 8;
const LONG: usize = 63;
const SEGMENT: usize = 512;
const NUMBER_BITS: u32 = 26;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(pub(crate) u32);

#[derive(Debug, Default)]
pub(crate) struct Arena {
    classes: Vec<Class>,
    long: Slab<Box<[u8]>>,
    len: usize,
}

#[derive(Debug, Default)]
struct Class {
    segments: Directory<Segment>,
    /// Segments with room, the newest last.
    open: Vec<u32>,
}

#[derive(Debug, Default)]
struct Segment {
    /// Empty while the segment is given back.
    bytes: Vec<u8>,
    free: Vec<u16>,
    /// Places from here on were never used.
    fresh: u16,
    used: u16,
    is_open: bool,
}

impl Arena {
    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Room for a string of `len` bytes; its bytes are whatever they were. `None` when no handle is left.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<Handle> {
        let mut class = len.saturating_sub(1) / GRAIN;
        if class < LONG && self.classes.is_empty() {
            self.classes.resize_with(LONG, Class::default);
        }
        while class < LONG {
            if let Some(number) = self.classes[class].reserve((class + 1) * GRAIN) {
                self.len += 1;
                return Some(Handle((class as u32) << NUMBER_BITS | number));
            }
            class += 1;
        }
        let number = self.long.insert(vec![0; len].into_boxed_slice())?;
        if number >> NUMBER_BITS != 0 {
            self.long.remove(number);
            return None;
        }
        self.len += 1;
        Some(Handle((LONG as u32) << NUMBER_BITS | number))
    }

    /// The whole place of a string: its bytes, and whatever the rounding added.
    #[inline]
    pub(crate) fn get(&self, handle: Handle) -> &[u8] {
        let (class, number) = handle.split();
        if class == LONG {
            return self.long.get(number).map_or(&[], |boxed| boxed);
        }
        let size = (class + 1) * GRAIN;
        let Some(class) = self.classes.get(class) else { return &[] };
        let Some(segment) = class.segments.get(number as usize / SEGMENT) else { return &[] };
        segment
            .bytes
            .get(number as usize % SEGMENT * size..)
            .and_then(|rest| rest.get(..size))
            .unwrap_or(&[])
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, handle: Handle) -> &mut [u8] {
        let (class, number) = handle.split();
        if class == LONG {
            return self.long.get_mut(number).map_or(&mut [], |boxed| boxed);
        }
        let size = (class + 1) * GRAIN;
        let Some(class) = self.classes.get_mut(class) else { return &mut [] };
        let Some(segment) = class.segments.get_mut(number as usize / SEGMENT) else {
            return &mut [];
        };
        let place = number as usize % SEGMENT * size;
        segment.bytes.get_mut(place..place + size).unwrap_or(&mut [])
    }

    /// Frees a string that `reserve` gave and that was not freed since.
    pub(crate) fn free(&mut self, handle: Handle) {
        let (class, number) = handle.split();
        if class == LONG {
            self.len -= usize::from(self.long.remove(number).is_some());
            return;
        }
        let size = (class + 1) * GRAIN;
        if let Some(class) = self.classes.get_mut(class) {
            class.free(number, size);
            self.len -= 1;
        }
    }

    /// Moves a string out of a segment of which at most half is used, to the one that new strings are put into. Answers its new
    /// handle; `None` if it stays.
    pub(crate) fn pack(&mut self, handle: Handle) -> Option<Handle> {
        let (at, number) = handle.split();
        let class = self.classes.get_mut(at)?;
        let size = (at + 1) * GRAIN;
        if !class.is_sparse(number) {
            return None;
        }
        let new = Handle((at as u32) << NUMBER_BITS | class.reserve(size)?);
        let bytes: SmallVec<[u8; 128]> = SmallVec::from_slice(self.get(handle));
        self.get_mut(new).copy_from_slice(&bytes);
        self.classes.get_mut(at)?.free(number, size);
        Some(new)
    }

    /// Lets the memory of a string be moved that has a block of its own.
    pub(crate) fn relocate(&mut self, handle: Handle, relocate: &mut impl Relocate) {
        let (class, number) = handle.split();
        if class == LONG
            && let Some(boxed) = self.long.get_mut(number)
        {
            let mut bytes = std::mem::take(boxed).into_vec();
            relocate.vector(&mut bytes);
            *boxed = bytes.into_boxed_slice();
        }
    }

    /// Gives the memory of one segment or of one long string back; false when there is none left.
    pub(crate) fn shed(&mut self) -> bool {
        while let Some(class) = self.classes.last_mut() {
            if class.segments.pop().is_some() {
                return true;
            }
            self.classes.pop();
        }
        self.len = 0;
        self.long.shed().is_some()
    }

    /// The next handle at or after `from` whose place was ever used, and where to go on; `None` at the end.
    pub(crate) fn next(&self, from: u32) -> Option<(Handle, u32)> {
        let (mut class, mut number) = Handle(from).split();
        while class < LONG {
            let Some(found) = self.classes.get(class) else { break };
            while let Some(segment) = found.segments.get(number as usize / SEGMENT) {
                if (number as usize % SEGMENT) < usize::from(segment.fresh) {
                    let handle = (class as u32) << NUMBER_BITS | number;
                    return Some((Handle(handle), handle + 1));
                }
                number = (number / SEGMENT as u32 + 1) * SEGMENT as u32;
            }
            class += 1;
            number = 0;
        }
        let number = self.long.next(if class < LONG { 0 } else { number })?;
        let handle = (LONG as u32) << NUMBER_BITS | number;
        Some((Handle(handle), handle.checked_add(1)?))
    }
}

impl Class {
    fn reserve(&mut self, size: usize) -> Option<u32> {
        loop {
            let Some(&open) = self.open.last() else {
                let number = self.segments.len() as u32;
                if number >= 1 << (NUMBER_BITS - SEGMENT.trailing_zeros()) {
                    return None;
                }
                self.segments.push(Segment { is_open: true, ..Segment::default() });
                self.open.push(number);
                continue;
            };
            let segment = self.segments.get_mut(open as usize)?;
            let place = match segment.free.pop() {
                Some(place) => place,
                None if usize::from(segment.fresh) < SEGMENT => {
                    if segment.bytes.is_empty() {
                        segment.bytes = vec![0; SEGMENT * size];
                    }
                    segment.fresh += 1;
                    segment.fresh - 1
                }
                None => {
                    segment.is_open = false;
                    self.open.pop();
                    continue;
                }
            };
            segment.used += 1;
            return Some(open * SEGMENT as u32 + u32::from(place));
        }
    }

    fn is_sparse(&self, number: u32) -> bool {
        let at = number as usize / SEGMENT;
        self.open.last().is_some_and(|&open| open as usize != at)
            && self
                .segments
                .get(at)
                .is_some_and(|segment| segment.is_open && usize::from(segment.used) <= SEGMENT / 2)
    }

    fn free(&mut self, number: u32, size: usize) {
        let at = number as usize / SEGMENT;
        let place = number as usize % SEGMENT;
        let Some(segment) = self.segments.get_mut(at) else { return };
        if let Some(head) = segment.bytes.get_mut(place * size..place * size + GRAIN) {
            head.fill(0);
        }
        segment.free.push(place as u16);
        segment.used = segment.used.saturating_sub(1);
        if !segment.is_open {
            segment.is_open = true;
            self.open.push(at as u32);
        }
        if segment.used == 0 && self.open.len() > 1 {
            *segment = Segment { is_open: true, ..Segment::default() };
        }
    }
}

impl Handle {
    #[inline]
    fn split(self) -> (usize, u32) {
        ((self.0 >> NUMBER_BITS) as usize, self.0 & ((1 << NUMBER_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn keeps_strings_of_all_lengths_apart() {
        let mut arena = Arena::default();
        let mut twin: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut state = 7u64;
        for step in 0..60_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let random = state >> 33;
            if random % 100 < if step < 30_000 { 60 } else { 40 } {
                let text = vec![step as u8; (random % 700) as usize + 1];
                let handle = arena.reserve(text.len()).expect("room");
                arena.get_mut(handle)[..text.len()].copy_from_slice(&text);
                assert!(twin.insert(handle.0, text).is_none(), "a handle in use was given again");
            } else if let Some(&handle) = twin.keys().next() {
                arena.free(Handle(handle));
                twin.remove(&handle);
            }
            assert_eq!(arena.len(), twin.len());
        }
        for (&handle, text) in &twin {
            assert_eq!(&arena.get(Handle(handle))[..text.len()], &text[..]);
        }
        let mut seen = 0;
        let mut from = 0;
        while let Some((handle, next)) = arena.next(from) {
            seen += usize::from(twin.contains_key(&handle.0));
            from = next;
        }
        assert_eq!(seen, twin.len(), "a walk meets every string");
    }

    #[test]
    fn a_freed_place_reads_as_zeros() {
        let mut arena = Arena::default();
        let (keep, gone) = (arena.reserve(20).expect("room"), arena.reserve(20).expect("room"));
        arena.get_mut(gone).fill(9);
        arena.get_mut(keep).fill(8);
        arena.free(gone);
        assert_eq!(arena.get(gone)[..8], [0; 8]);
        assert_eq!(arena.get(keep)[..8], [8; 8]);
    }

    #[test]
    fn gives_memory_back() {
        let mut arena = Arena::default();
        let handles: Vec<Handle> = (0..5000).filter_map(|_| arena.reserve(40)).collect();
        handles.into_iter().for_each(|handle| arena.free(handle));
        let kept: usize = arena
            .classes
            .iter()
            .flat_map(|class| class.segments.iter())
            .map(|segment| segment.bytes.len())
            .sum();
        assert!(kept <= 2 * SEGMENT * 40, "{kept} bytes kept");
    }
}
