//! Transactions: what waits for a commit, and whether the cache may be used meanwhile.

use crate::Changes;

/// The state of one database transaction and its savepoints. Pure: an adapter drives it, and does
/// what it says.
///
/// It belongs to the transaction object, never to a thread or task.
///
/// * [`begin`](Self::begin) opens a level: the transaction, then savepoints in it.
/// * [`mark_dirty`](Self::mark_dirty) comes *before* a write is executed. From then on the
///   transaction sees rows that nobody else does, so it neither reads from the cache nor stores.
/// * [`record`](Self::record) queues what changed; nobody else can see it yet.
/// * [`commit`](Self::commit) of a savepoint hands queue and dirt to the level around it. That of
///   the transaction returns the queue: make a [`Pending`](crate::Pending) of it before COMMIT runs,
///   and send it afterwards. If COMMIT fails or is interrupted, nobody knows what became of it: let
///   it be sent too.
/// * [`rollback`](Self::rollback), or a drop without commit, forgets the level.
///
/// Levels are named by their depth, so that an object which is dropped ends its own level and what
/// was left open in it, whatever else has happened.
///
/// ```
/// use cacheops::{Changes, TxStack};
///
/// let mut tx = TxStack::new();
/// let outer = tx.begin();
/// let savepoint = tx.begin();
/// tx.mark_dirty();
/// assert!(tx.record(Changes::table("post")).is_none()); // queued
/// assert!(tx.commit(savepoint).is_none());
/// assert!(tx.is_dirty());
/// assert_eq!(tx.commit(outer), Some(Changes::table("post"))); // send it after COMMIT
/// ```
#[derive(Clone, Debug, Default)]
pub struct TxStack {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    dirty: bool,
    queue: Changes,
}

impl TxStack {
    /// Outside of any transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a level and returns its depth: 1 for the transaction, more for a savepoint.
    pub fn begin(&mut self) -> usize {
        self.levels.push(Level::default());
        self.levels.len()
    }

    /// How many levels are open.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Whether the transaction has written: then the cache is neither read nor filled.
    pub fn is_dirty(&self) -> bool {
        self.levels.iter().any(|level| level.dirty)
    }

    /// Notes that a write is about to run. Outside of a transaction there is nothing to note.
    pub fn mark_dirty(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.dirty = true;
        }
    }

    /// Queues what changed. Outside of a transaction it comes back, to be sent now.
    pub fn record(&mut self, changes: Changes) -> Option<Changes> {
        self.record_at(self.levels.len(), changes)
    }

    /// The same for a statement that began at this depth: a level that was opened while it ran may be taken back without
    /// it.
    pub fn record_at(&mut self, depth: usize, changes: Changes) -> Option<Changes> {
        let innermost = self.levels.len();
        match self.levels.get_mut(depth.clamp(1, innermost.max(1)) - 1) {
            Some(level) => {
                level.queue.merge(changes);
                None
            }
            None => Some(changes),
        }
    }

    /// Ends the level of this depth for good, with the levels still open in it.
    ///
    /// A savepoint gives its queue to the level around it. The transaction itself returns it. None
    /// also where the level has ended before.
    pub fn commit(&mut self, depth: usize) -> Option<Changes> {
        if depth == 0 || depth > self.levels.len() {
            return None;
        }
        let mut ended = Level::default();
        for level in self.levels.drain(depth - 1..) {
            ended.dirty |= level.dirty;
            ended.queue.merge(level.queue);
        }
        match self.levels.last_mut() {
            Some(around) => {
                around.dirty |= ended.dirty;
                around.queue.merge(ended.queue);
                None
            }
            None => Some(ended.queue),
        }
    }

    /// Ends the level of this depth, and what is still open in it, as if it had never begun.
    pub fn rollback(&mut self, depth: usize) {
        if depth > 0 {
            self.levels.truncate(depth - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_belongs_to_the_level_at_which_it_began() {
        let mut tx = TxStack::new();
        let outer = tx.begin();
        tx.mark_dirty();
        let savepoint = tx.begin();
        assert!(tx.record_at(outer, Changes::table("post")).is_none());
        tx.rollback(savepoint);
        // The level has ended: it is one of what is around it.
        assert!(tx.record_at(savepoint, Changes::table("tag")).is_none());

        let mut both = Changes::table("post");
        both.add_table("tag");
        assert_eq!(tx.commit(outer), Some(both.clone()));
        assert_eq!(tx.record_at(outer, both.clone()), Some(both));
    }
}
