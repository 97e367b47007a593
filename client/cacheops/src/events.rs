//! What an application may observe: reads, stores and invalidations.

use std::time::Duration;

use crate::{Changes, Deps, Error};

/// One read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadEvent<'a> {
    /// The kind of read: `get`, `fetch`, `count`, ..., as the adapter names it.
    pub op: &'a str,
    /// The whole key, prefix and namespace included.
    pub key: &'a [u8],
    /// What it depends on, as far as it was known before the read.
    pub deps: &'a Deps,
    /// How it was answered.
    pub outcome: ReadOutcome,
    /// How long it took, loader included.
    pub elapsed: Duration,
}

/// How a read was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadOutcome {
    /// From the server.
    Hit,
    /// From this process, proven by the server.
    NearHit,
    /// Loaded, after the server had nothing.
    Miss,
    /// By what another reader of this process loaded meanwhile.
    Coalesced,
    /// Loaded, without asking the server.
    Bypass,
    /// Loaded, after the server could not be asked.
    Error,
}

impl ReadOutcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::NearHit => "near_hit",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::Bypass => "bypass",
            Self::Error => "error",
        }
    }
}

/// One result that was to be stored after a miss.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreEvent<'a> {
    /// The kind of read: `get`, `fetch`, `count`, ..., as the adapter names it.
    pub op: &'a str,
    /// The whole key, prefix and namespace included.
    pub key: &'a [u8],
    /// What it depends on.
    pub deps: &'a Deps,
    /// What became of it.
    pub outcome: StoreOutcome<'a>,
}

/// What became of a result that was to be stored. Whatever it is, the caller of the read has the result.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StoreOutcome<'a> {
    /// It is an entry now.
    Stored,
    /// Not stored, since something that it depends on may have changed while it was loaded; or since it needs another table
    /// and the server tracks `cacheops.max-tables` already.
    Refused,
    /// Not stored, since the server refuses it as it is, and would each time: it is beyond a limit (of the length of key or
    /// value, of conjunctions or terms), the server's memory is full, or its ACL rules forbid it.
    Rejected(&'a Error),
    /// Not stored, since it cannot be encoded, or would not be decoded to what it was.
    Unencodable(&'a Error),
    /// Not stored, since the server is away or takes no writes now.
    Failed(&'a Error),
}

impl StoreOutcome<'_> {
    #[cfg(feature = "metrics")]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Rejected(_) => "rejected",
            Self::Unencodable(_) => "unencodable",
            Self::Failed(_) => "error",
        }
    }
}

/// One invalidation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InvalidateEvent<'a> {
    /// What changed.
    pub changes: &'a Changes,
    /// What became of it.
    pub outcome: Invalidated,
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidated {
    /// Confirmed by the server, which cut so many links: at least the entries that died. 0 if it had to be repeated; a
    /// hook was told that it is queued then.
    Confirmed(u64),
    /// The server could not be told. It is in the outbox, and until it has been sent this process
    /// reads from the database.
    Queued,
    /// Nothing was to be told, or `no_invalidation` is on.
    Skipped,
}
