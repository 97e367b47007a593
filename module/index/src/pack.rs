//! Packing: what was spread over many segments while there were more entries is brought together, so that segments become
//! empty and are given back.
//!
//! The caller does it entry by entry, while the server defragments its memory. A record or a node that stands in a segment
//! of which at most half is used moves to the segment that new ones are put into. Records may move at any time, for a record
//! knows its nodes, and the caller its entry. A node can move only if a single entry depends on it: the others keep its number
//! beside their values.

use smallvec::SmallVec;

use crate::arena::Handle;
use crate::clock::Tick;
use crate::core::Core;
use crate::members::Members;
use crate::node::Node;
use crate::record::{self, Link, Record};
use crate::{Slot, Stamps};

/// Entries with more conjunctions stay where they are: packing one must not take long.
const MOST_LINKS: usize = 1024;

/// Moves blocks of memory to better places, if their allocator says so.
pub trait Relocate {
    /// Moves the memory of a vector.
    fn vector<T>(&mut self, vector: &mut Vec<T>);

    /// Moves the memory of a box.
    fn boxed<T>(&mut self, boxed: &mut Box<T>);
}

impl Core {
    /// Packs what is kept of the living entry at a slot. Answers where it stands now if that has changed. O(links).
    pub(crate) fn pack(
        &mut self,
        slot: Slot,
        next_tick: impl FnOnce() -> Tick,
        relocate: &mut impl Relocate,
    ) -> Option<(Slot, Stamps)> {
        let old = Handle(slot.record);
        let record = Record::find(&self.records, old, slot.born)?;
        // Dead entries wait in queues that know their handles.
        if record.link_count() > MOST_LINKS || !self.is_alive(record) {
            return None;
        }
        let mut links: SmallVec<[Link; 16]> = record.links().collect();
        let mut moved = SmallVec::<[u32; 16]>::new();
        for link in &mut links {
            self.pack_node(*link, relocate);
            if let Some(number) = self.move_node(link.node) {
                link.node = number;
                moved.push(number);
            }
        }
        let mut born = slot.born;
        if !moved.is_empty() {
            // A dead entry may still name one of these numbers, for a node that is gone. It must be older than the node, and
            // so this entry must be younger still.
            born = next_tick();
            for &number in &moved {
                if let Some(node) = self.nodes.get_mut(number) {
                    node.floor = born - 1;
                }
            }
            links.sort_unstable_by_key(|link| link.node);
            record::move_links(self.records.get_mut(old), born, &links);
        }
        let new = self.records.pack(old);
        if let Some(new) = new {
            for link in &links {
                if let Some(node) = self.nodes.get_mut(link.node) {
                    node.members.set(link.at, new);
                }
            }
        } else {
            self.records.relocate(old, relocate);
        }
        if new.is_none() && moved.is_empty() {
            return None;
        }
        let Handle(record) = new.unwrap_or(old);
        Some((Slot { born, record }, Stamps::new(links.iter().map(|link| link.node))))
    }

    /// Packs the values of a node, and its members from the position of this link on.
    fn pack_node(&mut self, link: Link, relocate: &mut impl Relocate) {
        let Some(node) = self.nodes.get_mut(link.node) else { return };
        match self.values.pack(node.values) {
            Some(values) => node.values = values,
            None => self.values.relocate(node.values, relocate),
        }
        if let Members::Many(many) = &mut node.members {
            if link.at == 0 {
                relocate.boxed(many);
            }
            many.relocate(link.at as usize, relocate);
        }
    }

    /// Moves a node with a single member to a segment that is better used. Answers its new number.
    fn move_node(&mut self, number: u32) -> Option<u32> {
        let is_movable = self.nodes.is_sparse(number)
            && self.nodes.get(number).is_some_and(|node| node.members.len() == 1);
        if !is_movable {
            return None;
        }
        let map = &mut self.schemes.get_mut(self.nodes.get(number)?.scheme)?.map;
        map.remove(&mut self.nodes, number);
        let node: Node = self.nodes.remove(number)?;
        // There is room: this very node has just left.
        let number = self.nodes.insert(node)?;
        map.insert(&mut self.nodes, number);
        Some(number)
    }
}
