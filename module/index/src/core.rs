//! Everything that a flush swaps out at once: tables, schemes, nodes and records.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use ahash::RandomState;
use cacheops_condition::{Condition, Term, write_conjunction};
use smallvec::SmallVec;

use crate::arena::{Arena, Handle};
use crate::clock::Tick;
use crate::dead::Trash;
use crate::members::Members;
use crate::node::{Node, NodeMap, Nodes, chained};
use crate::record::{self, Link, Record};
use crate::scheme::{
    Fields, Hashes, Scheme, Table, decode, encode, field_bytes, fields_hash, mask, scheme_bytes,
    table_bytes,
};
use crate::slab::Slab;
use crate::{Limits, Refused};

/// Terms with the numbers of their fields.
type Numbered<'t> = SmallVec<[(u16, Option<&'t [u8]>); 8]>;

/// Bytes that the catalogs of several indexes take together: names of tables and fields, and schemes.
///
/// What is in a catalog stays when the last entry that needed it goes, so that no eviction gives it back.
#[derive(Debug, Clone, Default)]
pub struct CatalogBytes(Rc<Cell<usize>>);

impl CatalogBytes {
    /// How many there are now.
    pub fn get(&self) -> usize {
        self.0.get()
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) tables: Slab<Table>,
    by_name: HashMap<Rc<[u8]>, u32, RandomState>,
    pub(crate) schemes: Slab<Scheme>,
    pub(crate) nodes: Nodes,
    pub(crate) records: Arena,
    /// The values of nodes.
    pub(crate) values: Arena,
    pub(crate) links: usize,
    /// The table that [`Core::forget_a_table`] comes to next, and the scheme that [`Core::forget_a_scheme`] does.
    hands: (u32, u32),
    /// What the catalog of this core takes of `catalogs`.
    catalog: usize,
    catalogs: CatalogBytes,
}

/// What a command that resolves conditions brings along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) now: Tick,
    pub(crate) hashes: &'r Hashes,
    pub(crate) limits: &'r Limits,
    /// Nothing is stored: what does not fit into the catalog is not made to fit.
    pub(crate) is_check: bool,
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
    /// How many conjunctions are tracked by a part of their terms, because there are too many schemes.
    pub(crate) collapsed: u64,
    /// Schemes and tables that the command in work may still look at to find a place for what is new.
    looks: usize,
}

impl Scratch {
    /// Memory that is kept from one command to the next.
    const KEPT: usize = 1 << 16;
    /// About a millisecond.
    const LOOKS: usize = 1 << 16;

    fn start(&mut self) {
        self.resolved.clear();
        self.values.clear();
        self.collapsed = 0;
        self.looks = Self::LOOKS;
    }

    /// Gives back what an unusually large command has taken.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.values.capacity() > Self::KEPT || self.resolved.capacity() > Self::KEPT / 16 {
            *self = Self::default();
        }
    }

    /// Whether the command may look at so many more.
    fn look(&mut self, count: usize) -> bool {
        let may = count <= self.looks;
        self.looks = self.looks.saturating_sub(count);
        may
    }
}

impl Core {
    pub(crate) fn new(hashes: &Hashes, catalogs: CatalogBytes) -> Self {
        Self {
            tables: Slab::default(),
            by_name: HashMap::with_hasher(hashes.state.clone()),
            schemes: Slab::default(),
            nodes: Slab::default(),
            records: Arena::default(),
            values: Arena::default(),
            links: 0,
            hands: (0, 0),
            catalog: 0,
            catalogs,
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
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refused> {
        let Request { now, hashes, .. } = *request;
        scratch.start();
        for (name, condition) in deps {
            let number = match self.table(name) {
                Some(number) => number,
                None => self.add_table(name, request, scratch)?,
            };
            for conjunction in condition.iter() {
                let table = self.tables.get_mut(number).ok_or(Refused::Limit)?;
                table.used = now;
                // In scheme order, so that the order of the text does not matter.
                let mut terms = Numbered::new();
                let mut is_known = true;
                for (field, value) in conjunction.terms() {
                    // A field that is new needs a new scheme.
                    match table.field(field) {
                        Some(field) => terms.push((field, value)),
                        None => is_known = false,
                    }
                }
                if terms.len() > 1 {
                    terms.sort_unstable_by_key(|&(field, _)| field);
                }
                let found = if is_known { self.scheme(number, &terms, now) } else { None };
                let scheme = match found {
                    Some(scheme) => scheme,
                    None => {
                        let given: SmallVec<[Term<'_>; 8]> = conjunction.terms().collect();
                        self.register(number, &given, &mut terms, request, scratch)?
                    }
                };
                let start = scratch.values.len() as u32;
                let mut hash = self.schemes.get(scheme).map_or(0, |scheme| scheme.seed);
                for &(_, value) in &terms {
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
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> Result<u32, Refused> {
        let limits = request.limits;
        let has_room = self.tables.len() < limits.tables
            || self.forget_a_table(request.now, scratch)
            || limits.may_exceed;
        if !has_room || !self.has_bytes(|_| table_bytes(name.len()), request, scratch) {
            return Err(Refused::Limit);
        }
        let table = Table::new(name, request.now, request.hashes.state.clone());
        let name = Rc::clone(&table.name);
        let number = self.tables.insert(table).ok_or(Refused::Limit)?;
        self.count_bytes(table_bytes(name.len()));
        self.by_name.insert(name, number);
        Ok(number)
    }

    /// The scheme of exactly these fields, marked as used.
    #[inline]
    fn scheme(&mut self, table: u32, terms: &[(u16, Option<&[u8]>)], now: Tick) -> Option<u32> {
        let owner = self.tables.get(table)?;
        let fields: Fields = terms.iter().map(|&(field, _)| field).collect();
        let key = fields_hash(&fields);
        for &(hash, number) in &owner.schemes {
            if hash == key
                && let Some(scheme) =
                    self.schemes.get_mut(number).filter(|scheme| scheme.fields == fields)
            {
                scheme.used = now;
                return Some(number);
            }
        }
        None
    }

    /// Finds a scheme for a conjunction that has none yet: one of its own if there is room, else one of a part of its terms.
    /// `terms` are then those that the scheme asks for.
    #[cold]
    fn register<'t>(
        &mut self,
        table: u32,
        given: &[Term<'t>],
        terms: &mut Numbered<'t>,
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> Result<u32, Refused> {
        if given.is_empty() || self.has_room(table, given, request, scratch)? {
            return self.add_scheme(table, given, terms, request);
        }
        scratch.collapsed += 1;
        // What a row must satisfy to satisfy the conjunction: it dies too often, but never too late.
        if let Some(part) = self.part(table, given, scratch) {
            let fields = self.schemes.get_mut(part).map(|scheme| {
                scheme.used = request.now;
                scheme.fields.clone()
            });
            let fields = fields.ok_or(Refused::Limit)?;
            let owner = self.tables.get(table).ok_or(Refused::Limit)?;
            terms.clear();
            for &field in &fields {
                let name = owner.field_name(field);
                let value = given.iter().find(|&&(known, _)| known == name);
                terms.push((field, value.ok_or(Refused::Limit)?.1));
            }
            return Ok(part);
        }
        // Long values tell rows apart better than short ones, which are often one of a few, and a field that many schemes
        // use is likely to serve the next conjunction too.
        let owner = self.tables.get(table).ok_or(Refused::Limit)?;
        let single = given.iter().max_by_key(|(field, value)| {
            let length = value.map_or(0, |value| value.len() + 1);
            (length.min(8), owner.schemes_of(field))
        });
        if let Some(single) = single.filter(|_| given.len() > 1) {
            let one = std::slice::from_ref(single);
            if self.has_room(table, one, request, scratch)? {
                return self.add_scheme(table, one, terms, request);
            }
        }
        terms.clear();
        match self.scheme(table, &[], request.now) {
            Some(whole) => Ok(whole),
            None => self.add_scheme(table, &[], terms, request),
        }
    }

    /// The scheme that asks for most of these terms, and for nothing else; of several the one that tells most rows apart.
    fn part(&self, table: u32, given: &[Term<'_>], scratch: &mut Scratch) -> Option<u32> {
        let owner = self.tables.get(table)?;
        if !scratch.look(owner.schemes.len()) {
            return None;
        }
        let mut known: Fields = given.iter().filter_map(|(field, _)| owner.field(field)).collect();
        known.sort_unstable();
        let most = mask(&known);
        let parts = owner.schemes.iter().filter_map(|&(_, number)| {
            let scheme = self.schemes.get(number)?;
            let is_part = !scheme.fields.is_empty()
                && match (scheme.mask, most) {
                    (Some(asked), Some(most)) => asked & !most == 0,
                    _ => scheme.fields.iter().all(|field| known.binary_search(field).is_ok()),
                };
            is_part.then_some((scheme.fields.len(), scheme.map.len(), number))
        });
        parts.max().map(|(.., number)| number)
    }

    /// Adds the scheme of these terms, for which there is room.
    fn add_scheme<'t>(
        &mut self,
        table: u32,
        given: &[Term<'t>],
        terms: &mut Numbered<'t>,
        request: &Request<'_>,
    ) -> Result<u32, Refused> {
        let bytes = self.new_bytes(table, given);
        let owner = self.tables.get_mut(table).ok_or(Refused::Limit)?;
        terms.clear();
        for &(field, value) in given {
            terms.push((owner.take_field(field).ok_or(Refused::Limit)?, value));
        }
        terms.sort_unstable_by_key(|&(field, _)| field);
        let fields: Fields = terms.iter().map(|&(field, _)| field).collect();
        let key = fields_hash(&fields);
        let number = self.schemes.insert(Scheme {
            table,
            seed: request.hashes.scheme(owner, &fields),
            mask: mask(&fields),
            fields,
            created: request.now,
            used: request.now,
            floor: 0,
            touched: 0,
            map: NodeMap::default(),
            links: 0,
            nodes: 0,
            hits: 0,
        });
        let number = number.ok_or(Refused::Limit)?;
        owner.schemes.push((key, number));
        self.count_bytes(bytes);
        Ok(number)
    }

    /// Whether a table may have the scheme of these terms. Forgets what is not used, if there is too much.
    ///
    /// A part of the schemes of a table is kept for those of a single field: a conjunction that gets no scheme of its own is
    /// then still told apart by one of its terms.
    fn has_room(
        &mut self,
        table: u32,
        given: &[Term<'_>],
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, Refused> {
        let limits = request.limits;
        let kept = if given.len() > 1 { (limits.schemes / 4).min(64) } else { 0 };
        let count = |core: &Self| core.tables.get(table).map_or(0, |owner| owner.schemes.len());
        let has_room = count(self) < limits.schemes - kept
            || self.replace_a_scheme(table, request.now, scratch)
            || limits.may_exceed;
        let owner = self.tables.get(table).ok_or(Refused::Limit)?;
        let new = given.iter().filter(|(field, _)| owner.field(field).is_none()).count();
        if !has_room || !owner.has_room_for(new) {
            return Ok(false);
        }
        let fits = self.has_bytes(|core| core.new_bytes(table, given), request, scratch);
        if request.is_check && !fits { Err(Refused::Limit) } else { Ok(fits) }
    }

    /// What the scheme of these terms would add to the catalog.
    fn new_bytes(&self, table: u32, given: &[Term<'_>]) -> usize {
        // The scheme of `*` is counted with its table.
        if given.is_empty() {
            return 0;
        }
        let Some(owner) = self.tables.get(table) else { return 0 };
        let new = given.iter().filter(|(field, _)| owner.field(field).is_none());
        scheme_bytes(given.len()) + new.map(|(field, _)| field_bytes(field.len())).sum::<usize>()
    }

    /// Whether the catalog may grow by so many bytes, which may change while schemes are forgotten for it.
    fn has_bytes(
        &mut self,
        bytes: impl Fn(&Self) -> usize,
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> bool {
        let limits = request.limits;
        // Checks leave the other half alone, or who may only read could keep those who write from storing anything new.
        let most = if request.is_check { limits.catalog_bytes / 2 } else { limits.catalog_bytes };
        while self.catalogs.get().saturating_add(bytes(self)) > most {
            if !self.forget_a_scheme(request.now, scratch) {
                return limits.may_exceed;
            }
        }
        true
    }

    fn count_bytes(&mut self, bytes: usize) {
        self.catalog += bytes;
        self.catalogs.0.set(self.catalogs.get() + bytes);
    }

    fn uncount_bytes(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.catalog, "what goes was counted when it came");
        self.catalog = self.catalog.saturating_sub(bytes);
        self.catalogs.0.set(self.catalogs.get().saturating_sub(bytes));
    }

    /// Takes this core, which is about to be swapped out, off what the catalogs take.
    pub(crate) fn leave_catalogs(&mut self) -> CatalogBytes {
        self.uncount_bytes(self.catalog);
        self.catalogs.clone()
    }

    /// Whether nothing depends on a scheme, and the command in work has not resolved anything to it.
    fn is_unused(&self, scheme: u32, now: Tick) -> bool {
        self.schemes.get(scheme).is_none_or(|scheme| scheme.nodes == 0 && scheme.used < now)
    }

    /// Forgets the scheme of a table that is unused for longest; false if all are in use.
    fn replace_a_scheme(&mut self, table: u32, now: Tick, scratch: &mut Scratch) -> bool {
        let Some(owner) = self.tables.get(table) else { return false };
        if !scratch.look(owner.schemes.len()) {
            return false;
        }
        let unused = owner.schemes.iter().filter(|&&(_, scheme)| self.is_unused(scheme, now));
        let oldest = unused.min_by_key(|&&(_, scheme)| self.schemes.get(scheme).map(|s| s.used));
        let Some(&(_, scheme)) = oldest else { return false };
        self.forget_scheme(scheme, now);
        true
    }

    /// Forgets a scheme of any table that is not used; false if none was found. Goes round all of them like the hand of a
    /// clock, so that what was forgotten is not what came last.
    fn forget_a_scheme(&mut self, now: Tick, scratch: &mut Scratch) -> bool {
        /// Schemes looked at to make room for one; the next one goes on where this ended.
        const MOST: usize = 64;
        for _ in 0..MOST {
            if !scratch.look(1) {
                return false;
            }
            let Some(number) = self.schemes.next(self.hands.1) else {
                self.hands.1 = 0;
                continue;
            };
            self.hands.1 = number + 1;
            // The scheme of `*` gives nothing back before its table goes.
            let owner = self.schemes.get(number).filter(|scheme| !scheme.fields.is_empty());
            if owner.is_some() && self.is_unused(number, now) {
                self.forget_scheme(number, now);
                return true;
            }
        }
        self.forget_a_table(now, scratch)
    }

    pub(crate) fn forget_unused(&mut self, schemes: usize, now: Tick, scratch: &mut Scratch) {
        scratch.start();
        for _ in 0..schemes {
            if !self.forget_a_scheme(now, scratch) {
                break;
            }
        }
    }

    /// Forgets a scheme, the names of fields that nothing else uses, and its table if that was all it had.
    fn forget_scheme(&mut self, number: u32, now: Tick) {
        let Some(Scheme { table, fields, .. }) = self.schemes.remove(number) else { return };
        let Some(owner) = self.tables.get_mut(table) else { return };
        owner.schemes.retain(|&(_, scheme)| scheme != number);
        let mut bytes = if fields.is_empty() { 0 } else { scheme_bytes(fields.len()) };
        bytes += fields.iter().map(|&field| owner.release_field(field)).sum::<usize>();
        let is_idle = owner.schemes.is_empty() && owner.used < now;
        self.uncount_bytes(bytes);
        if is_idle {
            self.forget_table(table, now);
        }
    }

    fn forget_table(&mut self, number: u32, now: Tick) {
        while let Some(&(_, scheme)) =
            self.tables.get(number).and_then(|table| table.schemes.last())
        {
            // The last one takes the table with it.
            self.forget_scheme(scheme, now);
        }
        if let Some(table) = self.tables.remove(number) {
            self.by_name.remove(&table.name);
            self.uncount_bytes(table_bytes(table.name.len()));
        }
    }

    /// Makes room by forgetting a table that nothing depends on. Its tombstone stays, so no old token is believed.
    fn forget_a_table(&mut self, now: Tick, scratch: &mut Scratch) -> bool {
        /// Tables looked at for one that is new; the next one goes on where this ended.
        const MOST: usize = 64;
        for _ in 0..MOST {
            let Some(number) = self.tables.next(self.hands.0) else {
                self.hands.0 = 0;
                continue;
            };
            self.hands.0 = number + 1;
            let Some(table) = self.tables.get(number) else { continue };
            if !scratch.look(table.schemes.len() + 1) {
                return false;
            }
            let is_idle = table.used < now
                && table.schemes.iter().all(|&(_, scheme)| self.is_unused(scheme, now));
            if is_idle {
                self.forget_table(number, now);
                return true;
            }
        }
        false
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

    /// Frees some memory of a core that was swapped out; false when nothing is left. The maps of schemes go to `more`.
    pub(crate) fn shed(&mut self, members: &mut Members, more: &mut VecDeque<Trash>) -> bool {
        if members.shed() {
            return true;
        }
        if let Some(node) = self.nodes.shed() {
            *members = node.members;
            return true;
        }
        if let Some(scheme) = self.schemes.shed() {
            more.push_back(Trash::Map(scheme.map));
            return true;
        }
        self.tables.shed().is_some() || self.records.shed() || self.values.shed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_shed_in_pieces_however_large_one_of_its_schemes_is() {
        let hashes = Hashes::new([1, 2, 3, 4]);
        let mut core = Core::new(&hashes, CatalogBytes::default());
        let mut scratch = Scratch::default();
        let limits = Limits::default();
        for number in 0..50_000u64 {
            let text = format!("id={number}");
            let condition = Condition::parse(text.as_bytes()).expect("well formed");
            let request =
                Request { now: number + 2, hashes: &hashes, limits: &limits, is_check: false };
            core.resolve(&[(b"post", condition)], &request, &mut scratch).expect("room");
            core.link(b"key", number + 2, &mut scratch).expect("room");
        }

        let mut trash = VecDeque::from([Trash::Core(Box::new(core), Members::None)]);
        let (mut pieces, mut maps) = (0, 0);
        while let Some(mut front) = trash.pop_front() {
            let is_map = matches!(front, Trash::Map(_));
            if front.shed(&mut trash) {
                pieces += 1;
                maps += usize::from(is_map);
                trash.push_front(front);
            }
        }

        // A segment has room for 1024 buckets, of which there are two for each conjunction.
        assert!(maps >= 50_000 / 1024 && pieces > 50_000, "{maps} of {pieces}");
    }
}
