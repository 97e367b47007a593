//! The fields of `INFO cacheops`.

use std::ffi::CStr;

use crate::ffi::{self, InfoWriter, with_state};
use crate::state::State;

/// The module's version, as CACHEOPS.VERSION and INFO say it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn write(info: &InfoWriter) {
    let (sizes, counters, counts, catalog_bytes) =
        with_state(|state| (state.sizes(), state.counters(), state.counts, state.catalogs.get()));
    let (flights, locks, lock_bytes, waiting, expired) = with_state(|State { flights, .. }| {
        let waiting = flights.clients.len();
        (flights.counts, flights.locks(), flights.bytes(), waiting, flights.expired())
    });
    let value_bytes = ffi::entry_bytes();
    let index_bytes = ffi::allocated_bytes().saturating_sub(value_bytes);
    info.text(c"version", VERSION);
    let fields: &[(&CStr, u64)] = &[
        (c"entries", sizes.entries as u64),
        (c"dead", sizes.dead as u64),
        (c"tables", sizes.tables as u64),
        (c"schemes", sizes.schemes as u64),
        (c"conjunctions", sizes.conjunctions as u64),
        (c"links", sizes.links as u64),
        (c"index_bytes", index_bytes as u64),
        (c"catalog_bytes", catalog_bytes as u64),
        (c"value_bytes", value_bytes as u64),
        (c"index_bytes_per_entry", index_bytes.checked_div(sizes.entries).unwrap_or(0) as u64),
        (c"stores", counters.stores),
        (c"stores_refused_token", counters.refused_token),
        (c"stores_refused_limit", counters.refused_limit),
        (c"hits", counts.hits),
        (c"misses", counts.misses),
        (c"misses_dead", counts.misses_dead),
        (c"locks", locks as u64),
        (c"lock_bytes", lock_bytes as u64),
        (c"locks_granted", flights.granted),
        (c"locks_unlocked", flights.unlocked),
        (c"locks_expired", expired),
        (c"locks_passed_on", flights.passed_on),
        (c"waiting", waiting as u64),
        (c"waits", flights.waits),
        (c"waits_served", flights.served),
        (c"waits_given_up", flights.given_up),
        (c"waits_turned_away", flights.turned_away),
        (c"invalidations", counters.invalidations),
        (c"rows_invalidated", counters.rows),
        (c"links_cut", counters.links_cut),
        (c"over_invalidations", counters.over),
        (c"schemes_dropped", counters.schemes_dropped),
        (c"tables_dropped", counters.tables_dropped),
        (c"collapsed_conjunctions", counters.collapsed),
        (c"flushes", counters.flushes),
        (c"discards", counts.discards),
        (c"panics", counts.panics),
        (c"reclaimed", counters.reclaimed),
        (c"sweeps", counts.sweeps),
        (c"reap_slices", counts.reap_slices),
        (c"reap_postponed", counts.reap_postponed),
        (c"slowest_invalidation_us", counts.slowest_us),
    ];
    for (name, value) in fields {
        info.number(name, *value);
    }
    let table = counts.slowest_table.unwrap_or([0; 64]);
    let end = table.iter().position(|&byte| byte == 0).unwrap_or(table.len());
    info.text(
        c"slowest_invalidation_table",
        &String::from_utf8_lossy(table.get(..end).unwrap_or(&[])),
    );
}
