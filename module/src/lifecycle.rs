//! What happens to entries and indexes without a command of ours: loading, flushing, swapping, copying, promotion.
//!
//! One rule: what the module cannot vouch for is a miss. An entry of another time or place may have missed an invalidation.

use std::time::Instant;

use cacheops_index::{Relocate, Slot, Stamps, UNNUMBERED};
use cacheops_protocol::Dependencies;

use crate::config;
use crate::ffi::{self, Context, Entry, EntryRef, with_state};
use crate::flight;
use crate::reaper;
use crate::state::State;

/// Why the server is loading data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loading {
    /// From its own RDB or append only file: invalidations may have been missed since it was written.
    Restart,
    /// From its primary: this is the primary's state, and the stream goes on where it ends.
    FullSync,
}

/// What a saved entry was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An RDB file, the RDB part of an append only file, or a full synchronisation.
    File,
    /// The argument of RESTORE, sent by a client, replicated, or replayed from an append only file.
    Dump,
}

/// No limit of the configuration binds what other servers and files bring.
pub(crate) const UNBOUND: cacheops_index::Limits = cacheops_index::Limits {
    tables: usize::MAX,
    schemes: usize::MAX,
    catalog_bytes: usize::MAX,
    may_exceed: true,
    probes: usize::MAX,
    partial_scan: 100_000,
};

/// The token of an entry that was dead when the append only file was rewritten. No server gives it, for numbers begin at 2^40,
/// so a client that sends it is refused.
pub(crate) const DEAD_TOKEN: u64 = 1;

/// Tables and the text of their conditions.
pub(crate) type Conditions = Vec<(Vec<u8>, Vec<u8>)>;

/// What a living entry depends on.
pub(crate) fn conditions(entry: EntryRef<'_>) -> Option<Conditions> {
    with_state(|state| {
        #[cfg(feature = "panic-injection")]
        state.panic_if("save");
        state.find(entry.slot())?.conditions(entry.slot())
    })
}

/// Packs what the index keeps of an entry. Answers slot and stamps that it has from now on, if they have changed.
pub(crate) fn pack(slot: Slot, relocate: &mut impl Relocate) -> Option<(Slot, Stamps)> {
    with_state(|state| state.find(slot)?.pack(slot, relocate))
}

/// About what the index keeps of an entry, in bytes.
pub(crate) fn index_bytes(entry: EntryRef<'_>) -> usize {
    with_state(|state| state.find(entry.slot()).map_or(0, |index| index.record_bytes(entry.slot())))
}

/// An entry that comes from a file, from a primary, or from RESTORE.
pub(crate) fn load(
    database: usize,
    key: Option<&[u8]>,
    value: &[u8],
    version: u64,
    conditions: &Dependencies<'_>,
    origin: Origin,
) -> Entry {
    let loading = with_state(|state| state.loading);
    let is_kept = match (loading, origin) {
        (Some(Loading::Restart), Origin::File) => config::keeps_on_restart(),
        // Where RESTORE makes dead entries, the entry was dead before the restart too.
        (Some(Loading::Restart), Origin::Dump) => {
            config::keeps_on_restart() && config::keeps_on_restore()
        }
        (Some(Loading::FullSync), _) => true,
        (None, _) => config::keeps_on_restore(),
    };
    if let Some(key) = key.filter(|_| is_kept) {
        let stored = with_state(|state| {
            // A client that sends RESTORE is bound like one that sends STORE.
            let is_client = loading.is_none() && state.is_primary;
            let limits = if is_client { config::index_limits() } else { config::stream_limits() };
            state.index(database).store(key, conditions, None, &limits)
        });
        if let Ok(stored) = stored {
            return Entry::new(value, stored.slot, stored.stamps.nodes(), version);
        }
    }
    load_dead(database, key, version)
}

/// An entry that was dead already, or has to be: its value is not kept.
pub(crate) fn load_dead(database: usize, key: Option<&[u8]>, version: u64) -> Entry {
    // After a restart the whole keyspace is swept; one key alone is noted.
    if let Some(key) = key {
        bury(database, key);
    }
    Entry::new(&[], Slot::NONE, &[], version)
}

fn bury(database: usize, key: &[u8]) {
    with_state(|state| {
        if state.loading.is_none() && state.is_primary {
            let index = state.index(database);
            if index.id() != UNNUMBERED {
                index.bury(key);
            } else if state.sweep.as_ref().is_none_or(|sweep| sweep.database >= database) {
                // No list of dead keys is kept for this database, and a search may have passed the key.
                state.start_sweep_from(database);
            }
            reaper::schedule_with(state);
        }
    });
}

/// A copy under another name. Within its database it depends on the same and is as young; in another one it is dead, for what
/// was invalidated there is not known of it.
pub(crate) fn copy(
    entry: EntryRef<'_>,
    same_database: bool,
    database: usize,
    key: Option<&[u8]>,
) -> Entry {
    let conditions = if same_database { conditions(entry) } else { None };
    if let (Some(conditions), Some(key)) = (conditions, key) {
        let mut bytes = Vec::new();
        let pairs = conditions.iter().map(|(table, text)| (&table[..], &text[..]));
        cacheops_protocol::write_conditions(&mut bytes, pairs);
        if let Ok(dependencies) = cacheops_protocol::read_conditions(&bytes) {
            let stored =
                with_state(|state| state.index(database).store(key, &dependencies, None, &UNBOUND));
            if let Ok(stored) = stored {
                return Entry::new(
                    entry.value(),
                    stored.slot,
                    stored.stamps.nodes(),
                    entry.version(),
                );
            }
        }
    }
    load_dead(database, key, entry.version())
}

/// FLUSHDB, FLUSHALL, or a replica before a full synchronisation. `None` is all databases.
pub(crate) fn flushed(database: Option<usize>) {
    with_state(|state| {
        for (number, index) in state.indexes() {
            if database.is_none_or(|database| database == number) {
                index.reset(ffi::random());
            }
        }
        reaper::schedule_with(state);
    });
}

/// SWAPDB. What was invalidated in a database so far was not told to the entries that come to it.
pub(crate) fn swapped(first: usize, second: usize) {
    with_state(|state| {
        state.swap(first, second);
        if first != second && !config::keeps_on_swapdb() {
            for database in [first, second] {
                state.index(database).flush(ffi::random());
            }
            reaper::schedule_with(state);
        }
    });
}

pub(crate) fn loading_started(loading: Loading) {
    with_state(|state| state.loading = Some(loading));
}

pub(crate) fn loading_ended(ctx: &Context) {
    let is_primary = ctx.is_primary();
    with_state(|state| {
        state.is_primary = is_primary;
        state.has_listeners = true;
        for (_, index) in state.indexes() {
            index.new_epoch(ffi::random());
        }
        if state.loading.take() == Some(Loading::Restart) && !config::keeps_on_restart() {
            state.discard();
        } else if is_primary {
            // What was dead when it was saved has come back as dead, under keys that nobody has noted.
            state.start_sweep();
        }
        reaper::schedule_with(state);
    });
}

/// The server has become a primary, or a replica.
pub(crate) fn role_changed(is_primary: bool) {
    with_state(|state| {
        let was_primary = std::mem::replace(&mut state.is_primary, is_primary);
        state.has_listeners = true;
        if is_primary && !was_primary && !config::keeps_on_promotion() {
            state.discard();
        } else {
            for (_, index) in state.indexes() {
                index.new_epoch(ffi::random());
            }
        }
        if is_primary {
            // Replicas keep no list of what is dead: their primary deletes it. What is left over is found by looking.
            state.start_sweep();
        } else {
            state.sweep = None;
            state.end_flights();
        }
        reaper::schedule_with(state);
    });
}

/// A child has been forked, perhaps to feed a replica or to rewrite the append only file: from now on somebody listens.
pub(crate) fn listeners_may_come() {
    with_state(|state| state.has_listeners = true);
}

/// About ten times a second.
pub(crate) fn cron(ctx: &Context) {
    flight::watch();
    /// Asking the server costs some 10 µs.
    const EVERY: u32 = 10;
    let is_due = with_state(|state| {
        state.cron_loops = state.cron_loops.wrapping_add(1);
        state.cron_loops.is_multiple_of(EVERY)
    });
    if is_due {
        let has_listeners = ctx.has_listeners();
        with_state(|state| {
            state.has_listeners = has_listeners;
            // A timer is lost if it could not be made while the module was loaded.
            reaper::schedule_with(state);
            state.trim_catalogs();
        });
        look_for_orphans(ctx);
    }
}

/// Starts a sweep for entries that RENAME or MOVE have put under another key. They are out of the index, and the server does
/// not name the new key, unless the module subscribes to all events of all keys.
fn look_for_orphans(ctx: &Context) {
    if ffi::orphans() == 0 {
        return;
    }
    // No event can come in between: without pending work in another thread, the orphans are in the keyspace.
    let is_due = with_state(|state| {
        let is_resting = state.sweep_not_before.is_some_and(|time| Instant::now() < time);
        state.is_primary && state.loading.is_none() && state.sweep.is_none() && !is_resting
    });
    if is_due && ctx.pending_frees() == 0 && ffi::orphans() > 0 {
        with_state(|state| {
            state.start_sweep();
            reaper::schedule_with(state);
        });
    }
}

/// `cacheops.tombstones` was set.
pub(crate) fn tombstones_changed() {
    with_state(|state| {
        for (_, index) in state.indexes() {
            index.resize_tombstones(config::tombstones());
        }
        reaper::schedule_with(state);
    });
}

impl State {
    /// Whether the reaper has anything to do.
    pub(crate) fn has_work(&mut self) -> bool {
        self.owes_flush || self.sweep.is_some() || self.indexes().any(|(_, index)| index.has_dead())
    }
}
