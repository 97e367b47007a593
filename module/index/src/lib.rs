//! The index of a cache of query results: from the condition that a result depends on to the entries that hold it.
//!
//! A result depends, for each table it reads, on a condition: an OR of ANDs of `field = value`. A changed row kills exactly
//! the entries whose condition it satisfies. The index is built so that no operation depends on how many those are:
//!
//! ```text
//! table ─► schemes (sets of fields) ─► map by hash ─► node, one for each distinct conjunction
//!                                                       │ members: handles of records
//! record: born, key, links (node, position) ◄───────────┘
//! ```
//! * An entry is linked to one node for each of its conjunctions: [`Index::store`], O(terms).
//! * A changed row has one value for each field, hence at most one conjunction in each scheme. The node found there is taken
//!   out, members and all: [`Index::invalidate`], O(schemes + fields).
//! * An entry is alive while all of its nodes are still there and older than itself: [`Index::is_alive`], O(conjunctions).
//!   This is the *stamp check*; nobody has to visit the members of a node for them to be dead.
//! * The members of a dead node wait until [`Index::reap`] names their keys, a few at a time.
//!
//! The index asks neither the time nor the server, does no I/O, and holds no pointer into the keyspace: a caller keeps the
//! [`Slot`] that `store` answered beside the value, and asks with it. Whatever gets out of step is a miss. Nothing here grows
//! by copying itself, so that no single operation waits for the size of the index.
//!
//! Source: conjunctions and schemes follow A. Schepanovski, "On ORM cache invalidation", 2014; the stamp check is
//! django-cacheops' *insideout* turned from a key per conjunction into a generation per node.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arena;
mod clock;
mod core;
mod dead;
mod index;
mod members;
mod node;
mod pack;
mod plan;
mod record;
mod report;
mod scheme;
mod seg;
mod slab;
mod tombstones;
mod top;

pub use clock::{Tick, index_id};
pub use core::CatalogBytes;
pub use index::{Cut, DeadKey, Index, Stored};
pub use pack::Relocate;
pub use report::{Cause, Counters, Explanation, Sizes, TableReport, TopOrder, TopReport};

/// What the index may grow to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tables; a store that needs another one is refused.
    pub tables: usize,
    /// Schemes of one table; what needs another one is tracked by a part of its terms.
    pub schemes: usize,
    /// What the catalogs may take: names of tables and fields, and schemes. Checks may fill a half of it. A store that needs
    /// another table is refused, what needs another scheme is tracked by a part of its terms.
    pub catalog_bytes: usize,
    /// Whether what does not fit is registered all the same: what another server has accepted is not refused. Only what
    /// nothing uses makes room.
    pub may_exceed: bool,
    /// Probes and compares of one invalidation; past it tables are dropped.
    pub probes: usize,
    /// Nodes of one scheme that a partial row is compared with; of larger ones it drops all.
    pub partial_scan: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tables: 4096,
            schemes: 256,
            catalog_bytes: 16 << 20,
            may_exceed: false,
            probes: 200_000,
            partial_scan: 1000,
        }
    }
}

/// Where an entry stands in the index. Kept beside its value; unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// When it was linked.
    pub born: Tick,
    /// The handle of its record.
    pub record: u32,
}

impl Slot {
    /// The slot of an entry that is not linked: never alive.
    pub const NONE: Self = Self { born: 0, record: u32::MAX };
}

/// The nodes that an entry with few conjunctions depends on, to be kept beside its value: then a read looks at the value and
/// at them, and needs not look up the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamps {
    nodes: [u32; Stamps::MOST],
    len: usize,
}

impl Stamps {
    /// Entries with more conjunctions have none, and are looked up by their slot.
    pub const MOST: usize = 3;

    /// Numbers that were kept; none if there are too many.
    pub fn new(nodes: impl ExactSizeIterator<Item = u32>) -> Self {
        let mut stamps = Self::default();
        if nodes.len() <= Self::MOST {
            stamps.len = nodes.len();
            stamps.nodes.iter_mut().zip(nodes).for_each(|(place, node)| *place = node);
        }
        stamps
    }

    /// Their numbers; empty if the entry has to be looked up.
    pub fn nodes(&self) -> &[u32] {
        self.nodes.get(..self.len).unwrap_or(&[])
    }
}

/// The id of all indexes beyond the 65 535 that have one of their own. Such an index refuses every store: an entry could not
/// be told from those of another index.
pub const UNNUMBERED: u16 = u16::MAX;

/// Why a store was not done. Not an error: the value is good for who computed it, but may not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Something it depends on was invalidated since its token, or the token is unknown.
    Token,
    /// It needs more tables than [`Limits::tables`] or [`Limits::catalog_bytes`] allow, more entries than there are handles, or
    /// more indexes than there are ids.
    Limit,
}
