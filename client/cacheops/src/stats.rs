//! Counters of one handle.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one handle has counted since it was built: see [`Cacheops::stats`](crate::Cacheops::stats).
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Invalidations in the outbox now: rows and whole tables.
            pub outbox: u64,
            /// Whether the server is asked now. If not, readers go to the database.
            pub available: bool,
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    outbox: 0,
                    available: false,
                }
            }
        }
    };
}

counters! {
    /// Reads answered by the server.
    hits,
    /// Of these, the value was in this process and the server only proved it.
    near_hits,
    /// Reads that ran their loader after asking the server.
    misses,
    /// Reads that were given what another reader of this process had loaded.
    coalesced,
    /// Reads that did not ask: switched off, in a dirty transaction, the server away or not trusted.
    bypasses,
    /// Reads that waited for a lock which somebody else held.
    waits,
    /// Entries that did not decode, and so were misses.
    undecodable,
    /// Results that could not be encoded, or would not have been decoded to what they were.
    unencodable,
    /// Results stored.
    stores,
    /// Results that the server refused, because something they depend on had changed.
    stores_refused,
    /// Results that could not be stored.
    store_errors,
    /// Of these, the server refuses them as they are and would each time: for a limit, its memory or its ACL rules.
    stores_rejected,
    /// Questions that failed.
    read_errors,
    /// Invalidations that the server confirmed.
    invalidations,
    /// The links that they cut, as far as the server told.
    links_cut,
    /// Invalidations that were not confirmed at once and went to the outbox.
    invalidations_queued,
    /// Of these, dropped by the application before they were sent or answered.
    invalidations_dropped,
    /// Invalidations suppressed by `no_invalidation`.
    invalidations_skipped,
    /// Times that the outbox was sent and confirmed.
    replays,
    /// Times that the outbox was too full, refused or too long to send, and rows became tables or tables everything.
    collapses,
    /// Times that the connection was given up.
    breaks,
    /// Times that it came back.
    recoveries,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
