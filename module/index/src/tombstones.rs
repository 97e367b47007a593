//! *Tombstones* answer "was this conjunction invalidated since that tick?" for all conjunctions, in fixed memory: one
//! array of ticks, indexed by hash. A collision makes a tombstone too young, which refuses a fill that was good.

use crate::clock::Tick;

/// Ticks in a segment of the tombstones.
const SEGMENT: usize = 4096;

pub(crate) type Segments = Vec<Option<Box<[Tick]>>>;

#[derive(Debug)]
pub(crate) struct Tombstones {
    /// Segments are made when first written to: a whole array at once would take a quarter of a millisecond to clear.
    segments: Segments,
    slots: usize,
    /// Everything counts as invalidated at this tick: the array was replaced then.
    floor: Tick,
}

impl Tombstones {
    pub(crate) fn new(slots: usize) -> Self {
        let slots = slots.next_power_of_two();
        let mut segments = Vec::new();
        segments.resize_with(slots.div_ceil(SEGMENT), || None);
        Self { segments, slots, floor: 0 }
    }

    /// Replaces the array by one of another size. What it knew is lost, so all tokens up to now are refused.
    /// Answers its memory, to be freed when there is time.
    pub(crate) fn resize(&mut self, slots: usize, now: Tick) -> Segments {
        std::mem::replace(self, Self { floor: now, ..Self::new(slots) }).segments
    }

    #[inline]
    pub(crate) fn set(&mut self, hash: u64, tick: Tick) {
        let slot = self.slot(hash);
        if let Some(segment) = self.segments.get_mut(slot / SEGMENT) {
            let segment = segment.get_or_insert_with(|| vec![0; SEGMENT].into_boxed_slice());
            if let Some(found) = segment.get_mut(slot % SEGMENT) {
                *found = tick;
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, hash: u64) -> Tick {
        let slot = self.slot(hash);
        let segment = self.segments.get(slot / SEGMENT).and_then(Option::as_deref);
        segment
            .and_then(|segment| segment.get(slot % SEGMENT))
            .copied()
            .unwrap_or(0)
            .max(self.floor)
    }

    /// The upper bits: the lower ones choose buckets of the node maps.
    #[inline]
    fn slot(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.slots - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resized_array_knows_nothing_and_says_so() {
        let mut tombstones = Tombstones::new(1024);
        assert_eq!(tombstones.get(7), 0);
        tombstones.set(7 << 20, 5);
        assert_eq!((tombstones.get(7 << 20), tombstones.get(8 << 20)), (5, 0));
        tombstones.resize(2048, 9);
        assert_eq!((tombstones.get(7 << 20), tombstones.get(8 << 20)), (9, 9));
    }
}
