//! Things of one size under small stable numbers, in segments that are given back when they are empty.

use crate::seg::Directory;

/// Things in a segment.
const SEGMENT: usize = 512;
const NONE: u16 = u16::MAX;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    segments: Directory<Segment<T>>,
    /// Segments with room, the newest last. A full one is dropped from it when it is met.
    open: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Segment<T> {
    places: Vec<Place<T>>,
    free: u16,
    used: u16,
    is_open: bool,
}

#[derive(Debug)]
enum Place<T> {
    Used(T),
    /// The next free place of the segment.
    Free(u16),
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { segments: Directory::default(), open: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `None` when all 2^32 numbers are taken.
    pub(crate) fn insert(&mut self, thing: T) -> Option<u32> {
        let number = loop {
            let Some(&open) = self.open.last() else {
                self.add_segment()?;
                continue;
            };
            let segment = self.segments.get_mut(open as usize)?;
            if segment.free != NONE {
                let place = segment.free;
                let Place::Free(next) = segment.places[usize::from(place)] else { return None };
                segment.free = next;
                break open * SEGMENT as u32 + u32::from(place);
            }
            if segment.places.len() < SEGMENT {
                let place = segment.places.len();
                if open > 0 && place == 0 {
                    segment.places.reserve_exact(SEGMENT);
                }
                segment.places.push(Place::Free(NONE));
                break open * SEGMENT as u32 + place as u32;
            }
            segment.is_open = false;
            self.open.pop();
        };
        let (segment, place) = split(number);
        let segment = self.segments.get_mut(segment)?;
        *segment.places.get_mut(place)? = Place::Used(thing);
        segment.used += 1;
        self.len += 1;
        Some(number)
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (segment, place) = split(number);
        match self.segments.get(segment)?.places.get(place)? {
            Place::Used(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (segment, place) = split(number);
        match self.segments.get_mut(segment)?.places.get_mut(place)? {
            Place::Used(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let (at, place) = split(number);
        let segment = self.segments.get_mut(at)?;
        let found = segment.places.get_mut(place)?;
        if matches!(found, Place::Free(_)) {
            return None;
        }
        let Place::Used(thing) = std::mem::replace(found, Place::Free(segment.free)) else {
            return None;
        };
        segment.free = place as u16;
        segment.used -= 1;
        self.len -= 1;
        if !segment.is_open {
            segment.is_open = true;
            self.open.push(at as u32);
        }
        // One segment with room is kept, or a lone thing that comes and goes would allocate each time.
        if segment.used == 0 && self.open.len() > 1 {
            segment.places = Vec::new();
            segment.free = NONE;
        }
        Some(thing)
    }

    /// Whether at most half of the segment of a number is used, and new things are put into another one.
    pub(crate) fn is_sparse(&self, number: u32) -> bool {
        let (at, _) = split(number);
        self.open.last().is_some_and(|&open| open as usize != at)
            && self
                .segments
                .get(at)
                .is_some_and(|segment| segment.is_open && usize::from(segment.used) <= SEGMENT / 2)
    }

    /// Takes any one thing out, from the end; for dropping a slab step by step.
    pub(crate) fn shed(&mut self) -> Option<T> {
        loop {
            let segment = self.segments.last_mut()?;
            match segment.places.pop() {
                Some(Place::Used(thing)) => {
                    self.len -= 1;
                    return Some(thing);
                }
                Some(Place::Free(_)) => {}
                None => {
                    self.segments.pop();
                }
            }
        }
    }

    /// The first number at or after `from` that is in use.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let (first, mut place) = split(from);
        for at in first..self.segments.len() {
            let places = &self.segments.get(at)?.places;
            let used = places.iter().skip(place).position(|found| matches!(found, Place::Used(_)));
            if let Some(ahead) = used {
                return Some((at * SEGMENT + place + ahead) as u32);
            }
            place = 0;
        }
        None
    }

    fn add_segment(&mut self) -> Option<()> {
        let number =
            u32::try_from(self.segments.len()).ok().filter(|&n| n < u32::MAX / SEGMENT as u32)?;
        self.segments.push(Segment { places: Vec::new(), free: NONE, used: 0, is_open: true });
        self.open.push(number);
        Some(())
    }
}

#[inline]
fn split(number: u32) -> (usize, usize) {
    (number as usize / SEGMENT, number as usize % SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn keeps_things_under_their_numbers() {
        let mut slab = Slab::default();
        let mut twin = HashMap::new();
        let mut state = 1u64;
        for step in 0..200_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if (state >> 33) % 100 < if step < 100_000 { 60 } else { 40 } {
                let number = slab.insert(step).expect("room");
                assert_eq!(twin.insert(number, step), None, "a number in use was given again");
            } else if let Some(&number) = twin.keys().next() {
                assert_eq!(slab.remove(number), twin.remove(&number));
                assert_eq!(slab.remove(number), None);
            }
            assert_eq!(slab.len(), twin.len());
        }
        for (&number, thing) in &twin {
            assert_eq!(slab.get(number), Some(thing));
        }
        let mut seen = 0;
        let mut from = 0;
        while let Some(number) = slab.next(from) {
            assert!(twin.contains_key(&number));
            seen += 1;
            from = number + 1;
        }
        assert_eq!(seen, twin.len(), "a walk meets everything once");
        let mut shed = 0;
        while slab.shed().is_some() {
            shed += 1;
        }
        assert_eq!((shed, slab.len()), (twin.len(), 0));
    }

    #[test]
    fn gives_empty_segments_back() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..10_000).filter_map(|n| slab.insert(n)).collect();
        for &number in &numbers {
            slab.remove(number);
        }
        let places: usize = slab.segments.iter().map(|segment| segment.places.capacity()).sum();
        assert!(places <= 2 * SEGMENT, "{places} places kept");
        assert_eq!(slab.insert(1).map(|number| slab.get(number).copied()), Some(Some(1)));
    }
}
