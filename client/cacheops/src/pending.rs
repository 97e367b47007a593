//! An invalidation that cannot be lost.

use std::sync::Arc;

use crate::core::Core;
use crate::events::{InvalidateEvent, Invalidated};
use crate::scope;
use crate::stats::count;
use crate::{Changes, Error, ErrorKind};

/// What must be told to the cache, made *before* the statement that changes the database runs.
///
/// A future may be dropped at any `await`: a client hangs up, a timeout fires. If that happens while
/// the statement runs, nobody knows whether it took effect. A `Pending` that is dropped without
/// [`send`](Self::send) or [`cancel`](Self::cancel) therefore goes to the outbox, and until it has
/// been sent this process trusts no hit. To invalidate too much is harmless.
///
/// ```no_run
/// # use cacheops::{Cacheops, Changes, Row};
/// # async fn execute(_sql: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(cacheops: Cacheops) -> Result<(), Box<dyn std::error::Error>> {
/// let mut pending = cacheops.pending(Changes::table("post")); // the most that can have changed
/// execute("UPDATE post SET author = 8 WHERE id = 42").await?;
/// let row = Row::new().set("id", 42);
/// let mut changes = Changes::new(); // and now what did
/// changes.add_change("post", &row.clone().set("author", 7), &row.set("author", 8));
/// pending.replace(changes);
/// pending.send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a pending invalidation that is dropped is sent in the background"]
pub struct Pending {
    core: Arc<Core>,
    changes: Changes,
    /// `no_invalidation` was on when it was made.
    skipped: bool,
}

impl Pending {
    pub(crate) fn new(core: Arc<Core>, changes: Changes, skipped: bool) -> Self {
        Self { core, changes, skipped: skipped || scope::is_suppressed() }
    }

    /// What will be told.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Adds to what will be told.
    pub fn add(&mut self, changes: Changes) {
        self.changes.merge(changes);
    }

    /// Tells something else: what is known now in the place of what was feared.
    pub fn replace(&mut self, changes: Changes) {
        self.changes = changes;
    }

    /// Forgets it. Only where it is certain that nothing changed: the statement failed, or the
    /// transaction was rolled back.
    pub fn cancel(mut self) {
        self.changes = Changes::new();
    }

    /// Takes what is to be told, to be told by somebody else: the queue of a transaction.
    pub fn take(mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Tells the cache. Dropped before it is done, it goes to the outbox.
    ///
    /// # Errors
    ///
    /// Only with [`strict`](crate::Builder::strict): why the server did not confirm it. It is in the
    /// outbox nevertheless, and [`Error::is_unconfirmed`] is true.
    pub async fn send(mut self) -> Result<Invalidated, Error> {
        if self.changes.is_empty() || self.is_silent() {
            if !self.changes.is_empty() {
                count(&self.core.link.counters.invalidations_skipped);
            }
            self.changes = Changes::new();
            return Ok(Invalidated::Skipped);
        }
        let told = self.core.send(&self.changes).await;
        let changes = std::mem::take(&mut self.changes);
        let hooks = &self.core.hooks;
        match told {
            Ok(links) => {
                let outcome = Invalidated::Confirmed(links);
                hooks.invalidate(&InvalidateEvent { changes: &changes, outcome });
                Ok(outcome)
            }
            Err(error) => {
                // A hook may panic: by then nothing may be lost any more.
                self.core.link.queue(changes.clone());
                let outcome = Invalidated::Queued;
                hooks.invalidate(&InvalidateEvent { changes: &changes, outcome });
                // An idle connection that somebody has closed: the next one may do at once.
                let reset = error.kind() == ErrorKind::Connection;
                if reset && self.core.link.settled_at_once().await {
                    return Ok(Invalidated::Confirmed(0));
                }
                if self.core.strict {
                    Err(error.into_unconfirmed())
                } else {
                    Ok(Invalidated::Queued)
                }
            }
        }
    }

    /// The same, but `no_invalidation` counts too if it is on by now: the future that it runs may have been made
    /// before.
    pub(crate) async fn send_unless_suppressed(mut self) -> Result<Invalidated, Error> {
        self.skipped |= scope::is_suppressed();
        self.send().await
    }

    /// Nobody shall hear of it.
    fn is_silent(&self) -> bool {
        self.skipped || !self.core.enabled
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.changes.is_empty() || self.is_silent() {
            return;
        }
        count(&self.core.link.counters.invalidations_dropped);
        let changes = std::mem::take(&mut self.changes);
        self.core.link.queue(changes.clone());
        // A second panic would end the process.
        if !std::thread::panicking() {
            let outcome = Invalidated::Queued;
            self.core.hooks.invalidate(&InvalidateEvent { changes: &changes, outcome });
        }
    }
}
