//! What a transaction and its savepoints share: their changes, the snapshot of the transaction, and whether it is still
//! open.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cacheops::{Cacheops, Changes, Snapshot, TxStack};
use cacheops_sql::{Dialect, Kind, Template, Transaction, WriteKind};
use tokio::sync::OnceCell;

use crate::driver::ErrorClass;

/// What a transaction and its savepoints share. An adapter makes one before `BEGIN`.
#[derive(Debug)]
pub struct TxState {
    dialect: Dialect,
    stack: Mutex<TxStack>,
    /// How many statements other than reads were begun.
    writes: AtomicU64,
    /// How many of them have not ended.
    running: AtomicU64,
    /// A statement may have ended the transaction: from then on every write takes effect at once.
    ended: AtomicBool,
    /// Its session may see other rows than other sessions do: of its own settings, or since a function may have
    /// written some.
    bypassed: AtomicBool,
    /// It locks what it reads: then it must see what was committed before, which may not be invalidated yet.
    locks: AtomicBool,
    /// The snapshot before the first statement: no result of this transaction is newer. None: it is not known.
    snapshot: OnceCell<Option<Snapshot>>,
    visibility: Visibility,
    /// Rows may stay when they are rolled back: some engines of MySQL know no transactions.
    keeps_rows: bool,
    /// Reading first cannot make a later write fail.
    may_read_first: bool,
}

/// The isolation level that the application has chosen for a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// None: the settings of the server decide, and they are not known.
    #[default]
    Unspecified,
    /// `READ UNCOMMITTED`.
    ReadUncommitted,
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`.
    Serializable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visibility {
    /// Every statement sees what is committed when it begins.
    Statement,
    /// Every statement may see what was committed when the first began.
    Snapshot,
    /// Every statement may see what is never committed.
    Uncommitted,
}

impl TxState {
    /// The state of a transaction that is about to begin. On SQLite, `immediate` says whether it begins with a lock
    /// (`BEGIN IMMEDIATE` or `EXCLUSIVE`); elsewhere it does not count.
    pub fn new(dialect: Dialect, isolation: Isolation, immediate: bool) -> Self {
        let sqlite = dialect == Dialect::Sqlite;
        let visibility = match isolation {
            Isolation::ReadUncommitted if dialect == Dialect::MySql => Visibility::Uncommitted,
            Isolation::ReadCommitted | Isolation::ReadUncommitted if !sqlite => {
                Visibility::Statement
            }
            _ => Visibility::Snapshot,
        };
        // SQLite refuses to write in a transaction that has read what is old by now.
        let may_read_first = !sqlite || immediate;
        let locks = if sqlite { immediate } else { isolation == Isolation::Serializable };
        let mut stack = TxStack::new();
        stack.begin();
        Self {
            dialect,
            stack: Mutex::new(stack),
            writes: AtomicU64::new(0),
            running: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            bypassed: AtomicBool::new(false),
            locks: AtomicBool::new(locks),
            snapshot: OnceCell::new(),
            visibility,
            keeps_rows: dialect == Dialect::MySql,
            may_read_first,
        }
    }

    fn stack(&self) -> MutexGuard<'_, TxStack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a level: after the database has opened the savepoint. Its depth, for [`Level`](crate::Level).
    pub(crate) fn begin_level(&self) -> usize {
        self.stack().begin()
    }

    /// Whether the transaction has written, or may have.
    pub fn is_dirty(&self) -> bool {
        self.stack().is_dirty()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Before a statement that writes. A reader that looks after that finds the transaction dirty, and one that has
    /// looked before finds another count of writes.
    pub(crate) fn begin_write(&self) -> QueuedWrite<'_> {
        let mut stack = self.stack();
        let alone = self.running.fetch_add(1, Ordering::SeqCst) == 0;
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        stack.mark_dirty();
        QueuedWrite { state: self, depth: stack.depth(), number, alone, changes: Changes::new() }
    }

    /// Before a level is rolled back: which writes are in it for certain. None if one of them runs by now, and may come
    /// behind it.
    pub(crate) fn written(&self) -> Option<u64> {
        let _stack = self.stack();
        (self.running.load(Ordering::SeqCst) == 0).then(|| self.writes())
    }

    /// Whether the session may be another than when the transaction began.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.bypassed.load(Ordering::SeqCst)
    }

    pub(crate) fn may_read_first(&self) -> bool {
        self.may_read_first
    }

    /// Before a statement that is a read by its text: SET, or a SELECT that calls what is not known to be pure, or
    /// locks rows.
    pub fn before_read(&self, template: &Template) {
        if let Kind::Read { locking: true, .. } = template.kind() {
            self.locks.store(true, Ordering::SeqCst);
        }
        if let Kind::Session | Kind::Read { volatile: true, .. } = template.kind() {
            self.bypass();
        }
    }

    /// From now on the transaction neither reads from the cache nor fills it: the application has its connection without
    /// the cache.
    pub fn bypass(&self) {
        self.bypassed.store(true, Ordering::SeqCst);
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    /// After a statement that failed: not every error leaves the transaction open.
    pub fn failed(&self, class: ErrorClass) {
        let open = match self.dialect {
            Dialect::Postgres => true,
            // A deadlock ends it, a constraint does not.
            Dialect::MySql => class == ErrorClass::Constraint,
            // So does a constraint ON CONFLICT ROLLBACK, which the schema may have.
            _ => false,
        };
        if !open {
            self.end();
        }
    }

    /// A statement may have ended the transaction.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// All that the transaction has changed so far, which stays queued.
    pub(crate) fn queued(&self) -> Changes {
        self.stack().clone().commit(1).unwrap_or_default()
    }

    /// Whether a statement may end the transaction in which it runs, whatever the program believes.
    pub fn may_end(&self, template: &Template) -> bool {
        match template.kind() {
            Kind::Other => true,
            Kind::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. }) => true,
            // MySQL commits before definitions and much else.
            Kind::Transaction(Transaction::Begin)
            | Kind::Ddl
            | Kind::Session
            | Kind::Write(WriteKind::Truncate) => self.dialect == Dialect::MySql,
            _ => false,
        }
    }

    /// The database has rolled its innermost level back, whichever object requested it. If that is another one, it is not
    /// known whose writes they were, nor if others than these were [written](Self::written).
    /// What must be sent all the same, if it was the last.
    pub(crate) fn rolled_back(&self, depth: usize, written: Option<u64>) -> Option<Changes> {
        let mut stack = self.stack();
        let innermost = stack.depth();
        let others = written != Some(self.writes());
        if self.keeps_rows || others || innermost != depth && innermost >= 2 {
            return stack.commit(innermost);
        }
        stack.rollback(innermost);
        None
    }

    /// The database ends its innermost level. What must be sent if it was the last.
    pub(crate) fn committed(&self) -> Option<Changes> {
        let mut stack = self.stack();
        let innermost = stack.depth();
        stack.commit(innermost)
    }

    /// Before the first statement of a transaction, whatever it is. A transaction that begins with a write has no use for
    /// a snapshot.
    pub async fn before_statement(&self, cacheops: &Cacheops, reads: bool) {
        if self.visibility == Visibility::Snapshot && !self.snapshot.initialized() {
            let take = async || if reads { Some(cacheops.snapshot().await) } else { None };
            self.snapshot.get_or_init(take).await;
        }
    }

    /// The snapshot by which a read of now is stored, if one is needed. `Err`: the read must not be stored.
    pub(crate) async fn snapshot(&self, cacheops: &Cacheops) -> Result<Option<&Snapshot>, ()> {
        if self.is_bypassed() || self.locks.load(Ordering::SeqCst) {
            return Err(());
        }
        match self.visibility {
            Visibility::Statement => return Ok(None),
            Visibility::Uncommitted => return Err(()),
            Visibility::Snapshot => {}
        }
        self.before_statement(cacheops, true).await;
        match self.snapshot.get() {
            Some(Some(snapshot)) => Ok(Some(snapshot)),
            _ => Err(()),
        }
    }
}

/// A write that runs. Its changes are queued when it has ended, however: its future may be dropped and the transaction
/// go on.
#[derive(Debug)]
pub(crate) struct QueuedWrite<'s> {
    state: &'s TxState,
    depth: usize,
    number: u64,
    /// No other write was running.
    alone: bool,
    pub(crate) changes: Changes,
}

impl QueuedWrite<'_> {
    /// Whether no other write of the transaction has come between its steps.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.alone && self.state.writes() == self.number
    }
}

impl Drop for QueuedWrite<'_> {
    fn drop(&mut self) {
        let mut stack = self.state.stack();
        stack.record_at(self.depth, std::mem::take(&mut self.changes));
        self.state.running.fetch_sub(1, Ordering::SeqCst);
    }
}
