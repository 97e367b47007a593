//! Top lists, kept while working: who asks never waits for a walk.

use crate::clock::Tick;

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

/// The conjunctions invalidated most often, by a sketch of a fixed number of counters.
///
/// Who is not counted yet takes the place of the smallest counter with a chance of one in its count: what comes once does not
/// push out what comes often, and most invalidations of a busy server leave the sketch as it is.
///
/// Source: Ben Basat, Einziger, Friedman, Kassner, "Randomized admission policy for efficient top-k and frequency
/// estimation", 2017.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    hashes: Vec<u64>,
    counts: Vec<u64>,
    names: Vec<Name>,
}

#[derive(Debug, Default)]
struct Name {
    table: Vec<u8>,
    text: Vec<u8>,
}

impl Busy {
    /// Counts an invalidation of the conjunction with this hash. `name` writes its table and text, if it is new here.
    #[inline]
    pub(crate) fn count(
        &mut self,
        hash: u64,
        now: Tick,
        name: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
    ) {
        let known = self.hashes.iter().position(|&known| known == hash);
        if let Some(count) = known.and_then(|at| self.counts.get_mut(at)) {
            *count += 1;
            return;
        }
        if self.hashes.len() < BUSY {
            self.hashes.push(hash);
            self.counts.push(1);
            self.names.push(Name::default());
            if let Some(Name { table, text }) = self.names.last_mut() {
                name(table, text);
            }
            return;
        }
        let least = self.counts.iter().copied().min().unwrap_or(0);
        // Ticks and keyed hashes are dice enough: nobody who sends rows knows the key.
        let dice = (hash ^ now).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if !dice.is_multiple_of(least + 1) {
            return;
        }
        let Some(at) = self.counts.iter().position(|&count| count == least) else { return };
        if let (Some(known), Some(count), Some(Name { table, text })) =
            (self.hashes.get_mut(at), self.counts.get_mut(at), self.names.get_mut(at))
        {
            (*known, *count) = (hash, least + 1);
            table.clear();
            text.clear();
            name(table, text);
        }
    }

    /// Table, text and count of each conjunction in the sketch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], u64)> {
        self.names
            .iter()
            .zip(&self.counts)
            .map(|(name, &count)| (&name.table[..], &name.text[..], count))
    }

    pub(crate) fn count_of(&self, hash: u64) -> u64 {
        let at = self.hashes.iter().position(|&known| known == hash);
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_is_found_among_much_that_comes_once() {
        let mut busy = Busy::default();
        for now in 0..100_000u64 {
            let hash = if now % 10 == 0 { 7 } else { now << 8 };
            busy.count(hash, now, |_, text| {
                text.extend_from_slice(if hash == 7 { b"often" } else { b"once" })
            });
        }
        let most = busy.iter().max_by_key(|&(_, _, count)| count).map(|(_, text, _)| text);
        assert_eq!(most, Some(&b"often"[..]));
        assert!((9_000..=10_100).contains(&busy.count_of(7)), "{}", busy.count_of(7));
    }
}
