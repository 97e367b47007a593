//! The directives: name, unit, bounds, default. `redis.conf.example` describes them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::ffi::{EnumSpec, NumberSpec};

const DISCARD: i64 = 0;
const KEEP: i64 = 1;

/// Makes a directive's place and its description from one line, so that they cannot disagree.
macro_rules! numbers {
    ($($place:ident $name:literal $default:literal $min:literal..=$max:literal $memory:literal $changed:expr;)*) => {
        $(static $place: AtomicI64 = AtomicI64::new($default);)*
        pub(crate) static NUMBERS: &[NumberSpec] = &[
            $(NumberSpec {
                name: $name, default: $default, min: $min, max: $max, is_memory: $memory, value: &$place, changed: $changed,
            },)*
        ];
    };
}

const fn nothing() {}

numbers! {
    REAP_SLICE_US c"reap-slice-us" 500 50..=1000 false nothing;
    REAP_INLINE c"reap-inline" 0 0..=1000 false nothing;
    MAX_VALUE_BYTES c"max-value-bytes" 67_108_864 1..=536_870_912 true nothing;
    MAX_KEY_BYTES c"max-key-bytes" 1024 1..=65_000 false nothing;
    MAX_TERMS c"max-terms" 16 1..=64 false nothing;
    MAX_CONJUNCTIONS c"max-conjunctions" 1024 1..=16_384 false nothing;
    MAX_CONDITION_BYTES c"max-condition-bytes" 1_048_576 1024..=536_870_912 true nothing;
    MAX_TABLES c"max-tables" 4096 1..=16_384 false nothing;
    MAX_SCHEMES c"max-schemes" 256 1..=1024 false nothing;
    MAX_CATALOG_BYTES c"max-catalog-bytes" 16_777_216 1024..=68_719_476_736 true nothing;
    MAX_PROBES c"max-probes" 200_000 100..=10_000_000 false nothing;
    PARTIAL_SCAN c"partial-scan" 1000 0..=100_000 false nothing;
    MAX_LOCKS c"max-locks" 65_536 0..=1_048_576 false nothing;
    MAX_LOCK_BYTES c"max-lock-bytes" 33_554_432 0..=68_719_476_736 true nothing;
    MAX_WAITING c"max-waiting" 2_000 0..=1_000_000 false nothing;
    TOMBSTONES c"tombstones" 524_288 1024..=67_108_864 false crate::lifecycle::tombstones_changed;
}

static ON_RESTART: AtomicI64 = AtomicI64::new(DISCARD);
static ON_RESTORE: AtomicI64 = AtomicI64::new(DISCARD);
static ON_PROMOTION: AtomicI64 = AtomicI64::new(DISCARD);
static ON_SWAPDB: AtomicI64 = AtomicI64::new(DISCARD);

const WORDS: &[(&std::ffi::CStr, i64)] = &[(c"discard", DISCARD), (c"keep", KEEP)];

pub(crate) static ENUMS: &[EnumSpec] = &[
    EnumSpec { name: c"on-restart", default: DISCARD, words: WORDS, value: &ON_RESTART },
    EnumSpec { name: c"on-restore", default: DISCARD, words: WORDS, value: &ON_RESTORE },
    EnumSpec { name: c"on-promotion", default: DISCARD, words: WORDS, value: &ON_PROMOTION },
    EnumSpec { name: c"on-swapdb", default: DISCARD, words: WORDS, value: &ON_SWAPDB },
];

/// Whether entries survive a restart.
pub(crate) fn keeps_on_restart() -> bool {
    ON_RESTART.load(Ordering::Relaxed) == KEEP
}

/// Whether entries survive DUMP and RESTORE.
pub(crate) fn keeps_on_restore() -> bool {
    ON_RESTORE.load(Ordering::Relaxed) == KEEP
}

/// Whether a replica's entries survive its promotion.
pub(crate) fn keeps_on_promotion() -> bool {
    ON_PROMOTION.load(Ordering::Relaxed) == KEEP
}

/// Whether entries survive SWAPDB.
pub(crate) fn keeps_on_swapdb() -> bool {
    ON_SWAPDB.load(Ordering::Relaxed) == KEEP
}

fn get(place: &AtomicI64) -> usize {
    usize::try_from(place.load(Ordering::Relaxed)).unwrap_or(0)
}

/// The longest slice of the reaper.
pub(crate) fn reap_slice() -> Duration {
    Duration::from_micros(get(&REAP_SLICE_US) as u64)
}

/// Dead entries that one command reclaims itself.
pub(crate) fn reap_inline() -> usize {
    get(&REAP_INLINE)
}

/// Slots of the tombstones of each database.
pub(crate) fn tombstones() -> usize {
    get(&TOMBSTONES)
}

/// How many keys of a database may be locked at a time.
pub(crate) fn max_locks() -> usize {
    get(&MAX_LOCKS)
}

/// What locks and those who wait for them may take.
pub(crate) fn max_lock_bytes() -> usize {
    get(&MAX_LOCK_BYTES)
}

/// How many clients may wait for locks at a time.
pub(crate) fn max_waiting() -> usize {
    get(&MAX_WAITING)
}

/// What the arguments of clients may be.
#[inline]
pub(crate) fn argument_limits() -> cacheops_protocol::Limits {
    cacheops_protocol::Limits {
        key_bytes: get(&MAX_KEY_BYTES),
        value_bytes: get(&MAX_VALUE_BYTES),
        name_bytes: cacheops_protocol::MAX_NAME,
        terms: get(&MAX_TERMS),
        conjunctions: get(&MAX_CONJUNCTIONS),
        condition_bytes: get(&MAX_CONDITION_BYTES),
    }
}

/// What the index may grow to.
#[inline]
pub(crate) fn index_limits() -> cacheops_index::Limits {
    cacheops_index::Limits {
        tables: get(&MAX_TABLES),
        schemes: get(&MAX_SCHEMES),
        catalog_bytes: get(&MAX_CATALOG_BYTES),
        may_exceed: false,
        probes: get(&MAX_PROBES),
        partial_scan: get(&PARTIAL_SCAN),
    }
}

/// Past what the index forgets what no entry uses, where nothing is refused: of what a primary or a file brings.
pub(crate) fn stream_limits() -> cacheops_index::Limits {
    cacheops_index::Limits { may_exceed: true, ..index_limits() }
}
