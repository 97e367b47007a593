//! The commands as the server describes them: flags, keys, tips, arguments.
//!
//! INVALIDATE and FLUSH are `may-replicate`, not `write`: a server that refuses writes because it could not save (MISCONF) or
//! lacks replicas (NOREPLICAS) goes on answering reads, so it must go on invalidating. Neither they nor REAP is `deny-oom`.
//! CHECK is: it registers schemes that are new.

use crate::ffi::{Arg, ArgKind, CommandSpec, KeySpec};

const fn arg(name: &'static std::ffi::CStr, kind: ArgKind) -> Arg {
    Arg { name, kind, token: None, optional: false, multiple: false }
}

const fn option(
    name: &'static std::ffi::CStr,
    token: &'static std::ffi::CStr,
    kind: ArgKind,
) -> Arg {
    Arg { name, kind, token: Some(token), optional: true, multiple: false }
}

const fn choice(
    name: &'static std::ffi::CStr,
    token: &'static std::ffi::CStr,
    kind: ArgKind,
) -> Arg {
    Arg { name, kind, token: Some(token), optional: false, multiple: false }
}

const EXPIRY: &[Arg] = &[
    choice(c"milliseconds", c"PX", ArgKind::Integer),
    choice(c"unix-time-milliseconds", c"PXAT", ArgKind::UnixTime),
    choice(c"seconds", c"EX", ArgKind::Integer),
    choice(c"unix-time-seconds", c"EXAT", ArgKind::UnixTime),
];
const PAIR: &[Arg] = &[arg(c"table", ArgKind::String), arg(c"condition", ArgKind::String)];
const fn on() -> Arg {
    Arg {
        name: c"dependency",
        kind: ArgKind::Block(PAIR),
        token: Some(c"ON"),
        optional: false,
        multiple: true,
    }
}

pub(crate) const STORE: CommandSpec = CommandSpec {
    name: c"cacheops.store",
    flags: c"write deny-oom fast",
    keys: KeySpec::WriteFirst,
    arity: -6,
    summary: c"Keeps the result of a query together with the conditions it depends on.",
    complexity: c"O(T), T being the terms of all conditions",
    tips: None,
    categories: c"write fast cacheops",
    args: &[
        arg(c"key", ArgKind::Key),
        arg(c"value", ArgKind::String),
        Arg {
            name: c"expiry",
            kind: ArgKind::OneOf(EXPIRY),
            token: None,
            optional: true,
            multiple: false,
        },
        option(c"token", c"TOKEN", ArgKind::Integer),
        option(c"version", c"VERSION", ArgKind::Integer),
        on(),
    ],
};

pub(crate) const GET: CommandSpec = CommandSpec {
    name: c"cacheops.get",
    flags: c"readonly fast blocking",
    keys: KeySpec::ReadFirst,
    arity: -2,
    summary: c"Answers an entry unless something it depends on was invalidated.",
    complexity: c"O(C), C being the conjunctions of the entry; with LOCK, O(log L) more on a miss, L being the locks and who waits for them",
    tips: None,
    categories: c"read fast blocking cacheops",
    args: &[
        arg(c"key", ArgKind::Key),
        option(c"version", c"IFNOT", ArgKind::Integer),
        option(c"token", c"TOKEN", ArgKind::Flag),
        Arg {
            name: c"single-flight",
            kind: ArgKind::Block(&[
                choice(c"hold-milliseconds", c"LOCK", ArgKind::Integer),
                option(c"wait-milliseconds", c"WAIT", ArgKind::Integer),
            ]),
            token: None,
            optional: true,
            multiple: false,
        },
    ],
};

pub(crate) const RELEASE: CommandSpec = CommandSpec {
    name: c"cacheops.release",
    flags: c"readonly fast",
    keys: KeySpec::ReadFirst,
    arity: 3,
    summary: c"Gives up the lock that a GET has answered with this token.",
    complexity: c"O(log L), L being the locks and who waits for them",
    tips: None,
    categories: c"read fast cacheops",
    args: &[arg(c"key", ArgKind::Key), arg(c"token", ArgKind::Integer)],
};

pub(crate) const MGET: CommandSpec = CommandSpec {
    name: c"cacheops.mget",
    flags: c"readonly fast",
    keys: KeySpec::ReadAll,
    arity: -2,
    summary: c"Answers several entries.",
    complexity: c"O(N*C), N being the keys and C their conjunctions",
    tips: Some(c"request_policy:multi_shard"),
    categories: c"read fast cacheops",
    args: &[Arg { name: c"key", kind: ArgKind::Key, token: None, optional: false, multiple: true }],
};

pub(crate) const TOKEN: CommandSpec = CommandSpec {
    name: c"cacheops.token",
    flags: c"readonly fast no-mandatory-keys",
    keys: KeySpec::RouteFirst,
    arity: -1,
    summary: c"Answers the token of now, to be taken before a snapshot is read.",
    complexity: c"O(1)",
    tips: None,
    categories: c"read fast cacheops",
    args: &[Arg { name: c"key", kind: ArgKind::Key, token: None, optional: true, multiple: false }],
};

pub(crate) const CHECK: CommandSpec = CommandSpec {
    name: c"cacheops.check",
    // Clusters find the key of a command by its first arguments only, or ask.
    flags: c"readonly deny-oom fast no-mandatory-keys getkeys-api",
    keys: KeySpec::RouteKeyword,
    arity: -5,
    summary: c"Tells whether nothing that the conditions match was invalidated since a token.",
    complexity: c"O(T), T being the terms of all conditions",
    tips: None,
    categories: c"read fast cacheops",
    args: &[arg(c"token", ArgKind::Integer), option(c"key", c"KEY", ArgKind::Key), on()],
};

pub(crate) const INVALIDATE: CommandSpec = CommandSpec {
    name: c"cacheops.invalidate",
    flags: c"may-replicate fast",
    keys: KeySpec::None,
    arity: -4,
    summary: c"Kills every entry whose condition a changed row satisfies.",
    complexity: c"O(R*S+F), R being the rows, S the schemes of their tables and F their fields, whatever the number of entries",
    tips: Some(c"request_policy:all_shards response_policy:agg_sum"),
    categories: c"write fast cacheops",
    args: &[
        option(c"dryrun", c"DRYRUN", ArgKind::Flag),
        option(c"shard", c"SHARD", ArgKind::Flag),
        on(),
    ],
};

pub(crate) const FLUSH: CommandSpec = CommandSpec {
    name: c"cacheops.flush",
    flags: c"may-replicate fast",
    keys: KeySpec::None,
    arity: -1,
    summary: c"Kills all entries of the selected database, and no other keys.",
    complexity: c"O(1)",
    tips: Some(c"request_policy:all_shards response_policy:agg_sum"),
    categories: c"write fast dangerous cacheops",
    args: &[option(c"shard", c"SHARD", ArgKind::Flag)],
};

pub(crate) const REAP: CommandSpec = CommandSpec {
    name: c"cacheops.reap",
    flags: c"may-replicate admin",
    keys: KeySpec::None,
    arity: -1,
    summary: c"Reclaims dead entries now and audits large conjunctions against the keyspace.",
    complexity: c"O(N), N being the chunk, within one slice of the timer",
    tips: Some(c"request_policy:all_shards response_policy:special"),
    categories: c"admin write slow dangerous cacheops",
    args: &[
        Arg {
            name: c"chunk",
            kind: ArgKind::Integer,
            token: None,
            optional: true,
            multiple: false,
        },
        Arg {
            name: c"min-size",
            kind: ArgKind::Integer,
            token: None,
            optional: true,
            multiple: false,
        },
    ],
};

pub(crate) const EXPLAIN: CommandSpec = CommandSpec {
    name: c"cacheops.explain",
    flags: c"readonly",
    keys: KeySpec::ReadFirst,
    arity: 2,
    summary: c"Tells whether an entry is alive, and why it is not.",
    complexity: c"O(C), C being the conjunctions of the entry, and a bounded search",
    tips: None,
    categories: c"read slow cacheops",
    args: &[arg(c"key", ArgKind::Key)],
};

const ORDER: &[Arg] = &[
    choice(c"fanout", c"FANOUT", ArgKind::Flag),
    choice(c"memory", c"MEMORY", ArgKind::Flag),
    choice(c"invalidations", c"INVALIDATIONS", ArgKind::Flag),
];

pub(crate) const TOP: CommandSpec = CommandSpec {
    name: c"cacheops.top",
    flags: c"readonly",
    keys: KeySpec::None,
    arity: -1,
    summary: c"Lists the conjunctions that cost most.",
    complexity: c"O(1)",
    tips: Some(c"request_policy:all_shards response_policy:special"),
    categories: c"admin slow dangerous cacheops",
    args: &[
        Arg {
            name: c"order",
            kind: ArgKind::OneOf(ORDER),
            token: Some(c"BY"),
            optional: true,
            multiple: false,
        },
        option(c"count", c"COUNT", ArgKind::Integer),
    ],
};

pub(crate) const TABLES: CommandSpec = CommandSpec {
    name: c"cacheops.tables",
    flags: c"readonly",
    keys: KeySpec::None,
    arity: 1,
    summary: c"Lists the tables that entries depend on.",
    complexity: c"O(N), N being the schemes of all tables",
    tips: Some(c"request_policy:all_shards response_policy:special"),
    categories: c"admin slow dangerous cacheops",
    args: &[],
};

pub(crate) const VERSION: CommandSpec = CommandSpec {
    name: c"cacheops.version",
    flags: c"readonly fast allow-loading allow-stale",
    keys: KeySpec::None,
    arity: 1,
    summary: c"Tells the version of the module, of its grammar, and what it can do.",
    complexity: c"O(1)",
    tips: None,
    categories: c"fast connection cacheops",
    args: &[],
};

#[cfg(feature = "panic-injection")]
pub(crate) const PANIC: CommandSpec = CommandSpec {
    name: c"cacheops.panic",
    flags: c"admin",
    keys: KeySpec::None,
    arity: 2,
    summary: c"Panics at a place of the module, for its tests.",
    complexity: c"O(1)",
    tips: None,
    categories: c"admin dangerous cacheops",
    args: &[arg(c"place", ArgKind::String)],
};
