//! Reclaims dead entries in slices of a timer, so that nobody ever waits for it.
//!
//! A slice ends after `cacheops.reap-slice-us`, and the next one starts a millisecond later at the earliest. Only a primary
//! deletes keys, and replicates it; a replica only frees memory that its primary's deletions leave behind. While the server
//! holds replication back (CLIENT PAUSE, FAILOVER) a slice does nothing: replicating then would end the server.

use std::time::{Duration, Instant};

use cacheops_index::{DeadKey, Slot};

use crate::config;
use crate::ffi::{self, Context, Held, Key, Mode, OwnedName, with_state};
use crate::state::State;

/// Between two slices.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at a server that holds replication back, or is loading.
const WAIT: Duration = Duration::from_millis(20);
/// After a sweep, the next one for renamed entries waits this many times as long as it took, so that a client that renames
/// entries all the time cannot keep the server busy with sweeps.
const SWEEP_REST: u32 = 10;
/// Dead things taken apart before the clock is looked at again.
const STEPS: usize = 64;

/// What a slice leaves behind.
enum Outcome {
    Done,
    More,
    /// Not now.
    Postponed,
}

/// Has the reaper run soon, if there is anything to do.
pub(crate) fn schedule_with(state: &mut State) {
    if !state.is_reaper_scheduled && state.has_work() {
        state.is_reaper_scheduled = true;
        // What was discarded is told to replicas and to the append only file before any client can ask.
        ffi::schedule_reaper(if state.owes_flush { Duration::ZERO } else { PAUSE });
    }
}

/// One slice. Called by the server's timer.
pub(crate) fn run(ctx: &Context) {
    #[cfg(feature = "panic-injection")]
    with_state(|state| state.panic_if("timer"));
    let pause = match slice(ctx) {
        Outcome::Done => None,
        Outcome::More => Some(PAUSE),
        Outcome::Postponed => Some(WAIT),
    };
    with_state(|state| state.is_reaper_scheduled = pause.is_some());
    if let Some(pause) = pause {
        ffi::schedule_reaper(pause);
    }
}

fn slice(ctx: &Context) -> Outcome {
    let end = Instant::now() + config::reap_slice();
    let (is_primary, is_loading) = with_state(|state| (state.is_primary, state.loading.is_some()));
    if is_loading || (is_primary && ffi::must_not_replicate()) {
        with_state(|state| state.counts.reap_postponed += 1);
        return Outcome::Postponed;
    }
    with_state(|state| state.counts.reap_slices += 1);
    if !is_primary {
        return forget(end);
    }
    if with_state(|state| std::mem::take(&mut state.owes_flush)) {
        let mut database = 0;
        while ctx.select(database) {
            ctx.replicate(c"CACHEOPS.FLUSH", &[b"SHARD"]);
            database += 1;
        }
    }
    let databases: Vec<usize> = with_state(|state| {
        state
            .indexes()
            .filter_map(|(database, index)| index.has_dead().then_some(database))
            .collect()
    });
    for database in databases {
        if !ctx.select(database) {
            continue;
        }
        while reclaim(ctx, database, STEPS).0 == STEPS {
            if Instant::now() >= end {
                return Outcome::More;
            }
        }
    }
    sweep(ctx, end)
}

/// On a replica: frees what dead entries leave behind in the index.
fn forget(end: Instant) -> Outcome {
    loop {
        let more = with_state(|state| {
            (state.owes_flush, state.sweep) = (false, None);
            state.indexes().map(|(_, index)| index.forget(STEPS)).any(|steps| steps == STEPS)
        });
        if !more {
            return Outcome::Done;
        }
        if Instant::now() >= end {
            return Outcome::More;
        }
    }
}

/// Takes up to `steps` dead things of the selected database apart and deletes their keys. Answers steps done and keys deleted.
pub(crate) fn reclaim(ctx: &Context, database: usize, steps: usize) -> (usize, usize) {
    let (done, mut dead) = with_state(|state| {
        let mut dead = std::mem::take(&mut state.dead_keys);
        (state.get(database).map_or(0, |index| index.reap(steps, &mut dead)), dead)
    });
    let deleted = delete(ctx, database, &dead);
    dead.clear();
    with_state(|state| state.dead_keys = dead);
    (done, deleted)
}

/// Deletes those keys that hold a dead entry, and replicates it. Answers how many.
fn delete(ctx: &Context, database: usize, dead: &[DeadKey]) -> usize {
    let (has_listeners, is_cluster) = with_state(|state| (state.has_listeners, state.is_cluster));
    let mut deleted = 0;
    let mut unlinked: Vec<&[u8]> = Vec::new();
    for DeadKey { key: bytes, slot } in dead {
        let owned = OwnedName::new(bytes);
        let name = owned.name();
        {
            let mut key = Key::open(ctx, name, Mode::Write);
            let Held::Entry(entry) = key.held() else { continue };
            // The index has just let go of this one; any other entry is judged by its own slot.
            let is_dead = entry.slot() == *slot && *slot != Slot::NONE
                || !with_state(|state| state.is_alive(database, entry.slot()));
            if !is_dead {
                continue;
            }
            key.delete();
        }
        ctx.signal_modified(name);
        ctx.notify_deleted(name);
        deleted += 1;
        if has_listeners {
            unlinked.push(bytes);
        }
    }
    // In a cluster the keys of one command must share a slot.
    if is_cluster {
        unlinked.iter().for_each(|key| ctx.replicate(c"UNLINK", &[key]));
    } else if !unlinked.is_empty() {
        ctx.replicate(c"UNLINK", &unlinked);
    }
    deleted
}

/// Looks through the keyspace for entries that no index knows: after a restart, a promotion, a panic, RENAME or MOVE.
fn sweep(ctx: &Context, end: Instant) -> Outcome {
    let Some(mut sweep) = with_state(|state| state.sweep.take()) else { return Outcome::Done };
    loop {
        if !ctx.select(sweep.database) {
            let rest = sweep.started.elapsed() * SWEEP_REST;
            with_state(|state| {
                state.counts.sweeps += 1;
                state.sweep_not_before = Instant::now().checked_add(rest);
            });
            return Outcome::Done;
        }
        let mut names = Vec::new();
        let more = sweep.scan.step(ctx, &mut names);
        let found: Vec<DeadKey> = names
            .iter()
            .filter(|name| is_dead_entry(ctx, sweep.database, name))
            .map(|name| DeadKey { key: name[..].into(), slot: Slot::NONE })
            .collect();
        delete(ctx, sweep.database, &found);
        if !more {
            sweep.database += 1;
            sweep.scan = ffi::Scan::new();
        }
        if Instant::now() >= end {
            with_state(|state| {
                // A new sweep may have been asked for by now; it starts at the beginning.
                state.sweep.get_or_insert(sweep);
            });
            return Outcome::More;
        }
    }
}

fn is_dead_entry(ctx: &Context, database: usize, name: &[u8]) -> bool {
    let owned = OwnedName::new(name);
    let key = Key::open(ctx, owned.name(), Mode::Peek);
    match key.held() {
        Held::Entry(entry) => !with_state(|state| state.is_alive(database, entry.slot())),
        Held::Nothing | Held::Foreign => false,
    }
}

/// `CACHEOPS.REAP`: reclaims up to `chunk` dead entries and audits as many links. Answers what was looked at, and freed.
pub(crate) fn reap(
    ctx: &Context,
    database: usize,
    chunk: usize,
    min_size: usize,
) -> (usize, usize) {
    let end = Instant::now() + config::reap_slice();
    let (mut examined, mut freed) = (0, 0);
    while examined < chunk && Instant::now() < end {
        let steps = STEPS.min(chunk - examined);
        let (done, deleted) = reclaim(ctx, database, steps);
        examined += done;
        freed += deleted;
        if done < steps {
            break;
        }
    }
    let mut audited = 0;
    while audited < chunk && Instant::now() < end {
        let mut keys = Vec::new();
        let steps = STEPS.min(chunk - audited);
        let done = with_state(|state| {
            state.get(database).map_or(0, |index| index.audit(steps, min_size, &mut keys))
        });
        for DeadKey { key: bytes, slot } in &keys {
            let owned = OwnedName::new(bytes);
            let key = Key::open(ctx, owned.name(), Mode::Peek);
            let is_there = matches!(key.held(), Held::Entry(entry) if entry.slot() == *slot);
            if !is_there {
                with_state(|state| state.remove(*slot));
                freed += 1;
            }
        }
        audited += done;
        if done < steps {
            break;
        }
    }
    (examined + audited, freed)
}
