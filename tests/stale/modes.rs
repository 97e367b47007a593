//! All modes. Most find no stale hit; the others show a known limit, and that the checker sees.

use super::actors::Actor::{
    self, Committed, Insideout, Lagging, LaggingByPosition, NearCache, NearSingleFlight,
    SingleFlight, Snapshot, Vandal,
};
use super::mode::{Mode, Stale};
use super::stage::Disturbance;

const ALL_READERS: &[Actor] = &[Committed, Snapshot, Insideout, NearCache];

/// Every fill with a token, and nothing happens to the server.
pub const TOKENS: Mode = Mode {
    name: "READ COMMITTED and snapshot readers",
    readers: &[Committed, Snapshot],
    tokens: true,
    disturbance: Disturbance::None,
    expected: Stale::Never,
    share: 18,
};

pub const TOKENS_OFF: Mode = Mode {
    name: "the same without tokens",
    tokens: false,
    expected: Stale::Some,
    share: 0,
    ..TOKENS
};

pub const LAGGING: Mode = Mode {
    name: "lagging database replica, fresh tokens",
    readers: &[Lagging],
    expected: Stale::Some,
    share: 0,
    ..TOKENS
};

pub const LAGGING_BY_POSITION: Mode = Mode {
    name: "lagging database replica, tokens by position",
    readers: &[LaggingByPosition],
    share: 10,
    ..TOKENS
};

pub const INSIDEOUT: Mode =
    Mode { name: "process memory, proved by CHECK", readers: &[Insideout], share: 10, ..TOKENS };

pub const NEAR_CACHE: Mode =
    Mode { name: "process memory, proved by IFNOT", readers: &[NearCache], share: 10, ..TOKENS };

pub const SINGLE_FLIGHT: Mode = Mode {
    name: "single flight, LOCK and WAIT",
    readers: &[SingleFlight, SingleFlight, NearSingleFlight],
    share: 4,
    ..TOKENS
};

const DISTURBED: Mode = Mode { readers: ALL_READERS, share: 4, ..TOKENS };

pub const VANDALS: Mode = Mode {
    name: "keys deleted, copied, renamed, expired",
    readers: &[Committed, Snapshot, Insideout, NearCache, Committed, Vandal],
    share: 2,
    ..DISTURBED
};

pub const RESTART: Mode = Mode {
    name: "killed, restarted from an older RDB file",
    disturbance: Disturbance::Restart,
    ..DISTURBED
};

pub const RESTART_TRUSTING: Mode = Mode {
    name: "the same with on-restart keep",
    disturbance: Disturbance::RestartTrusting,
    expected: Stale::Some,
    share: 0,
    ..DISTURBED
};

pub const RESTART_FROM_LOG: Mode = Mode {
    name: "killed, restarted from the AOF",
    disturbance: Disturbance::RestartFromLog,
    ..DISTURBED
};

pub const RESTART_FROM_LOG_TRUSTING: Mode = Mode {
    name: "the same with on-restart keep",
    disturbance: Disturbance::RestartFromLogTrusting,
    ..DISTURBED
};

pub const FAILOVER: Mode = Mode {
    name: "failed over to a replica and back",
    disturbance: Disturbance::Failover,
    ..DISTURBED
};

pub const FAILOVER_TRUSTING: Mode = Mode {
    name: "the same with on-promotion keep",
    disturbance: Disturbance::FailoverTrusting,
    expected: Stale::Some,
    share: 0,
    ..DISTURBED
};

pub const FAILOVER_SINGLE_FLIGHT: Mode = Mode {
    name: "failed over, LOCK and WAIT",
    readers: SINGLE_FLIGHT.readers,
    share: 2,
    ..FAILOVER
};

pub const FLUSH: Mode = Mode {
    name: "FLUSHALL, FLUSHDB, CACHEOPS.FLUSH",
    disturbance: Disturbance::Flush,
    ..DISTURBED
};

pub const FLUSH_SINGLE_FLIGHT: Mode =
    Mode { name: "flushed, LOCK and WAIT", readers: SINGLE_FLIGHT.readers, share: 2, ..FLUSH };

pub const SWAP: Mode =
    Mode { name: "SWAPDB with an empty database", disturbance: Disturbance::Swap, ..DISTURBED };

pub const SWAP_BACK: Mode =
    Mode { name: "SWAPDB there and back", disturbance: Disturbance::SwapBack, ..DISTURBED };

pub const SWAP_BACK_TRUSTING: Mode = Mode {
    name: "the same with on-swapdb keep",
    disturbance: Disturbance::SwapBackTrusting,
    expected: Stale::Some,
    share: 0,
    ..DISTURBED
};

pub const EVICTION_RANDOM: Mode = Mode {
    name: "maxmemory, allkeys-random",
    disturbance: Disturbance::Eviction("allkeys-random"),
    ..DISTURBED
};

pub const EVICTION_LRU: Mode = Mode {
    name: "maxmemory, allkeys-lru",
    disturbance: Disturbance::Eviction("allkeys-lru"),
    ..DISTURBED
};

pub const RESIZE: Mode =
    Mode { name: "CONFIG SET cacheops.tombstones", disturbance: Disturbance::Resize, ..DISTURBED };

pub const FEW_TOMBSTONES: Mode =
    Mode { name: "1024 tombstones", disturbance: Disturbance::FewTombstones, ..DISTURBED };

pub const SMALL_LIMITS: Mode = Mode {
    name: "3 schemes a table, 1 node of a partial scan",
    disturbance: Disturbance::SmallLimits,
    share: 2,
    ..DISTURBED
};

/// In the order of the table.
pub const ALL: &[Mode] = &[
    TOKENS_OFF,
    TOKENS,
    LAGGING,
    LAGGING_BY_POSITION,
    INSIDEOUT,
    NEAR_CACHE,
    SINGLE_FLIGHT,
    VANDALS,
    RESTART,
    RESTART_TRUSTING,
    RESTART_FROM_LOG,
    RESTART_FROM_LOG_TRUSTING,
    FAILOVER,
    FAILOVER_TRUSTING,
    FAILOVER_SINGLE_FLIGHT,
    FLUSH,
    FLUSH_SINGLE_FLIGHT,
    SWAP,
    SWAP_BACK,
    SWAP_BACK_TRUSTING,
    EVICTION_RANDOM,
    EVICTION_LRU,
    RESIZE,
    FEW_TOMBSTONES,
    SMALL_LIMITS,
];
