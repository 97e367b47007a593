//! What an application may listen to.

use std::fmt;
use std::time::Duration;

use crate::{Changes, Deps};

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

type OnRead = dyn Fn(&ReadEvent<'_>) + Send + Sync;
type OnInvalidate = dyn Fn(&InvalidateEvent<'_>) + Send + Sync;

#[derive(Default)]
pub(crate) struct Hooks {
    read: Vec<Box<OnRead>>,
    invalidate: Vec<Box<OnInvalidate>>,
}

impl Hooks {
    pub(crate) fn on_read(&mut self, hook: impl Fn(&ReadEvent<'_>) + Send + Sync + 'static) {
        self.read.push(Box::new(hook));
    }

    pub(crate) fn on_invalidate(
        &mut self,
        hook: impl Fn(&InvalidateEvent<'_>) + Send + Sync + 'static,
    ) {
        self.invalidate.push(Box::new(hook));
    }

    pub(crate) fn has_read(&self) -> bool {
        cfg!(feature = "metrics") || !self.read.is_empty()
    }

    pub(crate) fn read(&self, event: &ReadEvent<'_>) {
        #[cfg(feature = "metrics")]
        crate::meter::read(event);
        self.read.iter().for_each(|hook| hook(event));
    }

    pub(crate) fn invalidate(&self, event: &InvalidateEvent<'_>) {
        #[cfg(feature = "metrics")]
        crate::meter::invalidated(event);
        self.invalidate.iter().for_each(|hook| hook(event));
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({} on read, {} on invalidate)", self.read.len(), self.invalidate.len())
    }
}
