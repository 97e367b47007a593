//! How one read uses the cache.

use std::time::Duration;

use cacheops::{Ops, Profile, Read, Snapshot};

/// How the application wants one read to use the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether it uses the cache.
    pub mode: Mode,
    /// How long the result lives, in the place of the profile's.
    pub ttl: Option<Duration>,
    /// Whether one process loads a missing result while the others wait, in the place of the profile's.
    pub lock: Option<bool>,
    /// Only these operations are cached, whatever the profile says.
    pub ops: Option<Ops>,
}

/// Whether a read uses the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the profile of the table says.
    Profile,
    /// Whatever operations the profile has: `.cache()`.
    Forced,
    /// Not at all.
    Off,
}

impl Options {
    /// Options with nothing but a mode.
    pub fn new(mode: Mode) -> Self {
        Self { mode, ttl: None, lock: None, ops: None }
    }
}

/// A read's [`Options`], with the operation that it is and the table whose profile decides.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// The options.
    pub options: &'a Options,
    /// The table of its profile; none if the statement's first table is to decide.
    pub table: Option<String>,
    /// The operation.
    pub op: Ops,
}

impl<'o> Rules<'o> {
    /// Those of a read of rows.
    pub fn fetch(options: &'o Options, table: Option<String>) -> Self {
        Self { options, table, op: Ops::FETCH }
    }

    /// Whether options and profile allow this read to use the cache.
    pub(crate) fn allow(&self, profile: Option<&Profile>) -> bool {
        match (self.options.mode, self.options.ops) {
            (Mode::Off, _) => false,
            (_, Some(ops)) => ops.contains(self.op),
            (Mode::Forced, None) => true,
            (Mode::Profile, None) => profile.is_some_and(|of| of.get_ops().contains(self.op)),
        }
    }

    /// Whether the application has named this read as one to be cached.
    pub(crate) fn is_explicit(&self) -> bool {
        self.options.mode == Mode::Forced
    }

    pub(crate) fn apply<'r, C>(
        &self,
        mut read: Read<'r, C>,
        snapshot: Option<&'r Snapshot>,
    ) -> Read<'r, C> {
        if let Some(ttl) = self.options.ttl {
            read = read.ttl(ttl);
        }
        if let Some(lock) = self.options.lock {
            read = read.lock(lock);
        }
        if let Some(snapshot) = snapshot {
            read = read.snapshot(snapshot);
        }
        read
    }
}
