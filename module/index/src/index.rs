//! The index of one database.

use std::collections::VecDeque;

use cacheops_condition::Condition;
use smallvec::SmallVec;

use crate::arena::Handle;
use crate::clock::{Clock, Tick};
use crate::core::{CatalogBytes, Core, Request, Scratch};
use crate::dead::{Dead, Death, Flushed, Queue, Trash};
use crate::members::Members;
use crate::node::NIL;
use crate::pack::Relocate;
use crate::plan::Plan;
use crate::record::{Link, Record};
use crate::report::{Counters, Explanation, Reporter, Sizes, TableReport, TopOrder, TopReport};
use crate::scheme::Hashes;
use crate::tombstones::Tombstones;
use crate::top::{Busy, Wide};
use crate::{Limits, Refused, Slot, Stamps, UNNUMBERED};

/// Bytes of the values of a conjunction that the list of the most frequent invalidations may name: it keeps their text.
const MAX_NAMED: u32 = 1024;

/// The index of one database: which entries depend on what.
#[derive(Debug)]
pub struct Index {
    hashes: Hashes,
    clock: Clock,
    tombstones: Tombstones,
    core: Core,
    dead: Queue<Dead>,
    /// How many dead entries wait in `dead`; one that died twice counts twice.
    dead_entries: usize,
    flushed: VecDeque<Flushed>,
    /// Keys that hold an entry without links.
    buried: Queue<Box<[u8]>>,
    trash: VecDeque<Trash>,
    /// The node and the member that [`Index::audit`] comes to next.
    audited: (u32, u32),
    /// The tick of the last flush.
    flushed_at: Tick,
    wide: Wide,
    busy: Busy,
    counters: Counters,
    scratch: Scratch,
    plan: Plan,
}

/// An entry that was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// To be kept beside the value.
    pub slot: Slot,
    /// What [`Index::hit`] asks for besides.
    pub stamps: Stamps,
    /// The number that the store took: the entry's version.
    pub version: u64,
    /// Whether all of its conjunctions are tracked by all of their terms. If not, [`Index::conditions`] answers those that are
    /// tracked.
    pub is_exact: bool,
}

/// What an invalidation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Links cut: at least as many as entries died.
    pub links: usize,
    /// The number that it took.
    pub sequence: u64,
}

/// A key that holds a dead entry, if it still holds the entry with this slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadKey {
    /// Its name.
    pub key: SmallVec<[u8; 64]>,
    /// The slot that the entry had; [`Slot::NONE`] if it was never linked.
    pub slot: Slot,
}

impl Index {
    /// An empty index. `id` is unique among the indexes of the process, or [`UNNUMBERED`]; `seeds` key the hashes, `random` starts the epoch.
    pub fn new(id: u16, seeds: [u64; 4], random: u64, tombstones: usize) -> Self {
        let hashes = Hashes::new(seeds);
        Self {
            clock: Clock::new(id, random),
            tombstones: Tombstones::new(tombstones),
            core: Core::new(&hashes, CatalogBytes::default()),
            hashes,
            dead: Queue::default(),
            dead_entries: 0,
            flushed: VecDeque::new(),
            buried: Queue::default(),
            trash: VecDeque::new(),
            audited: (0, 0),
            flushed_at: 0,
            wide: Wide::default(),
            busy: Busy::default(),
            counters: Counters::default(),
            scratch: Scratch::default(),
            plan: Plan::default(),
        }
    }

    /// Counts the catalog of an index that is still empty together with those of others.
    #[must_use]
    pub fn sharing(mut self, catalogs: CatalogBytes) -> Self {
        self.core = Core::new(&self.hashes, catalogs);
        self
    }

    /// The token of now.
    pub fn token(&self) -> u64 {
        self.clock.number(self.clock.now())
    }

    /// A token that nobody else was given: each lock takes the next number.
    pub fn next_token(&mut self) -> u64 {
        let tick = self.clock.advance();
        self.clock.number(tick)
    }

    /// The id that was given to [`Index::new`].
    pub fn id(&self) -> u16 {
        crate::index_id(self.clock.now())
    }

    /// Makes the entry `key` depend on a condition for each table, and answers where it now stands.
    ///
    /// An entry that was there before under this key keeps its own slot until [`Index::remove`] is called with it. With a
    /// token, the entry is linked only if nothing that its conditions match was invalidated since. O(terms).
    ///
    /// # Errors
    ///
    /// [`Refused`] if the entry may not be kept. Its schemes are known from then on, so that the next try can be accepted.
    ///
    /// Source: the token is the *lease* of Nishtala et al., "Scaling Memcache at Facebook", 2013, made granular.
    pub fn store(
        &mut self,
        key: &[u8],
        deps: &[(&[u8], Condition<'_>)],
        token: Option<u64>,
        limits: &Limits,
    ) -> Result<Stored, Refused> {
        let now = self.clock.advance();
        let outcome = self.store_at(now, key, deps, token, limits);
        self.scratch.shrink();
        match outcome {
            Ok(_) => self.counters.stores += 1,
            Err(Refused::Token) => self.counters.refused_token += 1,
            Err(Refused::Limit) => self.counters.refused_limit += 1,
        }
        outcome
    }

    fn store_at(
        &mut self,
        now: Tick,
        key: &[u8],
        deps: &[(&[u8], Condition<'_>)],
        token: Option<u64>,
        limits: &Limits,
    ) -> Result<Stored, Refused> {
        if self.id() == UNNUMBERED {
            return Err(Refused::Limit);
        }
        let request = Request { now, hashes: &self.hashes, limits, is_check: false };
        let resolved = self.core.resolve(deps, &request, &mut self.scratch);
        self.counters.collapsed += self.scratch.collapsed;
        resolved?;
        if let Some(token) = token
            && !self.is_unchanged_since(token)
        {
            for (name, _) in deps {
                if let Some(table) =
                    self.core.table(name).and_then(|number| self.core.tables.get_mut(number))
                {
                    table.refused += 1;
                }
            }
            return Err(Refused::Token);
        }
        if key.len() > usize::from(u16::MAX) || self.scratch.resolved.len() > usize::from(u16::MAX)
        {
            return Err(Refused::Limit);
        }
        let Handle(record) = self.core.link(key, now, &mut self.scratch).ok_or(Refused::Limit)?;
        for link in &self.scratch.links {
            // A position is one less than the fan-out that it makes.
            self.wide.grew(link.node, link.at as usize + 1);
        }
        Ok(Stored {
            slot: Slot { born: now, record },
            stamps: Stamps::new(self.scratch.links.iter().map(|link| link.node)),
            version: self.clock.number(now),
            is_exact: self.scratch.collapsed == 0,
        })
    }

    /// Has nothing that these conditions match been invalidated since the token? Registers their schemes. O(terms).
    ///
    /// # Errors
    ///
    /// [`Refused::Limit`] if they need more tables or schemes than there may be, and then nothing more is registered.
    pub fn check(
        &mut self,
        deps: &[(&[u8], Condition<'_>)],
        token: u64,
        limits: &Limits,
    ) -> Result<bool, Refused> {
        if self.id() == UNNUMBERED {
            return Err(Refused::Limit);
        }
        let now = self.clock.advance();
        let request = Request { now, hashes: &self.hashes, limits, is_check: true };
        let resolved = self.core.resolve(deps, &request, &mut self.scratch);
        let is_unchanged = resolved.map(|()| self.is_unchanged_since(token));
        self.scratch.shrink();
        is_unchanged
    }

    /// The token rule, for the conjunctions that were resolved last.
    fn is_unchanged_since(&self, token: u64) -> bool {
        let Some(token) = self.clock.tick(token) else { return false };
        let mut quiet = None;
        self.scratch.resolved.iter().all(|resolved| {
            let Some(scheme) = self.core.schemes.get(resolved.scheme) else { return false };
            let is_quiet = match quiet {
                Some((table, is_quiet)) if table == scheme.table => is_quiet,
                _ => {
                    let name =
                        self.core.tables.get(scheme.table).map_or(&[][..], |table| &table.name);
                    let is_quiet = self.tombstones.get(self.hashes.table(name)) <= token;
                    quiet = Some((scheme.table, is_quiet));
                    is_quiet
                }
            };
            // A scheme that did not exist left no tombstones: what it would have seen is unknown.
            is_quiet
                || scheme.created <= token
                    && scheme.touched <= token
                    && self.tombstones.get(resolved.hash) <= token
        })
    }

    /// Whether the entry at this slot is alive: nothing it depends on was invalidated since it was stored. O(conjunctions).
    #[inline]
    pub fn is_alive(&self, slot: Slot) -> bool {
        Record::find(&self.core.records, Handle(slot.record), slot.born)
            .is_some_and(|record| self.core.is_alive(record))
    }

    /// [`Index::is_alive`] for an entry that was not removed since, and counts a hit for each of its conjunctions if so.
    ///
    /// `stamps` are those that the store answered. Nodes alone tell all that the record tells: a node that was invalidated is
    /// gone, and one that was made again under its number is younger than the entry. O(conjunctions).
    #[inline]
    pub fn hit(&mut self, slot: Slot, stamps: &[u32]) -> bool {
        if stamps.is_empty() {
            return self.hit_record(slot);
        }
        let linked = |&node: &u32| self.core.is_linked(Link { node, at: 0 }, slot.born);
        if slot == Slot::NONE || !stamps.iter().all(|node| linked(node).is_some()) {
            return false;
        }
        for &node in stamps {
            self.core.count_hit(node);
        }
        true
    }

    fn hit_record(&mut self, slot: Slot) -> bool {
        let record = Record::find(&self.core.records, Handle(slot.record), slot.born);
        let Some(record) = record.filter(|&record| self.core.is_alive(record)) else {
            return false;
        };
        let nodes: SmallVec<[u32; 16]> = record.links().map(|link| link.node).collect();
        for node in nodes {
            self.core.count_hit(node);
        }
        true
    }

    /// Takes an entry out. To be called when its key goes, for whatever reason; harmless if it is out already. O(conjunctions).
    pub fn remove(&mut self, slot: Slot) {
        self.core.unlink(Handle(slot.record), slot.born);
    }

    /// Brings what is kept of a living entry together with that of others, and lets its memory be moved. To be called while
    /// the server defragments its memory. Answers slot and stamps if they have changed: the old ones are void then.
    /// O(conjunctions).
    pub fn pack(&mut self, slot: Slot, relocate: &mut impl Relocate) -> Option<(Slot, Stamps)> {
        self.core.pack(slot, || self.clock.advance(), relocate)
    }

    /// Kills every entry whose condition one of the rows satisfies.
    ///
    /// A row is a conjunction that says what is known of it: a field that it does not name may have any value. `time_ms` is
    /// only remembered, for [`Index::explain`]. O(rows × (schemes of the table + fields)), whatever the fan-out.
    pub fn invalidate(
        &mut self,
        changes: &[(&[u8], Condition<'_>)],
        time_ms: impl FnOnce() -> u64,
        limits: &Limits,
    ) -> Cut {
        let mut plan = std::mem::take(&mut self.plan);
        plan.make(changes, &self.core, &self.hashes, limits);
        let cut = self.carry_out(&plan, time_ms);
        plan.shrink();
        self.plan = plan;
        cut
    }

    /// Forgets up to so many schemes that nothing depends on, and tables with them.
    pub fn forget_unused(&mut self, schemes: usize) {
        let now = self.clock.advance();
        self.core.forget_unused(schemes, now, &mut self.scratch);
    }

    /// Whether anything may depend on a table.
    pub fn knows(&self, table: &[u8]) -> bool {
        self.core.table(table).is_some()
    }

    /// Positions of changes of the last [`Index::invalidate`] whose tables were dropped because of [`Limits::probes`].
    pub fn cut_off(&self) -> &[usize] {
        &self.plan.cut_off
    }

    /// Counts tables that a caller has dropped because looking closer would have cost too much.
    pub fn count_over(&mut self, tables: usize) {
        self.counters.over += tables as u64;
    }

    /// The links that [`Index::invalidate`] would cut now; changes nothing.
    pub fn count(&mut self, changes: &[(&[u8], Condition<'_>)], limits: &Limits) -> usize {
        let mut plan = std::mem::take(&mut self.plan);
        plan.make(changes, &self.core, &self.hashes, limits);
        let links = plan.links(&self.core);
        plan.shrink();
        self.plan = plan;
        links
    }

    fn carry_out(&mut self, plan: &Plan, time_ms: impl FnOnce() -> u64) -> Cut {
        let tick = self.clock.advance();
        let number = self.clock.number(tick);
        for &hash in plan.tables.iter().chain(&plan.conjunctions) {
            self.tombstones.set(hash, tick);
        }
        let is_deadly = !(plan.nodes.is_empty() && plan.dropped.is_empty());
        let time_ms = if is_deadly { time_ms() } else { 0 };
        let mut links = 0;
        for &node in &plan.nodes {
            // A node that two rows hit is gone at the second.
            let Some(node_found) = self.core.nodes.get(node) else { continue };
            let (hash, scheme) = (node_found.hash, node_found.scheme);
            let core = &self.core;
            if node_found.values_len <= MAX_NAMED {
                self.busy.count(hash, tick, |table, text| {
                    let owner =
                        core.schemes.get(scheme).and_then(|scheme| core.tables.get(scheme.table));
                    table.extend_from_slice(owner.map_or(&[][..], |table| &table.name));
                    core.write_text(text, scheme, core.node_values(node_found));
                });
            }
            let Some(found) = self.core.detach(node) else { continue };
            let death = Death { tick, number, time_ms, scheme, node };
            links += found.members.len();
            self.dead_entries += found.members.len();
            self.dead.push(Dead::Node {
                death,
                values: found.values,
                values_len: found.values_len,
                members: found.members,
            });
        }
        for &number in &plan.touched {
            if let Some(scheme) = self.core.schemes.get_mut(number) {
                scheme.touched = tick;
            }
        }
        for &scheme in &plan.dropped {
            let Some((map, cut)) = self.core.drop_scheme(scheme, tick) else { continue };
            if map.len() > 0 {
                self.counters.schemes_dropped += 1;
                links += cut;
                self.dead_entries += cut;
                let death = Death { tick, number, time_ms, scheme, node: u32::MAX };
                self.dead.push(Dead::Scheme { death, map, chain: None, members: Members::None });
            }
        }
        for &table in &plan.known {
            if let Some(table) = self.core.tables.get_mut(table) {
                table.invalidations += 1;
            }
        }
        self.counters.invalidations += 1;
        self.counters.rows += plan.rows;
        self.counters.tables_dropped += plan.whole_tables;
        self.counters.over += plan.over;
        self.counters.links_cut += links as u64;
        Cut { links, sequence: number }
    }

    /// Kills all entries and all tokens. Their keys will be named by [`Index::reap`]. O(1). Answers how many there were.
    pub fn flush(&mut self, random: u64) -> usize {
        if self.id() == UNNUMBERED {
            return 0;
        }
        let core = self.swap_core(random);
        let left = core.records.len();
        self.flushed_at = self.clock.now();
        self.counters.flushes += 1;
        // The walk over its records will meet what died before as well.
        self.flushed.push_back(Flushed { core, cursor: 0, left });
        left
    }

    /// Forgets all entries and all tokens: their keys are gone already, as after FLUSHDB. O(1).
    pub fn reset(&mut self, random: u64) {
        let core = self.swap_core(random);
        self.trash.push_back(Trash::Core(core, Members::None));
        self.forget_flushed();
    }

    fn swap_core(&mut self, random: u64) -> Box<Core> {
        self.clock.new_epoch(random);
        self.wide = Wide::default();
        self.trash.push_back(Trash::Dead(std::mem::take(&mut self.dead), Members::None));
        self.dead_entries = 0;
        let empty = Core::new(&self.hashes, self.core.leave_catalogs());
        Box::new(std::mem::replace(&mut self.core, empty))
    }

    fn forget_flushed(&mut self) {
        self.trash.push_back(Trash::Buried(std::mem::take(&mut self.buried)));
        self.trash
            .extend(self.flushed.drain(..).map(|flushed| Trash::Core(flushed.core, Members::None)));
    }

    /// Makes all tokens given so far invalid; the entries stay.
    pub fn new_epoch(&mut self, random: u64) {
        self.clock.new_epoch(random);
    }

    /// Replaces the tombstones by an array of this many slots; all tokens given so far are refused.
    pub fn resize_tombstones(&mut self, slots: usize) {
        let now = self.clock.advance();
        let old = self.tombstones.resize(slots, now);
        self.trash.push_back(Trash::Tombstones(old));
    }

    /// Notes a key that holds an entry without links, so that it is reclaimed with the others.
    pub fn bury(&mut self, key: &[u8]) {
        self.buried.push(key.into());
    }

    /// Whether [`Index::reap`] or [`Index::forget`] has anything to do.
    pub fn has_dead(&self) -> bool {
        self.dead.len() > 0
            || !self.flushed.is_empty()
            || self.buried.len() > 0
            || !self.trash.is_empty()
    }

    /// Takes up to `steps` dead things apart, and names the keys to delete. Answers the steps done: fewer when nothing is left.
    ///
    /// The named entries are out of the index from then on. A key that was stored again is not named; still, delete it only
    /// if its entry is the one of the slot that is named with it, or is not alive.
    pub fn reap(&mut self, steps: usize, keys: &mut Vec<DeadKey>) -> usize {
        for done in 0..steps {
            if !(self.reap_dead(keys)
                || self.reap_flushed(keys)
                || self.reap_buried(keys)
                || self.reap_trash())
            {
                return done;
            }
        }
        steps
    }

    /// Takes up to `steps` dead things apart without naming keys: on a replica, where the primary's deletions arrive by
    /// themselves. Answers the steps done.
    pub fn forget(&mut self, steps: usize) -> usize {
        self.forget_flushed();
        for done in 0..steps {
            if self.reap_trash() {
                continue;
            }
            let members = match self.dead.front_mut() {
                None => return done,
                Some(Dead::Node { members, .. } | Dead::Scheme { members, .. }) => {
                    std::mem::take(members)
                }
            };
            self.dead_entries = self.dead_entries.saturating_sub(members.len());
            self.trash.push_back(Trash::Members(members));
            self.next_dead();
        }
        steps
    }

    fn reap_dead(&mut self, keys: &mut Vec<DeadKey>) -> bool {
        let member = match self.dead.front_mut() {
            None => return false,
            Some(Dead::Node { members, .. } | Dead::Scheme { members, .. }) => members.pop(),
        };
        let Some(handle) = member else {
            self.next_dead();
            return true;
        };
        self.dead_entries = self.dead_entries.saturating_sub(1);
        // The place may be empty by now, or belong to a new entry that is alive.
        let Some(record) = Record::any(&self.core.records, handle) else { return true };
        if !self.core.is_alive(record) {
            let slot = Slot { born: record.born(), record: handle.0 };
            keys.push(DeadKey { key: SmallVec::from_slice(record.key()), slot });
            self.core.unlink(handle, slot.born);
            self.counters.reclaimed += 1;
        }
        true
    }

    /// Goes on from members that are all done: to the next node of a dropped scheme, or to the next batch.
    fn next_dead(&mut self) {
        match self.dead.front_mut() {
            None => {}
            Some(Dead::Node { values, .. }) => {
                self.core.values.free(*values);
                self.dead.pop();
            }
            Some(Dead::Scheme { map, chain, members, .. }) => {
                if let Some((found, next)) =
                    chain.take().and_then(|number| self.core.free_dropped(number))
                {
                    (*members, *chain) = (found, next);
                    return;
                }
                match map.pop_chain() {
                    Some(NIL) => {}
                    Some(head) => *chain = Some(head),
                    None => drop(self.dead.pop()),
                }
            }
        }
    }

    fn reap_flushed(&mut self, keys: &mut Vec<DeadKey>) -> bool {
        let Some(Flushed { core, cursor, left }) = self.flushed.front_mut() else { return false };
        if let Some((handle, next)) = core.records.next(*cursor) {
            *cursor = next;
            if let Some(record) = Record::any(&core.records, handle) {
                let slot = Slot { born: record.born(), record: handle.0 };
                keys.push(DeadKey { key: SmallVec::from_slice(record.key()), slot });
                *left = left.saturating_sub(1);
                self.counters.reclaimed += 1;
            }
        } else if let Some(flushed) = self.flushed.pop_front() {
            self.trash.push_back(Trash::Core(flushed.core, Members::None));
        }
        true
    }

    fn reap_buried(&mut self, keys: &mut Vec<DeadKey>) -> bool {
        let Some(key) = self.buried.pop() else { return false };
        keys.push(DeadKey { key: SmallVec::from_slice(&key), slot: Slot::NONE });
        self.counters.reclaimed += 1;
        true
    }

    fn reap_trash(&mut self) -> bool {
        let Some(mut front) = self.trash.pop_front() else { return false };
        if front.shed(&mut self.trash) {
            self.trash.push_front(front);
        }
        true
    }

    /// Names up to `steps` entries that depend on conjunctions of at least `min_size` dependents, so that a caller can look
    /// whether their keys still hold them. Goes on where the last call ended; answers the steps done, fewer at the end of a
    /// round. An entry that depends on several such conjunctions is named several times.
    pub fn audit(&mut self, steps: usize, min_size: usize, keys: &mut Vec<DeadKey>) -> usize {
        for done in 0..steps {
            let (from, at) = self.audited;
            let Some(number) = self.core.nodes.next(from) else {
                self.audited = (0, 0);
                return done;
            };
            let at = if number == from { at } else { 0 };
            let node = self.core.nodes.get(number).filter(|node| node.members.len() >= min_size);
            let Some(member) = node.and_then(|node| node.members.get(at)) else {
                self.audited = (number + 1, 0);
                continue;
            };
            self.audited = (number, at + 1);
            if let Some(record) = Record::any(&self.core.records, member) {
                let slot = Slot { born: record.born(), record: member.0 };
                keys.push(DeadKey { key: SmallVec::from_slice(record.key()), slot });
            }
        }
        steps
    }

    /// What the index knows of the entry at a slot. For people: looks through a bounded number of batches of dead entries.
    pub fn explain(&self, slot: Slot) -> Option<Explanation> {
        self.reporter().explain(slot)
    }

    /// Every table. O(tables + schemes).
    pub fn tables(&self) -> Vec<TableReport> {
        self.reporter().tables()
    }

    /// The conjunctions that cost most, from lists that are kept while working. O(1).
    pub fn top(&self, order: TopOrder, count: usize) -> Vec<TopReport> {
        self.reporter().top(order, count)
    }

    fn reporter(&self) -> Reporter<'_> {
        let Self { hashes, core, dead, wide, busy, .. } = self;
        Reporter { hashes, core, dead, wide, busy }
    }

    /// Conditions of a living entry, by table: what [`Index::store`] would take to make it again.
    pub fn conditions(&self, slot: Slot) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let record = Record::find(&self.core.records, Handle(slot.record), slot.born)?;
        self.core.is_alive(record).then(|| self.reporter().linked_conditions(record))
    }

    /// Whether the entry that was at this slot was there when [`Index::flush`] was last called.
    pub fn was_flushed(&self, slot: Slot) -> bool {
        slot != Slot::NONE && crate::index_id(slot.born) == self.id() && slot.born < self.flushed_at
    }

    /// About what the index keeps of an entry, in bytes: its record, and its place among the members of its nodes.
    pub fn record_bytes(&self, slot: Slot) -> usize {
        Record::find(&self.core.records, Handle(slot.record), slot.born).map_or(0, |record| {
            Record::size(record.key().len(), record.link_count())
                + size_of::<u32>() * record.link_count()
        })
    }

    /// Counters since the index was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How much there is of everything. O(1).
    pub fn sizes(&self) -> Sizes {
        Sizes {
            entries: self.core.records.len(),
            dead: self.dead_entries
                + self.buried.len()
                + self.flushed.iter().map(|flushed| flushed.left).sum::<usize>(),
            tables: self.core.tables.len(),
            schemes: self.core.schemes.len(),
            conjunctions: self.core.nodes.len(),
            links: self.core.links,
        }
    }
}
