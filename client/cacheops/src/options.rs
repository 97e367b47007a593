//! How one read is made.

use std::time::Duration;

use crate::Deps;
use crate::snapshot::Snapshot;

/// The table on which results depend that can be forgotten one by one. Deleting the key would not do: who computes at
/// that moment would store an older result afterwards, and hand it to readers that asked later.
pub(crate) const NAMED_TABLE: &str = "cacheops:named";

#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub(crate) deps: Deps,
    pub(crate) ttl: Duration,
    pub(crate) lock: bool,
    pub(crate) near: bool,
    pub(crate) alone: bool,
    pub(crate) bypass: bool,
    /// The result can be forgotten by its key.
    pub(crate) named: bool,
    pub(crate) op: &'a str,
    pub(crate) snapshot: Option<&'a Snapshot>,
}
