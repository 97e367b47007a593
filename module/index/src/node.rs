//! Nodes, one for each distinct conjunction that something depends on, and the map that finds them by hash.
//!
//! The map hashes *linearly* (Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980): it grows by
//! one bucket at a time, so that no insertion ever pays for a doubling. Nodes of a bucket are chained through `next`.

use crate::arena::Handle;
use crate::members::Members;
use crate::seg::SegVec;
use crate::slab::Slab;

/// The end of a chain.
pub(crate) const NIL: u32 = u32::MAX;
/// Buckets of a map that has any.
const FEWEST: usize = 4;

#[derive(Debug)]
pub(crate) struct Node {
    /// Entries that are not younger than this are dead by this node.
    pub(crate) floor: u64,
    pub(crate) hash: u64,
    pub(crate) scheme: u32,
    next: u32,
    /// The values in scheme order, encoded by [`crate::scheme::encode`].
    pub(crate) values: Handle,
    pub(crate) values_len: u32,
    pub(crate) members: Members,
}

impl Node {
    pub(crate) fn new(floor: u64, hash: u64, scheme: u32, values: Handle, values_len: u32) -> Self {
        Self { floor, hash, scheme, next: NIL, values, values_len, members: Members::None }
    }
}

pub(crate) type Nodes = Slab<Node>;

/// The nodes of one scheme, by hash.
#[derive(Debug, Default)]
pub(crate) struct NodeMap {
    /// Heads of chains, [`NIL`] where there is none.
    buckets: SegVec<u32>,
    len: usize,
}

impl NodeMap {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first node with this hash. Others may follow: see [`NodeMap::next`].
    #[inline]
    pub(crate) fn first(&self, nodes: &Nodes, hash: u64) -> Option<u32> {
        let head = self.buckets.get(self.bucket(hash)?)?;
        seek(nodes, head, hash)
    }

    /// The node with the same hash behind `number`.
    pub(crate) fn next(&self, nodes: &Nodes, number: u32) -> Option<u32> {
        let node = nodes.get(number)?;
        seek(nodes, node.next, node.hash)
    }

    /// Adds a node that is already in the slab.
    pub(crate) fn insert(&mut self, nodes: &mut Nodes, number: u32) {
        if self.buckets.len() == 0 {
            (0..FEWEST).for_each(|_| self.buckets.push(NIL));
        }
        self.link(nodes, number);
        self.len += 1;
        // At most half full: a probe without a match meets 0.4 nodes on average.
        if self.len * 2 > self.buckets.len() {
            self.split(nodes);
            self.split(nodes);
        }
    }

    /// Takes a node out; it stays in the slab.
    pub(crate) fn remove(&mut self, nodes: &mut Nodes, number: u32) {
        let Some(node) = nodes.get(number) else { return };
        let (hash, after) = (node.hash, node.next);
        let Some(bucket) = self.bucket(hash) else { return };
        let Some(head) = self.buckets.get(bucket) else { return };
        if head == number {
            self.buckets.set(bucket, after);
        } else {
            let mut before = head;
            loop {
                let Some(node) = nodes.get_mut(before) else {
                    debug_assert!(false, "the node is not in its chain");
                    return;
                };
                if node.next == number {
                    node.next = after;
                    break;
                }
                before = node.next;
            }
        }
        self.len -= 1;
        if self.buckets.len() > FEWEST && self.len * 8 < self.buckets.len() {
            self.merge(nodes);
            self.merge(nodes);
        }
    }

    /// A walk over all nodes: the node behind `number`, starting with `None`, in `bucket` or the next that has one.
    pub(crate) fn walk(
        &self,
        nodes: &Nodes,
        bucket: &mut usize,
        number: Option<u32>,
    ) -> Option<u32> {
        let mut found = number.and_then(|number| nodes.get(number)).map_or(NIL, |node| node.next);
        if number.is_none() {
            found = self.buckets.get(*bucket).unwrap_or(NIL);
        }
        while found == NIL {
            *bucket += 1;
            found = self.buckets.get(*bucket)?;
        }
        Some(found)
    }

    /// Takes any chain out, for a walk that ends with nothing left: its head, or [`NIL`]; `None` at the end.
    pub(crate) fn pop_chain(&mut self) -> Option<u32> {
        let head = self.buckets.pop();
        if head.is_none() {
            self.len = 0;
        }
        head
    }

    /// Frees one segment of memory; false when nothing is left. The nodes stay in the slab.
    pub(crate) fn shed(&mut self) -> bool {
        self.buckets.shed()
    }

    /// The bucket of a hash: its low bits, one bit less where the bucket does not exist yet.
    #[inline]
    fn bucket(&self, hash: u64) -> Option<usize> {
        let buckets = self.buckets.len();
        let round =
            buckets.checked_next_power_of_two().filter(|&round| round > 0 && buckets > 0)?;
        let bucket = hash as usize & (round - 1);
        Some(if bucket < buckets { bucket } else { bucket & (round / 2 - 1) })
    }

    fn link(&mut self, nodes: &mut Nodes, number: u32) {
        let Some(bucket) = nodes.get(number).and_then(|node| self.bucket(node.hash)) else {
            return;
        };
        let head = self.buckets.get(bucket).unwrap_or(NIL);
        if let Some(node) = nodes.get_mut(number) {
            node.next = head;
        }
        self.buckets.set(bucket, number);
    }

    /// Adds a bucket and moves to it what belongs there from its buddy.
    fn split(&mut self, nodes: &mut Nodes) {
        let new = self.buckets.len();
        self.buckets.push(NIL);
        let buddy = new - (new + 1).next_power_of_two() / 2;
        let mut number = self.buckets.get(buddy).unwrap_or(NIL);
        self.buckets.set(buddy, NIL);
        while let Some(next) = nodes.get(number).map(|node| node.next) {
            self.link(nodes, number);
            number = next;
        }
    }

    /// Takes the last bucket away; its nodes go back to its buddy.
    fn merge(&mut self, nodes: &mut Nodes) {
        let mut number = self.buckets.pop().unwrap_or(NIL);
        while let Some(next) = nodes.get(number).map(|node| node.next) {
            self.link(nodes, number);
            number = next;
        }
    }
}

#[inline]
fn seek(nodes: &Nodes, mut number: u32, hash: u64) -> Option<u32> {
    while number != NIL {
        let node = nodes.get(number)?;
        if node.hash == hash {
            return Some(number);
        }
        number = node.next;
    }
    None
}

/// The node behind this one in its chain.
pub(crate) fn chained(nodes: &Nodes, number: u32) -> Option<u32> {
    nodes.get(number).map(|node| node.next).filter(|&next| next != NIL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn finds_what_was_put_in_while_it_grows_and_shrinks() {
        let mut nodes = Nodes::default();
        let mut map = NodeMap::default();
        let mut twin: HashMap<u32, u64> = HashMap::new();
        let mut state = 11u64;
        for step in 0..120_000u32 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if (state >> 33) % 100 < if step < 60_000 { 70 } else { 20 } {
                let hash = state >> 40; // few bits, so that hashes repeat
                let number = nodes.insert(Node::new(0, hash, 0, Handle(0), 0)).expect("room");
                map.insert(&mut nodes, number);
                twin.insert(number, hash);
            } else if let Some(&number) = twin.keys().next() {
                map.remove(&mut nodes, number);
                nodes.remove(number);
                twin.remove(&number);
            }
            assert_eq!(map.len(), twin.len());
        }
        for step in [0, 1] {
            for (&number, &hash) in &twin {
                let mut found = map.first(&nodes, hash);
                while found.is_some_and(|found| found != number) {
                    found = found.and_then(|found| map.next(&nodes, found));
                }
                assert_eq!(found, Some(number));
            }
            let (mut bucket, mut at, mut seen) = (0, None, 0);
            while let Some(number) = map.walk(&nodes, &mut bucket, at) {
                assert!(twin.contains_key(&number));
                seen += 1;
                at = Some(number);
            }
            assert_eq!(seen, twin.len(), "a walk meets every node once");
            if step == 0 {
                for number in twin.keys().copied().take(twin.len() / 2).collect::<Vec<_>>() {
                    map.remove(&mut nodes, number);
                    nodes.remove(number);
                    twin.remove(&number);
                }
            }
        }
    }
}
