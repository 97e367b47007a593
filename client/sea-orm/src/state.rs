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
    pub(crate) writes: AtomicU64,
    /// A statement may have ended the transaction: from then on every write takes effect at once.
    pub(crate) ended: AtomicBool,
    /// Its session may see other rows than those that others call by the same name: it was told to, or a function may
    /// have written some.
    apart: AtomicBool,
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
        let mut stack = TxStack::new();
        stack.begin();
        Self {
            stack: Mutex::new(stack),
            writes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            apart: AtomicBool::new(false),
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

    /// Before a statement that writes nothing by its text: SET, or a SELECT that calls what is not known to be pure.
    pub(crate) fn reads(&self, template: &Template) {
        if matches!(template.kind(), Kind::Session | Kind::Read { volatile: true, .. }) {
            self.apart.store(true, Ordering::SeqCst);
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
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

    /// The database takes its innermost level back, whichever object asks for it. If that is another one, nobody
    /// knows whose writes they were.
    /// What is to be told all the same, if it was the last.
    pub(crate) fn rolled_back(&self, depth: usize) -> Option<Changes> {
        let mut stack = self.stack();
        let innermost = stack.depth();
        if self.keeps || innermost != depth && innermost >= 2 {
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
        if self.apart.load(Ordering::SeqCst) {
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

/// What must be queued, whatever becomes of the statement: its future may be dropped and the transaction go on.
pub(crate) struct Queued<'s> {
    pub(crate) state: &'s State,
    pub(crate) changes: Changes,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.state.stack().record(std::mem::take(&mut self.changes));
    }
}
