//! Everything that a flush swaps out at once: tables, schemes, nodes and records.

use std::collections::HashMap;

use ahash::RandomState;
use cacheops_condition::{Condition, write_conjunction};
use smallvec::SmallVec;

use crate::arena::{Arena, Handle};
use crate::history::Tick;
use crate::members::Members;
use crate::node::{Node, NodeMap, Nodes, chained};
use crate::record::{self, Link, Record};
use crate::scheme::{Fields, Hashes, Scheme, Table, decode, encode, fields_hash, mask};
use crate::slab::Slab;
use crate::{Limits, Refused};

/// Terms with the numbers of their fields.
type Numbered<'t> = SmallVec<[(u16, Option<&'t [u8]>); 8]>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) tables: Slab<Table>,
    by_name: HashMap<Box<[u8]>, u32, RandomState>,
    pub(crate) schemes: Slab<Scheme>,
    pub(crate) nodes: Nodes,
    pub(crate) records: Arena,
    /// The values of nodes.
    pub(crate) values: Arena,
    pub(crate) links: usize,
    /// The table that [`Core::forget_a_table`] comes to next.
    forgotten: u32,
}

/// A conjunction of a new entry, resolved to its scheme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolved {
    pub(crate) scheme: u32,
    pub(crate) hash: u64,
    /// Its encoded values, a range of [`Scratch::values`].
    start: u32,
    end: u32,
}

/// Memory that every store uses again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) resolved: Vec<Resolved>,
    values: Vec<u8>,
    pub(crate) links: Vec<Link>,
    /// How many conjunctions were tracked as `*` because their table has too many schemes.
    pub(crate) collapsed: u64,
}

impl Core {
    pub(crate) fn new(hashes: &Hashes) -> Self {
        Self {
            tables: Slab::default(),
            by_name: HashMap::with_hasher(hashes.state.clone()),
            schemes: Slab::default(),
            nodes: Slab::default(),
            records: Arena::default(),
            values: Arena::default(),
            links: 0,
            forgotten: 0,
        }
    }

    #[inline]
    pub(crate) fn table(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Finds the scheme and the hash of each conjunction, and registers tables, fields and schemes that are new.
    pub(crate) fn resolve(
        &mut self,
        deps: &[(&[u8], Condition<'_>)],
        now: Tick,
        hashes: &Hashes,
        limits: &Limits,
        scratch: &mut Scratch,
    ) -> Result<(), Refused> {
        scratch.resolved.clear();
        scratch.values.clear();
        scratch.collapsed = 0;
        for (name, condition) in deps {
            let number = match self.table(name) {
                Some(number) => number,
                None => self.add_table(name, now, hashes, limits).ok_or(Refused::Limit)?,
            };
            for conjunction in condition.iter() {
                let has_room = self.has_room(number, now, limits);
                let table = self.tables.get_mut(number).ok_or(Refused::Limit)?;
                // In scheme order, so that the order of the text does not matter.
                let mut terms = Numbered::new();
                let mut is_known = true;
                for (field, value) in conjunction.terms() {
                    // A field that is new needs a new scheme.
                    let found = if has_room { table.intern(field) } else { table.field(field) };
                    match found {
                        Some(field) => terms.push((field, value)),
                        None => is_known = false,
                    }
                }
                if terms.len() > 1 {
                    terms.sort_unstable_by_key(|&(field, _)| field);
                }
                let fields: Fields = terms.iter().map(|&(field, _)| field).collect();
                let found =
                    if is_known { self.scheme(number, &fields, now, hashes, limits) } else { None };
                let (scheme, terms) = match found {
                    Some(scheme) => (scheme, &terms[..]),
                    // The whole table instead: it dies too often, but never too late.
                    None => {
                        scratch.collapsed += 1;
                        let whole = self.scheme(number, &Fields::new(), now, hashes, limits);
                        (whole.ok_or(Refused::Limit)?, &[][..])
                    }
                };
                let start = scratch.values.len() as u32;
                let mut hash = self.schemes.get(scheme).map_or(0, |scheme| scheme.seed);
                for &(_, value) in terms {
                    encode(&mut scratch.values, value);
                    hash = hashes.fold(hash, hashes.value(value));
                }
                let end = scratch.values.len() as u32;
                scratch.resolved.push(Resolved { scheme, hash, start, end });
            }
        }
        Ok(())
    }

    /// Links a new entry to the nodes of its resolved conjunctions. Costs one look-up for each of them.
    pub(crate) fn link(&mut self, key: &[u8], born: Tick, scratch: &mut Scratch) -> Option<Handle> {
        scratch.links.clear();
        let found = self.link_nodes(born, scratch);
        let links = &mut scratch.links;
        if links.len() > 1 {
            links.sort_unstable_by_key(|link| link.node);
            links.dedup_by_key(|link| link.node);
        }
        let handle =
            found.and_then(|()| self.records.reserve(Record::size(key.len(), links.len())));
        let Some(handle) = handle else {
            // Out of numbers: whatever was made for this entry alone goes again.
            links.iter().for_each(|link| self.remove_node_if_empty(link.node));
            return None;
        };
        for link in links.iter_mut() {
            if let Some(node) = self.nodes.get_mut(link.node) {
                link.at = node.members.push(handle);
                if let Some(scheme) = self.schemes.get_mut(node.scheme) {
                    scheme.links += 1;
                }
            }
        }
        self.links += links.len();
        record::write(self.records.get_mut(handle), born, key, links);
        Some(handle)
    }

    fn link_nodes(&mut self, born: Tick, scratch: &mut Scratch) -> Option<()> {
        for resolved in &scratch.resolved {
            let values = &scratch.values[resolved.start as usize..resolved.end as usize];
            let node = match self.node(resolved.scheme, resolved.hash, values) {
                Some(node) => node,
                None => self.add_node(resolved.scheme, resolved.hash, values, born)?,
            };
            scratch.links.push(Link { node, at: 0 });
        }
        Some(())
    }

    /// The node of exactly these values.
    #[inline]
    fn node(&self, scheme: u32, hash: u64, values: &[u8]) -> Option<u32> {
        let map = &self.schemes.get(scheme)?.map;
        let mut found = map.first(&self.nodes, hash);
        while let Some(number) = found {
            if self.node_values(self.nodes.get(number)?) == values {
                return Some(number);
            }
            found = map.next(&self.nodes, number);
        }
        None
    }

    pub(crate) fn node_values(&self, node: &Node) -> &[u8] {
        self.values.get(node.values).get(..node.values_len as usize).unwrap_or(&[])
    }

    fn add_node(&mut self, scheme: u32, hash: u64, values: &[u8], born: Tick) -> Option<u32> {
        let handle = self.values.reserve(values.len())?;
        self.values.get_mut(handle).get_mut(..values.len())?.copy_from_slice(values);
        // One less than the first entry's birth: older entries that name this number meant another node.
        let node = Node::new(born - 1, hash, scheme, handle, values.len() as u32);
        let Some(number) = self.nodes.insert(node) else {
            self.values.free(handle);
            return None;
        };
        let scheme = self.schemes.get_mut(scheme)?;
        scheme.nodes += 1;
        scheme.map.insert(&mut self.nodes, number);
        Some(number)
    }

    /// Whether no dependency of a record has been invalidated since it was born: the stamp check. O(links).
    #[inline]
    pub(crate) fn is_alive(&self, record: Record<'_>) -> bool {
        let born = record.born();
        record.links().all(|link| self.is_linked(link, born).is_some())
    }

    /// The scheme of a link that still holds.
    #[inline]
    pub(crate) fn is_linked(&self, link: Link, born: Tick) -> Option<u32> {
        let node = self.nodes.get(link.node).filter(|node| node.floor < born)?;
        let scheme = self.schemes.get(node.scheme)?;
        (scheme.floor < born).then_some(node.scheme)
    }

    /// Counts a hit for the scheme of a node.
    #[inline]
    pub(crate) fn count_hit(&mut self, node: u32) {
        let scheme = self.nodes.get(node).map(|node| node.scheme);
        if let Some(scheme) = scheme.and_then(|scheme| self.schemes.get_mut(scheme)) {
            scheme.hits += 1;
        }
    }

    /// Takes an entry out of the index. O(links), whatever their fan-out.
    pub(crate) fn unlink(&mut self, handle: Handle, born: Tick) -> bool {
        let Some(record) = Record::find(&self.records, handle, born) else { return false };
        let links: SmallVec<[Link; 16]> = record.links().collect();
        for link in links {
            let Some(scheme) = self.is_linked(link, born) else { continue };
            let Some(node) = self.nodes.get_mut(link.node) else { continue };
            debug_assert_eq!(node.members.get(link.at), Some(handle), "a record knows its place");
            if let Some(moved) = node.members.swap_remove(link.at) {
                record::set_position(&mut self.records, moved, link.node, link.at);
            }
            self.links -= 1;
            if let Some(scheme) = self.schemes.get_mut(scheme) {
                scheme.links -= 1;
            }
            self.remove_node_if_empty(link.node);
        }
        self.records.free(handle);
        true
    }

    fn remove_node_if_empty(&mut self, number: u32) {
        if self.nodes.get(number).is_some_and(|node| node.members.is_empty())
            && let Some(node) = self.detach(number)
        {
            self.values.free(node.values);
        }
    }

    /// Takes a node out of the index, with its members and values: its entries are dead from here on.
    pub(crate) fn detach(&mut self, number: u32) -> Option<Node> {
        let scheme = self.schemes.get_mut(self.nodes.get(number)?.scheme)?;
        scheme.map.remove(&mut self.nodes, number);
        let node = self.nodes.remove(number)?;
        scheme.nodes -= 1;
        scheme.links -= node.members.len();
        self.links -= node.members.len();
        Some(node)
    }

    /// Takes all nodes of a scheme out at once: its entries are dead from here on. O(1).
    pub(crate) fn drop_scheme(&mut self, number: u32, now: Tick) -> Option<(NodeMap, usize)> {
        let scheme = self.schemes.get_mut(number)?;
        scheme.floor = now;
        scheme.touched = now;
        let links = std::mem::take(&mut scheme.links);
        self.links -= links;
        Some((std::mem::take(&mut scheme.map), links))
    }

    /// Frees one node of a map that [`Core::drop_scheme`] took out: its members, and the next of its chain.
    pub(crate) fn free_dropped(&mut self, number: u32) -> Option<(Members, Option<u32>)> {
        let next = chained(&self.nodes, number);
        let node = self.nodes.remove(number)?;
        self.values.free(node.values);
        if let Some(scheme) = self.schemes.get_mut(node.scheme) {
            scheme.nodes -= 1;
        }
        Some((node.members, next))
    }

    fn add_table(
        &mut self,
        name: &[u8],
        now: Tick,
        hashes: &Hashes,
        limits: &Limits,
    ) -> Option<u32> {
        if self.tables.len() >= limits.tables && !self.forget_a_table(now) {
            return None;
        }
        let number = self.tables.insert(Table::new(name, hashes.state.clone()))?;
        self.by_name.insert(name.into(), number);
        Some(number)
    }

    /// Whether a table may have another scheme.
    fn has_room(&self, table: u32, now: Tick, limits: &Limits) -> bool {
        let Some(table) = self.tables.get(table) else { return false };
        table.schemes.len() < limits.schemes
            || table.schemes.iter().any(|&(_, scheme)| self.is_unused(scheme, now))
    }

    /// Whether nothing depends on a scheme, and the store in work has not resolved anything to it.
    fn is_unused(&self, scheme: u32, now: Tick) -> bool {
        self.schemes.get(scheme).is_none_or(|scheme| scheme.nodes == 0 && scheme.used < now)
    }

    /// Makes room by forgetting a table that nothing depends on. Its tombstone stays, so no old token is believed.
    fn forget_a_table(&mut self, now: Tick) -> bool {
        /// Tables looked at for one that is new; the next one goes on where this ended.
        const MOST: usize = 64;
        for _ in 0..MOST {
            let Some(number) = self.tables.next(self.forgotten) else {
                self.forgotten = 0;
                continue;
            };
            self.forgotten = number + 1;
            let Some(table) = self.tables.get(number) else { continue };
            // A table without schemes may be in the middle of being resolved.
            let is_idle = !table.schemes.is_empty()
                && table.schemes.iter().all(|&(_, scheme)| self.is_unused(scheme, now));
            if !is_idle {
                continue;
            }
            if let Some(table) = self.tables.remove(number) {
                self.by_name.remove(&table.name);
                table.schemes.iter().for_each(|&(_, scheme)| drop(self.schemes.remove(scheme)));
                return true;
            }
        }
        false
    }

    /// The scheme of these fields, a new one if need be; `None` when the table has too many.
    fn scheme(
        &mut self,
        table: u32,
        fields: &Fields,
        now: Tick,
        hashes: &Hashes,
        limits: &Limits,
    ) -> Option<u32> {
        let owner = self.tables.get_mut(table)?;
        let key = fields_hash(fields);
        for &(hash, number) in &owner.schemes {
            if hash == key
                && let Some(scheme) =
                    self.schemes.get_mut(number).filter(|scheme| scheme.fields == *fields)
            {
                scheme.used = now;
                return Some(number);
            }
        }
        // The whole-table scheme is always to be had: it is what others collapse to.
        if owner.schemes.len() >= limits.schemes && !fields.is_empty() {
            let schemes = &self.schemes;
            let unused = owner.schemes.iter().position(|&(_, number)| {
                schemes.get(number).is_some_and(|scheme| scheme.nodes == 0 && scheme.used < now)
            })?;
            let (_, number) = owner.schemes.swap_remove(unused);
            self.schemes.remove(number);
        }
        let number = self.schemes.insert(Scheme {
            table,
            seed: hashes.scheme(owner, fields),
            fields: fields.clone(),
            mask: mask(fields),
            created: now,
            used: now,
            floor: 0,
            touched: 0,
            map: NodeMap::default(),
            links: 0,
            nodes: 0,
            hits: 0,
        })?;
        owner.schemes.push((key, number));
        Some(number)
    }

    /// Appends the canonical text of a conjunction, given its scheme and encoded values.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>, scheme: u32, mut values: &[u8]) {
        let Some(scheme) = self.schemes.get(scheme) else { return };
        let Some(table) = self.tables.get(scheme.table) else { return };
        let terms: SmallVec<[_; 8]> = scheme
            .fields
            .iter()
            .map(|&field| (table.field_name(field), decode(&mut values).unwrap_or(None)))
            .collect();
        write_conjunction(out, terms);
    }

    /// Frees some memory of a core that was swapped out; false when nothing is left.
    pub(crate) fn shed(&mut self, members: &mut Members) -> bool {
        if members.shed() {
            return true;
        }
        if let Some(node) = self.nodes.shed() {
            *members = node.members;
            return true;
        }
        if let Some(mut scheme) = self.schemes.shed() {
            if scheme.map.shed() {
                // The rest of its map is freed with it: segments of one long directory, one by one.
                while scheme.map.shed() {}
            }
            return true;
        }
        self.tables.shed().is_some() || self.records.shed() || self.values.shed()
    }
}
