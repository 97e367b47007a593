//! Top lists, kept while working: who asks never waits for a walk.

use crate::history::Tick;

/// Nodes that are remembered as large.
const WIDE: usize = 128;
/// Counters of the sketch.
const BUSY: usize = 64;

/// Nodes that had many dependents when they last grew past a power of two.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    nodes: Vec<(u32, u32)>,
}

impl Wide {
    /// Tells of a node that has just reached this many dependents.
    #[inline]
    pub(crate) fn grew(&mut self, node: u32, fan_out: usize) {
        if fan_out < 8 || !fan_out.is_power_of_two() {
            return;
        }
        let fan_out = fan_out as u32;
        if let Some(known) = self.nodes.iter_mut().find(|(known, _)| *known == node) {
            known.1 = fan_out;
        } else if self.nodes.len() < WIDE {
            self.nodes.push((node, fan_out));
        } else if let Some(least) = self.nodes.iter_mut().min_by_key(|(_, known)| *known)
            && least.1 <= fan_out
        {
            *least = (node, fan_out);
        }
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> + '_ {
        self.nodes.iter().map(|&(node, _)| node)
    }
}

/// The conjunctions invalidated most often, by the Space-Saving sketch.
///
/// Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005. A
/// count is at most too high by the smallest count in the sketch.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    hashes: Vec<u64>,
    counters: Vec<Counter>,
}

#[derive(Debug, Clone)]
pub(crate) struct Counter {
    pub(crate) table: Vec<u8>,
    pub(crate) text: Vec<u8>,
    pub(crate) count: u64,
    pub(crate) last: Tick,
}

impl Busy {
    /// Counts an invalidation of the conjunction with this hash. `name` writes its table and text, if it is new here.
    pub(crate) fn count(
        &mut self,
        hash: u64,
        now: Tick,
        name: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
    ) {
        if let Some(at) = self.hashes.iter().position(|&known| known == hash) {
            if let Some(counter) = self.counters.get_mut(at) {
                counter.count += 1;
                counter.last = now;
            }
            return;
        }
        if self.hashes.len() < BUSY {
            let mut counter = Counter { table: Vec::new(), text: Vec::new(), count: 1, last: now };
            name(&mut counter.table, &mut counter.text);
            self.hashes.push(hash);
            self.counters.push(counter);
            return;
        }
        let least = self
            .counters
            .iter()
            .enumerate()
            .min_by_key(|(_, counter)| (counter.count, counter.last));
        let Some(at) = least.map(|(at, _)| at) else { return };
        if let (Some(known), Some(counter)) = (self.hashes.get_mut(at), self.counters.get_mut(at)) {
            *known = hash;
            counter.table.clear();
            counter.text.clear();
            name(&mut counter.table, &mut counter.text);
            (counter.count, counter.last) = (counter.count + 1, now);
        }
    }

    pub(crate) fn counters(&self) -> &[Counter] {
        &self.counters
    }

    pub(crate) fn count_of(&self, hash: u64) -> u64 {
        let at = self.hashes.iter().position(|&known| known == hash);
        at.and_then(|at| self.counters.get(at)).map_or(0, |counter| counter.count)
    }
}
