//! What a transaction and its savepoints share: levels, the moment of its snapshot, and whether it is still there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cacheops::{Cacheops, Changes, Snapshot, TxStack};
use cacheops_sql::{Kind, Template};
use sea_orm::{DbBackend, DbErr, IsolationLevel, SqliteTransactionMode, TransactionOptions};
use tokio::sync::OnceCell;

use crate::saving::SavedRows;

/// What a transaction and its savepoints share.
pub struct State {
    stack: Mutex<TxStack>,
    /// How many statements other than reads were begun.
    writes: AtomicU64,
    /// How many of them have not ended.
    running: AtomicU64,
    /// A statement may have ended the transaction: from then on every write takes effect at once.
    pub(crate) ended: AtomicBool,
    /// Its session may see other rows than those that others call by the same name: it was told to, or a function may
    /// have written some.
    apart: AtomicBool,
    /// It locks what it reads: then it must see what was committed before, and others may not have told that yet.
    locks: AtomicBool,
    /// The moment before the first statement: no result of this transaction is newer. None: it is not known.
    moment: OnceCell<Option<Snapshot>>,
    isolation: Isolation,
    /// Rows may stay when they are rolled back: some engines of MySQL know no transactions.
    keeps: bool,
    /// Reading first cannot make a later write fail.
    pub(crate) may_read_first: bool,
    pub(crate) saved: SavedRows,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// Every statement sees what is committed when it begins.
    Statement,
    /// Every statement may see what was committed when the first began.
    Snapshot,
    /// Every statement may see what is never committed.
    Nothing,
}

impl State {
    pub(crate) fn new(backend: DbBackend, options: &TransactionOptions) -> Self {
        // Without a word the server's settings decide, and they are not known here.
        let isolation = match options.isolation_level {
            Some(IsolationLevel::ReadUncommitted) if backend == DbBackend::MySql => {
                Isolation::Nothing
            }
            Some(IsolationLevel::ReadCommitted | IsolationLevel::ReadUncommitted)
                if backend != DbBackend::Sqlite =>
            {
                Isolation::Statement
            }
            _ => Isolation::Snapshot,
        };
        // SQLite refuses to write in a transaction that has read what is old by now.
        let may_read_first = backend != DbBackend::Sqlite
            || matches!(
                options.sqlite_transaction_mode,
                Some(SqliteTransactionMode::Immediate | SqliteTransactionMode::Exclusive)
            );
        let locks = match backend {
            DbBackend::Sqlite => may_read_first,
            _ => options.isolation_level == Some(IsolationLevel::Serializable),
        };
        let mut stack = TxStack::new();
        stack.begin();
        Self {
            stack: Mutex::new(stack),
            writes: AtomicU64::new(0),
            running: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            apart: AtomicBool::new(false),
            locks: AtomicBool::new(locks),
            moment: OnceCell::new(),
            isolation,
            keeps: backend == DbBackend::MySql,
            may_read_first,
            saved: SavedRows::default(),
        }
    }

    pub(crate) fn stack(&self) -> MutexGuard<'_, TxStack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.stack().is_dirty()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Before a statement that writes. Whoever looks after that finds the transaction dirty, and who has looked before finds
    /// another count of writes.
    pub(crate) fn writing(&self) -> Queued<'_> {
        let mut stack = self.stack();
        let alone = self.running.fetch_add(1, Ordering::SeqCst) == 0;
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        stack.mark_dirty();
        Queued { state: self, depth: stack.depth(), number, alone, changes: Changes::new() }
    }

    /// Before a level is rolled back: which writes are in it for certain. None if one of them runs by now, and may come
    /// behind it.
    pub(crate) fn written(&self) -> Option<u64> {
        let _stack = self.stack();
        (self.running.load(Ordering::SeqCst) == 0).then(|| self.writes())
    }

    /// Whether the session may be another than when the transaction began.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart.load(Ordering::SeqCst)
    }

    /// Before a statement that writes nothing by its text: SET, or a SELECT that calls what is not known to be pure, or
    /// locks rows.
    pub(crate) fn reads(&self, template: &Template) {
        if let Kind::Read { locking: true, .. } = template.kind() {
            self.locks.store(true, Ordering::SeqCst);
        }
        if let Kind::Session | Kind::Read { volatile: true, .. } = template.kind() {
            self.pass_by();
        }
    }

    /// Its session may be used by others than this object: nothing of it is for the cache any more.
    pub(crate) fn pass_by(&self) {
        self.apart.store(true, Ordering::SeqCst);
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    /// After a statement that failed: not every error leaves the transaction open.
    pub(crate) fn failed(&self, backend: DbBackend, error: &DbErr) {
        let open = match backend {
            DbBackend::Postgres => true,
            // A deadlock ends it, a constraint does not.
            DbBackend::MySql => error.sql_err().is_some(),
            // So does a constraint ON CONFLICT ROLLBACK, which the schema may have.
            _ => false,
        };
        if !open {
            self.ended.store(true, Ordering::SeqCst);
        }
    }

    /// The database has taken its innermost level back, whichever object asked for it. If that is another one, nobody
    /// knows whose writes they were, nor if others than these were [written](Self::written).
    /// What is to be told all the same, if it was the last.
    pub(crate) fn rolled_back(&self, depth: usize, written: Option<u64>) -> Option<Changes> {
        let mut stack = self.stack();
        let innermost = stack.depth();
        let others = written != Some(self.writes());
        if self.keeps || others || innermost != depth && innermost >= 2 {
            return stack.commit(innermost);
        }
        stack.rollback(innermost);
        None
    }

    /// The database ends its innermost level. What is to be told if it was the last.
    pub(crate) fn committed(&self) -> Option<Changes> {
        let mut stack = self.stack();
        let innermost = stack.depth();
        stack.commit(innermost)
    }

    /// Before the first statement of a transaction, whatever it is.
    pub(crate) async fn before_statement(&self, cacheops: &Cacheops, reads: bool) {
        if self.isolation == Isolation::Snapshot && !self.moment.initialized() {
            let take = async || if reads { Some(cacheops.snapshot().await) } else { None };
            self.moment.get_or_init(take).await;
        }
    }

    /// The snapshot by which a read of now is stored. `Err`: it must not be stored.
    pub(crate) async fn moment(&self, cacheops: &Cacheops) -> Result<Option<&Snapshot>, ()> {
        if self.is_apart() || self.locks.load(Ordering::SeqCst) {
            return Err(());
        }
        match self.isolation {
            Isolation::Statement => return Ok(None),
            Isolation::Nothing => return Err(()),
            Isolation::Snapshot => {}
        }
        self.before_statement(cacheops, true).await;
        match self.moment.get() {
            Some(Some(snapshot)) => Ok(Some(snapshot)),
            _ => Err(()),
        }
    }
}

/// What must be queued when a write has ended, whatever becomes of it: its future may be dropped and the transaction go on.
pub(crate) struct Queued<'s> {
    state: &'s State,
    depth: usize,
    number: u64,
    /// No other write was running.
    alone: bool,
    pub(crate) changes: Changes,
}

impl Queued<'_> {
    /// Whether no other write of the transaction has come between its steps.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.alone && self.state.writes() == self.number
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut stack = self.state.stack();
        stack.record_at(self.depth, std::mem::take(&mut self.changes));
        self.state.running.fetch_sub(1, Ordering::SeqCst);
    }
}
