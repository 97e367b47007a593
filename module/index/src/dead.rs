//! What died and waits: entries whose keys are to be reclaimed, and structures whose memory is to be freed.
//!
//! An invalidation only moves things here, whatever their number. [`crate::Index::reap`] takes them apart step by step.

use std::collections::VecDeque;

use crate::arena::Handle;
use crate::clock::Tick;
use crate::core::Core;
use crate::members::Members;
use crate::node::NodeMap;
use crate::tombstones::Segments;

/// Elements of a segment of the queue, so that it never copies itself when it grows.
const SEGMENT: usize = 512;

/// Dependents of what an invalidation took out of the core in use.
#[derive(Debug)]
pub(crate) enum Dead {
    /// Those of a detached node.
    Node { death: Death, values: Handle, values_len: u32, members: Members },
    /// Those of a dropped scheme: its map, the rest of the chain in work, and the members of the node in work.
    Scheme { death: Death, map: NodeMap, chain: Option<u32>, members: Members },
}

/// Everything before a flush, and how far its records were walked.
#[derive(Debug)]
pub(crate) struct Flushed {
    pub(crate) core: Box<Core>,
    pub(crate) cursor: u32,
    /// Entries that are not named yet.
    pub(crate) left: usize,
}

/// When and by which scheme something died.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    pub(crate) tick: Tick,
    pub(crate) number: u64,
    pub(crate) time_ms: u64,
    pub(crate) scheme: u32,
    /// The node that was detached.
    pub(crate) node: u32,
}

/// Memory that nobody needs, freed when there is time.
#[derive(Debug)]
pub(crate) enum Trash {
    Core(Box<Core>, Members),
    Members(Members),
    Map(NodeMap),
    /// Batches of a core that is gone: what they say of it is void.
    Dead(Queue<Dead>, Members),
    Buried(Queue<Box<[u8]>>),
    Tombstones(Segments),
}

impl Trash {
    /// Frees a piece; false when nothing is left. What falls out whole goes to `more`.
    pub(crate) fn shed(&mut self, more: &mut VecDeque<Trash>) -> bool {
        match self {
            Trash::Core(core, members) => core.shed(members, more),
            Trash::Members(members) => members.shed(),
            Trash::Map(map) => map.shed(),
            Trash::Buried(queue) => queue.pop().is_some(),
            Trash::Tombstones(segments) => segments.pop().is_some(),
            Trash::Dead(queue, members) => {
                if members.shed() {
                    return true;
                }
                match queue.pop() {
                    None => return false,
                    Some(Dead::Node { members: next, .. }) => *members = next,
                    Some(Dead::Scheme { map, members: next, .. }) => {
                        *members = next;
                        more.push_back(Trash::Map(map));
                    }
                }
                true
            }
        }
    }
}

/// A queue that never copies itself when it grows.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    segments: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { segments: VecDeque::new(), len: 0 }
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, thing: T) {
        self.len += 1;
        match self.segments.back_mut() {
            Some(last) if last.len() < SEGMENT => last.push_back(thing),
            _ => self.segments.push_back(VecDeque::from([thing])),
        }
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.segments.front_mut()?.front_mut()
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.segments.front_mut()?;
        let thing = first.pop_front()?;
        self.len -= 1;
        // The last segment is kept, for the next batch.
        if first.is_empty() && self.segments.len() > 1 {
            self.segments.pop_front();
        }
        Some(thing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }
}
