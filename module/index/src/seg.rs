//! A vector that never copies itself: the first segment grows as a `Vec` does, all later ones have a fixed size.
//!
//! A `Vec` of 10^7 elements copies 40 MB when it doubles, and everybody waits. Here a push costs at most one segment's
//! allocation, and the directory of segments is a thousandth of the data.

use crate::pack::Relocate;

/// Elements in a segment.
pub(crate) const SEGMENT: usize = 1024;

#[derive(Debug)]
pub(crate) struct SegVec<T> {
    first: Vec<T>,
    /// Full segments but for the last, each with room for `SEGMENT` elements.
    rest: Vec<Vec<T>>,
}

impl<T> Default for SegVec<T> {
    fn default() -> Self {
        Self { first: Vec::new(), rest: Vec::new() }
    }
}

impl<T: Copy> SegVec<T> {
    pub(crate) fn len(&self) -> usize {
        match self.rest.last() {
            None => self.first.len(),
            Some(last) => self.rest.len() * SEGMENT + last.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<T> {
        self.segment(at / SEGMENT)?.get(at % SEGMENT).copied()
    }

    #[inline]
    pub(crate) fn set(&mut self, at: usize, value: T) {
        let segment = match at / SEGMENT {
            0 => Some(&mut self.first),
            later => self.rest.get_mut(later - 1),
        };
        if let Some(place) = segment.and_then(|segment| segment.get_mut(at % SEGMENT)) {
            *place = value;
        } else {
            debug_assert!(false, "set past the end");
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.first.len() < SEGMENT {
            if self.first.len() == self.first.capacity() {
                // Twice, as `Vec` does, but never past the segment.
                let more = self.first.len().clamp(2, SEGMENT - self.first.len());
                self.first.reserve_exact(more);
            }
            self.first.push(value);
            return;
        }
        match self.rest.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push(value),
            _ => {
                let mut segment = Vec::with_capacity(SEGMENT);
                segment.push(value);
                self.rest.push(segment);
            }
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let Some(last) = self.rest.last_mut() else {
            let value = self.first.pop();
            if self.first.len() * 4 < self.first.capacity() {
                self.first.shrink_to(self.first.len() * 2);
            }
            return value;
        };
        let value = last.pop();
        if last.is_empty() {
            self.rest.pop();
        }
        value
    }

    /// Lets the segment that begins at a position be moved, if one does.
    pub(crate) fn relocate(&mut self, at: usize, relocate: &mut impl Relocate) {
        match at {
            0 => {
                relocate.vector(&mut self.first);
                relocate.vector(&mut self.rest);
            }
            _ if at.is_multiple_of(SEGMENT) => {
                if let Some(segment) = self.rest.get_mut(at / SEGMENT - 1) {
                    relocate.vector(segment);
                }
            }
            _ => {}
        }
    }

    /// Frees the last segment. Answers false when nothing is left to free.
    pub(crate) fn shed(&mut self) -> bool {
        if self.rest.pop().is_some() {
            return true;
        }
        !std::mem::take(&mut self.first).is_empty()
    }

    fn segment(&self, segment: usize) -> Option<&Vec<T>> {
        match segment {
            0 => Some(&self.first),
            later => self.rest.get(later - 1),
        }
    }
}

/// Elements in a chunk of a [`Directory`].
const CHUNK: usize = 512;

/// A list of segments that itself never copies many of them: a list of lists.
///
/// At 2^23 records the list of their segments has 16 384 elements; copying those into fresh memory took 2.5 ms.
#[derive(Debug)]
pub(crate) struct Directory<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Directory<T> {
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    pub(crate) fn push(&mut self, thing: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(thing),
            _ => self.chunks.push(vec![thing]),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.chunks.last_mut()?;
        let thing = last.pop();
        if last.is_empty() {
            self.chunks.pop();
        }
        thing
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.chunks.last_mut()?.last_mut()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_as_a_vector_across_segments() {
        let mut seg = SegVec::default();
        for value in 0..5000u32 {
            seg.push(value);
            assert_eq!(seg.len(), value as usize + 1);
        }
        seg.set(3000, 7);
        assert_eq!(
            (seg.get(0), seg.get(3000), seg.get(4999), seg.get(5000)),
            (Some(0), Some(7), Some(4999), None)
        );
        for value in (0..5000u32).rev() {
            assert_eq!(seg.pop(), Some(if value == 3000 { 7 } else { value }));
        }
        assert_eq!((seg.pop(), seg.len(), seg.first.capacity()), (None, 0, 0));
    }

    #[test]
    fn a_directory_is_a_list() {
        let mut directory = Directory::default();
        for number in 0..1500 {
            assert_eq!(directory.len(), number);
            directory.push(number);
        }
        if let Some(number) = directory.get_mut(600) {
            *number = 7;
        }
        let found = [511, 512, 600, 1499, 1500].map(|at| directory.get(at).copied());
        assert_eq!(found, [Some(511), Some(512), Some(7), Some(1499), None]);
        assert!((0..1500).rev().all(|at| directory.pop() == Some(if at == 600 { 7 } else { at })));
        assert_eq!((directory.pop(), directory.len()), (None, 0));
    }

    #[test]
    fn is_shed_segment_by_segment() {
        let mut seg = SegVec::default();
        (0..2500u32).for_each(|value| seg.push(value));
        assert!(seg.shed() && seg.shed() && seg.shed());
        assert!(!seg.shed());
    }
}
