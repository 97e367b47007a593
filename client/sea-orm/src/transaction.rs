//! A transaction whose writes are told to the cache after its commit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use cacheops::{Cacheops, Changes, Pending};
use cacheops_sql::{Kind, OwnedConjunction, Template, Transaction, WriteKind};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, Statement, StreamTrait, TransactionError, TransactionOptions, TransactionSession,
    TransactionTrait,
};

use crate::before::Before;
use crate::change::{Shown, Write};
use crate::confirmed::told;
use crate::connection::Shared;
use crate::finish::Finish;
use crate::rows::{self, Row};
use crate::run::{Ran, Run};
use crate::source::{Context, Outer, Source};
use crate::state::State;

/// A transaction or savepoint of a [`CachedConn`](crate::CachedConn).
///
/// Reads use the cache until the transaction writes; from then on, it neither reads from it nor fills it. What it
/// changes is told to the cache after the outermost commit. Dropped without commit, it is rolled back and nothing is
/// told.
pub struct CachedTxn {
    inner: Option<DatabaseTransaction>,
    cacheops: Cacheops,
    shared: Arc<Shared>,
    state: Arc<State>,
    depth: usize,
}

impl CachedTxn {
    pub(crate) fn new(
        inner: DatabaseTransaction,
        cacheops: Cacheops,
        shared: Arc<Shared>,
        state: State,
    ) -> Self {
        Self { inner: Some(inner), cacheops, shared, state: Arc::new(state), depth: 1 }
    }

    /// The transaction without the cache, which does not see what is written through it. So from this call on, the
    /// transaction neither reads from the cache nor fills it.
    pub fn inner(&self) -> &DatabaseTransaction {
        self.state.pass_by();
        self.plain()
    }

    /// The same for statements that were looked at.
    pub(crate) fn plain(&self) -> &DatabaseTransaction {
        // It is taken only by the calls that consume this object.
        self.inner.as_ref().expect("the transaction has not ended")
    }

    /// Runs a statement, and queues what it changes.
    pub(crate) async fn run(&self, run: Run) -> Result<Ran, DbErr> {
        let template = self.shared.analyser.analyse(run.sql());
        let state = &*self.state;
        if matches!(template.kind(), Kind::Read { .. } | Kind::Session)
            && !self.shared.may_end(&template)
        {
            state.before_statement(&self.cacheops, true).await;
            state.reads(&template);
            #[cfg(feature = "self-check")]
            if self.shared.checks {
                Box::pin(crate::checking::check(self.context(), &template, &run)).await;
            }
            let ran = run.on(self.plain()).await;
            return ran.inspect_err(|error| state.failed(self.shared.backend, error));
        }
        self.write(&template, run, Before::NotAsked).await
    }

    /// Runs what is not a read.
    pub(crate) async fn write(
        &self,
        template: &Template,
        run: Run,
        before: Before,
    ) -> Result<Ran, DbErr> {
        let state = &*self.state;
        // A transaction that begins with a write has no use for a token.
        state.before_statement(&self.cacheops, false).await;
        let write = Write::new(template, run.statement());
        let was_dirty = state.is_dirty();
        let mut queued = state.writing();
        let invalidates = self.cacheops.invalidates();
        let feared = if invalidates { write.feared(&self.shared) } else { Changes::new() };
        // What is visible before the outermost commit must not wait for it.
        let mut visible = Changes::new();
        if self.shared.may_end(template) {
            state.ended.store(true, Ordering::SeqCst);
            visible = state.stack().clone().commit(1).unwrap_or_default();
        }
        let ended = state.ended.load(Ordering::SeqCst);
        if ended {
            visible.merge(feared.clone());
        }
        let visible = self.cacheops.pending(visible);
        queued.changes = feared;
        let may_ask = invalidates && !ended && (was_dirty || state.may_read_first);
        let rows = match before {
            Before::Asked(rows) => rows,
            Before::NotAsked if !may_ask => None,
            Before::NotAsked => match self.shared.query_before(template, &run) {
                Some(query) => self.rows_before(template, query).await?,
                None => None,
            },
        };
        let ran = run.write_on(self.plain()).await;
        if let Err(error) = &ran {
            state.failed(self.shared.backend, error);
        }
        if let Ok(ran) = &ran {
            state.saved.add(self.shared.saving.saved(&self.cacheops, template, &run, ran));
        }
        // Another write of the same transaction is stopped by no lock.
        let rows = rows.filter(|_| queued.is_undisturbed());
        if let Ok(ran) = &ran
            && invalidates
            && let Some(shown) = self.shared.shown(template, ran, rows)
            && let Some(exact) = write.exact(&self.shared, &shown)
        {
            queued.changes = exact;
        }
        drop(queued);
        // An error too may come after the end: MySQL commits before it looks at a definition.
        told(visible.send().await)?;
        ran
    }

    /// Opens a savepoint.
    async fn savepoint(&self, options: TransactionOptions) -> Result<Self, DbErr> {
        self.state.before_statement(&self.cacheops, true).await;
        let inner = self.plain().begin_with_options(options).await?;
        let depth = self.state.stack().begin();
        Ok(Self {
            inner: Some(inner),
            cacheops: self.cacheops.clone(),
            shared: Arc::clone(&self.shared),
            state: Arc::clone(&self.state),
            depth,
        })
    }

    pub(crate) async fn end<T, E>(self, result: Result<T, E>) -> Result<T, TransactionError<E>>
    where
        E: std::fmt::Display + std::fmt::Debug,
    {
        match result {
            Ok(value) => {
                self.commit().await.map_err(TransactionError::Connection)?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await.map_err(TransactionError::Connection)?;
                Err(TransactionError::Transaction(error))
            }
        }
    }

    /// Calls a function with a transaction, which is committed if the function succeeds.
    pub(crate) async fn scoped<F, T, E>(self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let result = callback(&self).await;
        self.end(result).await
    }
}

impl Drop for CachedTxn {
    fn drop(&mut self) {
        // Not ended by commit or rollback: the database rolls it back, before whatever it is asked next. Where SeaORM cannot
        // tell it, since a statement is running, it panics, and the level stays.
        if let Some(inner) = self.inner.take() {
            let written = self.state.written();
            drop(inner);
            if let Some(kept) = self.state.rolled_back(self.depth, written) {
                drop(self.cacheops.pending(kept));
            }
        }
    }
}

/// A level that the database takes back. Until it has, its rows are there for every statement of the transaction.
struct RolledBack {
    cacheops: Cacheops,
    state: Arc<State>,
    depth: usize,
    written: Option<u64>,
    ended: bool,
}

impl RolledBack {
    fn new(transaction: &CachedTxn) -> Self {
        let CachedTxn { cacheops, state, depth, .. } = transaction;
        let (cacheops, state, written) = (cacheops.clone(), Arc::clone(state), state.written());
        Self { cacheops, state, depth: *depth, written, ended: false }
    }

    /// It has. What is to be told all the same.
    fn end(&mut self) -> Option<Pending> {
        self.ended = true;
        self.state.rolled_back(self.depth, self.written).map(|kept| self.cacheops.pending(kept))
    }
}

impl Drop for RolledBack {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // SeaORM panics where it cannot roll back: then everything is as it was.
        if std::thread::panicking() {
            let queue = self.state.stack().clone().commit(1);
            drop(queue.map(|queue| self.cacheops.pending(queue)));
        } else {
            drop(self.end());
        }
    }
}

impl std::fmt::Debug for CachedTxn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTxn").field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Source for CachedTxn {
    type Inner = DatabaseTransaction;

    fn context(&self) -> Context<'_, DatabaseTransaction> {
        Context {
            cacheops: &self.cacheops,
            shared: &self.shared,
            inner: self.plain(),
            state: Some(&self.state),
            outer: Outer::Transaction(self),
        }
    }
}

#[async_trait]
impl ConnectionTrait for CachedTxn {
    fn get_database_backend(&self) -> DbBackend {
        self.shared.backend
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.run(Run::Execute(stmt)).await?.into_executed()
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(Run::Unprepared(sql.to_owned())).await?.into_executed()
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.run(Run::One(stmt)).await?.into_rows().into_iter().next())
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self.run(Run::Query(stmt)).await?.into_rows())
    }

    fn support_returning(&self) -> bool {
        self.plain().support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.plain().is_mock_connection()
    }
}

#[async_trait]
impl TransactionTrait for CachedTxn {
    type Transaction = CachedTxn;

    async fn begin(&self) -> Result<Self, DbErr> {
        self.savepoint(TransactionOptions::default()).await
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<Self, DbErr> {
        let sqlite_transaction_mode = None;
        self.savepoint(TransactionOptions { isolation_level, access_mode, sqlite_transaction_mode })
            .await
    }

    async fn begin_with_options(&self, options: TransactionOptions) -> Result<Self, DbErr> {
        self.savepoint(options).await
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.begin().await.map_err(TransactionError::Connection)?.scoped(callback).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin_with_config(isolation_level, access_mode).await;
        begun.map_err(TransactionError::Connection)?.scoped(callback).await
    }
}

#[async_trait]
impl TransactionSession for CachedTxn {
    async fn commit(mut self) -> Result<(), DbErr> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let Some(queue) = self.state.committed() else {
            return inner.commit().await;
        };
        // If the outcome of the commit stays unknown, the drop of this tells it all the same.
        let pending = self.cacheops.pending(queue);
        let (cacheops, shared) = (self.cacheops.clone(), Arc::clone(&self.shared));
        let saved = self.state.saved.take();
        Finish::new(async move {
            inner.commit().await?;
            told(pending.send().await)?;
            shared.saving.read(&cacheops, &shared, saved).await;
            Ok(())
        })
        .await
    }

    async fn rollback(mut self) -> Result<(), DbErr> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let mut level = RolledBack::new(&self);
        inner.rollback().await?;
        match level.end() {
            Some(pending) => told(pending.send().await),
            None => Ok(()),
        }
    }
}

impl StreamTrait for CachedTxn {
    type Stream<'a> = <DatabaseTransaction as StreamTrait>::Stream<'a>;

    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(self)
    }

    /// Streams are not cached. One that writes is taken for a change of all that its text tells.
    fn stream_raw<'a>(
        &'a self,
        stmt: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            let template = self.shared.analyser.analyse(&stmt.sql);
            let reads = matches!(template.kind(), Kind::Read { .. } | Kind::Session);
            self.state.before_statement(&self.cacheops, reads).await;
            self.state.reads(&template);
            if reads {
                return self.plain().stream_raw(stmt).await;
            }
            // Nobody sees its end, nor an error that ends the transaction with it.
            if self.shared.may_end(&template) || self.shared.backend != DbBackend::Postgres {
                self.state.ended.store(true, Ordering::SeqCst);
            }
            let mut queued = self.state.writing();
            if self.cacheops.invalidates() {
                queued.changes = Write::new(&template, Some(&stmt)).feared(&self.shared);
            }
            self.plain().stream_raw(stmt).await
        })
    }
}

impl Shared {
    /// Whether a statement may end the transaction in which it runs, whatever its object believes.
    fn may_end(&self, template: &Template) -> bool {
        match template.kind() {
            Kind::Other => true,
            Kind::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. }) => true,
            // MySQL commits before definitions and much else.
            Kind::Transaction(Transaction::Begin)
            | Kind::Ddl
            | Kind::Session
            | Kind::Write(WriteKind::Truncate) => self.backend == DbBackend::MySql,
            _ => false,
        }
    }

    /// What the database has shown of the rows that a statement changed.
    pub(crate) fn shown(
        &self,
        template: &Template,
        ran: &Ran,
        before: Option<Vec<Row>>,
    ) -> Option<Shown> {
        let target = template.target()?;
        let named = matches!(
            template.returning(),
            cacheops_sql::Returning::All | cacheops_sql::Returning::Columns(_)
        );
        let returned = ran
            .rows()
            .filter(|_| named)
            .map(|rows| rows.iter().map(|row| rows::read(self, template, target, row)).collect());
        // Who asks for rows that the statement does not return is not told how many there were.
        let affected = match ran {
            Ran::Rows(_) if *template.returning() == cacheops_sql::Returning::Nothing => None,
            ran => ran.affected(),
        };
        match (before, returned) {
            // A row that another transaction has committed in between was changed and not seen.
            (Some(before), returned) if affected == Some(before.len() as u64) => {
                Some(match returned {
                    Some(returned) => Shown::Both(before, returned),
                    None => Shown::Before(before),
                })
            }
            (_, Some(returned)) => Some(Shown::Returned(returned)),
            (_, None) => self.number(template, ran).map(Shown::Numbered),
        }
    }

    /// The number that MySQL has given to a new row.
    fn number(&self, template: &Template, ran: &Ran) -> Option<OwnedConjunction> {
        let Ran::Executed(result) = ran else { return None };
        let single = self.backend == DbBackend::MySql && result.rows_affected() == 1;
        if !single || *template.kind() != Kind::Write(WriteKind::Insert) {
            return None;
        }
        let number = result.last_insert_id();
        let column = self.numbered.get(template.target()?)?;
        (1..=i64::MAX as u64).contains(&number).then(|| {
            OwnedConjunction::new().with(column.as_bytes(), Some(number.to_string().as_bytes()))
        })
    }
}
