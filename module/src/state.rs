//! What the module keeps outside the keyspace: one index for each database, and what is going on.

use std::time::Instant;

use cacheops_index::{CatalogBytes, Counters, DeadKey, Index, Sizes, Slot, UNNUMBERED, index_id};

use crate::databases::Databases;
use crate::ffi;
use crate::flight::Airspace;
use crate::lifecycle::Loading;

/// Everything that the module remembers.
pub(crate) struct State {
    /// Made when first needed.
    indexes: Databases<Index>,
    /// The index of all databases that find no id left: it keeps nothing.
    unnumbered: Option<Box<Index>>,
    /// The database of each index, by the index's id.
    owners: Vec<usize>,
    seeds: [u64; 4],
    /// What the catalogs of all indexes take.
    pub(crate) catalogs: CatalogBytes,
    /// Counters of indexes that are gone.
    past: Counters,
    pub(crate) is_primary: bool,
    pub(crate) is_cluster: bool,
    pub(crate) loading: Option<Loading>,
    /// Somebody may hear what is replicated: a replica, a backlog or an append only file.
    pub(crate) has_listeners: bool,
    /// Replicas may hold what this server has discarded, and must be told as soon as that is possible.
    pub(crate) owes_flush: bool,
    /// The keyspace may hold entries that no index knows.
    pub(crate) sweep: Option<Sweep>,
    /// When the next sweep for renamed entries may start.
    pub(crate) sweep_not_before: Option<Instant>,
    pub(crate) is_reaper_scheduled: bool,
    pub(crate) cron_loops: u32,
    /// Small invalidations so far, most of which are not timed.
    pub(crate) untimed: u32,
    /// Who fetches what, and who waits for it.
    pub(crate) flights: Airspace,
    /// Memory that every slice of the reaper uses again.
    pub(crate) dead_keys: Vec<DeadKey>,
    pub(crate) counts: Counts,
    #[cfg(feature = "panic-injection")]
    pub(crate) panic_at: Option<&'static str>,
}

/// A walk over all keys, to reclaim entries that no index knows.
pub(crate) struct Sweep {
    pub(crate) database: usize,
    pub(crate) scan: ffi::Scan,
    pub(crate) started: Instant,
}

/// Counters of what the indexes do not see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) misses_dead: u64,
    pub(crate) discards: u64,
    pub(crate) panics: u64,
    /// Searches of the whole keyspace that were finished.
    pub(crate) sweeps: u64,
    pub(crate) reap_slices: u64,
    pub(crate) reap_postponed: u64,
    pub(crate) slowest_us: u64,
    pub(crate) slowest_table: Option<[u8; 64]>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            indexes: Databases::default(),
            unnumbered: None,
            owners: Vec::new(),
            seeds: std::array::from_fn(|_| ffi::random()),
            catalogs: CatalogBytes::default(),
            past: Counters::default(),
            is_primary: true,
            is_cluster: false,
            loading: None,
            has_listeners: true,
            owes_flush: false,
            sweep: None,
            sweep_not_before: None,
            is_reaper_scheduled: false,
            cron_loops: 0,
            untimed: 0,
            flights: Airspace::default(),
            dead_keys: Vec::new(),
            counts: Counts::default(),
            #[cfg(feature = "panic-injection")]
            panic_at: None,
        }
    }
}

impl State {
    /// The index of a database, if anything was ever done with it.
    #[inline]
    pub(crate) fn get(&mut self, database: usize) -> Option<&mut Index> {
        self.indexes.get_mut(database)
    }

    /// The index of a database.
    #[inline]
    pub(crate) fn index(&mut self, database: usize) -> &mut Index {
        self.flights_and_index(database).1
    }

    /// The flights of all databases and the index of one, for each lock takes a number of the index.
    #[inline]
    pub(crate) fn flights_and_index(&mut self, database: usize) -> (&mut Airspace, &mut Index) {
        let make = |id| {
            Index::new(id, self.seeds, ffi::random(), crate::config::tombstones())
                .sharing(self.catalogs.clone())
        };
        // An id is never given again, so that a slot of an index that is gone is known nowhere. There are 65535 of them.
        let id = u16::try_from(self.owners.len()).unwrap_or(UNNUMBERED);
        if id == UNNUMBERED && self.indexes.get(database).is_none() {
            let index = self.unnumbered.get_or_insert_with(|| Box::new(make(UNNUMBERED)));
            return (&mut self.flights, index);
        }
        let owners = &mut self.owners;
        let index = self.indexes.get_or_insert_with(database, || {
            owners.push(database);
            make(id)
        });
        (&mut self.flights, index)
    }

    /// The index that a slot belongs to, wherever its database is by now.
    pub(crate) fn find(&mut self, slot: Slot) -> Option<&mut Index> {
        let database = *self.owners.get(usize::from(index_id(slot.born)))?;
        self.get(database).filter(|index| index.id() == index_id(slot.born))
    }

    /// Takes an entry out of its index.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) {
        #[cfg(feature = "panic-injection")]
        self.panic_if("unlink");
        if let Some(index) = self.find(slot) {
            index.remove(slot);
        }
    }

    /// Whether the entry at a slot is alive in the database that it is read from.
    #[inline]
    pub(crate) fn is_alive(&mut self, database: usize, slot: Slot) -> bool {
        self.get(database).is_some_and(|index| index.is_alive(slot))
    }

    /// The indexes that exist, with the numbers of their databases.
    pub(crate) fn indexes(&mut self) -> impl Iterator<Item = (usize, &mut Index)> {
        self.indexes.iter_mut()
    }

    pub(crate) fn swap(&mut self, first: usize, second: usize) {
        self.indexes.swap(first, second);
        for database in [first, second] {
            let Some(index) = self.indexes.get_mut(database) else { continue };
            index.new_epoch(ffi::random());
            if let Some(owner) = self.owners.get_mut(usize::from(index.id())) {
                *owner = database;
            }
        }
    }

    /// Discards all entries: nothing is known of what was invalidated since they were stored.
    pub(crate) fn discard(&mut self) {
        self.counts.discards += 1;
        for (_, index) in self.indexes() {
            index.reset(ffi::random());
        }
        self.owes_flush = true;
        self.start_sweep();
    }

    /// After a panic: whatever the indexes hold may be wrong, so they are replaced, and never looked at again.
    pub(crate) fn start_anew(&mut self) {
        self.counts.panics += 1;
        self.counts.discards += 1;
        let mut counters = Counters::default();
        self.indexes().for_each(|(_, index)| counters += index.counters());
        self.past += counters;
        // Taking them apart might panic again.
        std::mem::forget(std::mem::take(&mut self.indexes));
        std::mem::forget(self.unnumbered.take());
        self.catalogs = CatalogBytes::default();
        self.owes_flush = true;
        self.is_reaper_scheduled = false;
        self.start_sweep();
        crate::reaper::schedule_with(self);
    }

    /// Forgets some schemes and tables that nothing uses, if the catalogs are nearly full: a store that needs room looks for it in
    /// its own database only.
    pub(crate) fn trim_catalogs(&mut self) {
        const STEPS: usize = 256;
        let most = crate::config::index_limits().catalog_bytes;
        if self.catalogs.get() > most / 4 * 3 {
            self.indexes().for_each(|(_, index)| index.forget_unused(STEPS));
        }
    }

    /// Has the keyspace searched for entries that no index knows.
    pub(crate) fn start_sweep(&mut self) {
        self.start_sweep_from(0);
    }

    /// Has the keyspace searched from a database on.
    pub(crate) fn start_sweep_from(&mut self, database: usize) {
        self.sweep = Some(Sweep { database, scan: ffi::Scan::new(), started: Instant::now() });
    }

    pub(crate) fn sizes(&mut self) -> Sizes {
        let mut sum = Sizes::default();
        self.indexes().for_each(|(_, index)| sum += index.sizes());
        sum
    }

    pub(crate) fn counters(&mut self) -> Counters {
        let mut sum = self.past;
        self.indexes().for_each(|(_, index)| sum += index.counters());
        self.unnumbered.iter().for_each(|index| sum += index.counters());
        sum
    }

    /// Panics where a test has asked for it.
    #[cfg(feature = "panic-injection")]
    #[allow(clippy::panic)]
    pub(crate) fn panic_if(&mut self, place: &str) {
        if self.panic_at.take_if(|at| *at == place).is_some() {
            panic!("injected at {place}");
        }
    }
}
