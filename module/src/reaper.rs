//! Reclaims dead entries in slices of a timer, so that nobody ever waits for it.
//!
//! A slice ends after `cacheops.reap-slice-us` or some megabytes of values, which the server frees in another thread where they
//! are large, and the next one starts a millisecond later at the earliest. Only a primary
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
/// Dead things taken apart for one UNLINK.
const STEPS: usize = 64;
/// Dead things taken apart before the clock is looked at again: an entry may have a thousand conjunctions to be unlinked from.
const BATCH: usize = 4;
/// Bytes of values that one slice deletes. Large ones are freed by another thread of the server, which must keep up.
const SLICE_BYTES: usize = 8 << 20;

/// What a slice may still spend.
pub(crate) struct Budget {
    end: Instant,
    bytes: usize,
}

impl Budget {
    /// That of one slice.
    pub(crate) fn of_a_slice() -> Self {
        Self { end: Instant::now() + config::reap_slice(), bytes: SLICE_BYTES }
    }

    fn is_spent(&self) -> bool {
        self.bytes == 0 || Instant::now() >= self.end
    }
}

/// What [`reclaim`] has done.
#[derive(Default)]
pub(crate) struct Reclaimed {
    steps: usize,
    deleted: usize,
    /// Nothing is left.
    is_over: bool,
}

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
    let mut budget = Budget::of_a_slice();
    let (is_primary, is_loading) = with_state(|state| (state.is_primary, state.loading.is_some()));
    if is_loading || (is_primary && ffi::must_not_replicate()) {
        with_state(|state| state.counts.reap_postponed += 1);
        return Outcome::Postponed;
    }
    with_state(|state| state.counts.reap_slices += 1);
    if !is_primary {
        return forget(&budget);
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
        while !reclaim(ctx, database, STEPS, &mut budget).is_over {
            if budget.is_spent() {
                return Outcome::More;
            }
        }
    }
    sweep(ctx, &mut budget)
}

/// On a replica: frees what dead entries leave behind in the index.
fn forget(budget: &Budget) -> Outcome {
    loop {
        let more = with_state(|state| {
            (state.owes_flush, state.sweep) = (false, None);
            state.indexes().map(|(_, index)| index.forget(BATCH)).any(|steps| steps == BATCH)
        });
        if !more {
            return Outcome::Done;
        }
        if budget.is_spent() {
            return Outcome::More;
        }
    }
}

/// Takes up to `steps` dead things of the selected database apart and deletes their keys, as long as the budget lasts.
pub(crate) fn reclaim(
    ctx: &Context,
    database: usize,
    steps: usize,
    budget: &mut Budget,
) -> Reclaimed {
    let mut done = Reclaimed::default();
    let mut dead = with_state(|state| std::mem::take(&mut state.dead_keys));
    loop {
        let batch = BATCH.min(steps - done.steps);
        let before = dead.len();
        let found =
            with_state(|state| state.get(database).map_or(0, |index| index.reap(batch, &mut dead)));
        delete(ctx, database, &mut dead, before, budget);
        done.steps += found;
        done.is_over = found < batch;
        if done.is_over || done.steps == steps || budget.is_spent() {
            break;
        }
    }
    done.deleted = dead.len();
    replicate(ctx, &dead);
    dead.clear();
    with_state(|state| state.dead_keys = dead);
    done
}

/// Of the keys from `first` on, deletes those that hold a dead entry, and leaves only these in the list.
fn delete(
    ctx: &Context,
    database: usize,
    dead: &mut Vec<DeadKey>,
    first: usize,
    budget: &mut Budget,
) {
    let mut deleted = first;
    for at in first..dead.len() {
        let Some(DeadKey { key: bytes, slot }) = dead.get(at) else { break };
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
            budget.bytes = budget.bytes.saturating_sub(entry.size());
            key.unlink();
        }
        ctx.signal_modified(name);
        ctx.notify_deleted(name);
        dead.swap(deleted, at);
        deleted += 1;
    }
    dead.truncate(deleted);
}

/// Replicates that these keys were deleted.
fn replicate(ctx: &Context, deleted: &[DeadKey]) {
    let (has_listeners, is_cluster) = with_state(|state| (state.has_listeners, state.is_cluster));
    if !has_listeners || deleted.is_empty() {
        return;
    }
    let keys: Vec<&[u8]> = deleted.iter().map(|dead| &dead.key[..]).collect();
    // In a cluster the keys of one command must share a slot.
    if is_cluster {
        keys.iter().for_each(|key| ctx.replicate(c"UNLINK", &[key]));
    } else {
        ctx.replicate(c"UNLINK", &keys);
    }
}

/// Looks through the keyspace for entries that no index knows: after a restart, a promotion, a panic, RENAME or MOVE.
fn sweep(ctx: &Context, budget: &mut Budget) -> Outcome {
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
        let mut found: Vec<DeadKey> = names
            .iter()
            .filter(|name| is_dead_entry(ctx, sweep.database, name))
            .map(|name| DeadKey { key: name[..].into(), slot: Slot::NONE })
            .collect();
        delete(ctx, sweep.database, &mut found, 0, budget);
        replicate(ctx, &found);
        if !more {
            sweep.database += 1;
            sweep.scan = ffi::Scan::new();
        }
        if budget.is_spent() {
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
    let mut budget = Budget::of_a_slice();
    let (mut examined, mut freed) = (0, 0);
    while examined < chunk && !budget.is_spent() {
        let done = reclaim(ctx, database, STEPS.min(chunk - examined), &mut budget);
        examined += done.steps;
        freed += done.deleted;
        if done.is_over {
            break;
        }
    }
    let mut audited = 0;
    while audited < chunk && !budget.is_spent() {
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
