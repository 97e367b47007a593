//! A transaction whose changes are sent to the cache after its commit.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use cacheops::Cacheops;
use cacheops_adapter::{
    Isolation, Level, Session, TxState, queue_upper_bound, run_to_completion, write_in,
};
use cacheops_sql::Kind;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, SqliteTransactionMode, Statement, StreamTrait, TransactionError,
    TransactionOptions, TransactionSession, TransactionTrait,
};

use crate::confirmed::failed;
use crate::run::{Ran, Run};
use crate::saving::SavedRows;
use crate::shared::Shared;
use crate::source::{Context, Source, Writer, Writing};

/// A transaction or savepoint of a [`CachedConn`](crate::CachedConn).
///
/// Reads use the cache until the transaction writes; from then on, it neither reads from it nor fills it. What it
/// changes is told to the cache after the outermost commit. Dropped without commit, it is rolled back and nothing is
/// told.
pub struct CachedTxn {
    level: Level<DatabaseTransaction>,
    shared: Arc<Shared>,
    saved: Arc<SavedRows>,
}

/// What is known of a transaction before it begins.
pub(crate) fn state_of(shared: &Shared, options: &TransactionOptions) -> TxState {
    let isolation = match options.isolation_level {
        None => Isolation::Unspecified,
        Some(IsolationLevel::ReadUncommitted) => Isolation::ReadUncommitted,
        Some(IsolationLevel::ReadCommitted) => Isolation::ReadCommitted,
        Some(IsolationLevel::RepeatableRead) => Isolation::RepeatableRead,
        Some(IsolationLevel::Serializable) => Isolation::Serializable,
    };
    let immediate = matches!(
        options.sqlite_transaction_mode,
        Some(SqliteTransactionMode::Immediate | SqliteTransactionMode::Exclusive)
    );
    TxState::new(shared.core.dialect(), isolation, immediate)
}

impl CachedTxn {
    pub(crate) fn new(
        inner: DatabaseTransaction,
        cacheops: Cacheops,
        shared: Arc<Shared>,
        state: TxState,
    ) -> Self {
        let level = Level::new(inner, cacheops, state);
        Self { level, shared, saved: Arc::default() }
    }

    /// The transaction without the cache, which does not see what is written through it. So from this call on, the
    /// transaction neither reads from the cache nor fills it.
    pub fn inner(&self) -> &DatabaseTransaction {
        self.level.state().bypass();
        self.level.inner()
    }

    fn session(&self) -> Session<'_> {
        let session = Session::new(self.level.cacheops(), &self.shared.core);
        Session { state: Some(self.level.state()), ..session }
    }

    /// Runs a statement, and queues what it changes.
    pub(crate) async fn run(&self, run: Run) -> Result<Ran, DbErr> {
        let template = self.shared.core.analyser().analyse(run.sql());
        let (session, state) = (self.session(), self.level.state());
        let mut driver = self.context().driver();
        if matches!(template.kind(), Kind::Read { .. } | Kind::Session) && !state.may_end(&template)
        {
            session.before_read(&template).await;
            #[cfg(feature = "self-check")]
            if self.shared.checks {
                Box::pin(crate::checking::check(self.context(), &template, &run)).await;
            }
            let ran = run.on(self.level.inner()).await;
            return ran.inspect_err(|error| session.failed(&driver, error));
        }
        let ran = write_in(session, state, &mut driver, &template, &run).await.map_err(failed)?;
        let saving = &self.shared.saving;
        self.saved.add(saving.saved(self.level.cacheops(), &template, &run, &ran));
        Ok(ran)
    }

    /// Opens a savepoint.
    async fn savepoint(&self, options: TransactionOptions) -> Result<Self, DbErr> {
        self.level.state().before_statement(self.level.cacheops(), true).await;
        let inner = self.level.inner().begin_with_options(options).await?;
        Ok(Self {
            level: self.level.savepoint(inner),
            shared: Arc::clone(&self.shared),
            saved: Arc::clone(&self.saved),
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

impl std::fmt::Debug for CachedTxn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTxn").field("depth", &self.level.depth()).finish_non_exhaustive()
    }
}

impl Source for CachedTxn {
    type Inner = DatabaseTransaction;

    fn context(&self) -> Context<'_, DatabaseTransaction> {
        Context {
            session: self.session(),
            connection: self.level.inner(),
            backend: self.shared.backend,
            writer: Some(self),
        }
    }
}

impl Writer for CachedTxn {
    fn write<'s>(&'s self, run: Run) -> Writing<'s> {
        Box::pin(self.run(run))
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
        self.level.inner().support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.level.inner().is_mock_connection()
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
    async fn commit(self) -> Result<(), DbErr> {
        let Self { level, shared, saved } = self;
        if level.depth() > 1 {
            return level.commit(TransactionSession::commit).await.map_err(failed);
        }
        run_to_completion(async move {
            let cacheops = level.cacheops().clone();
            level.commit(TransactionSession::commit).await.map_err(failed)?;
            shared.saving.read(Session::new(&cacheops, &shared.core), saved.take()).await;
            Ok(())
        })
        .await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.level.rollback(TransactionSession::rollback).await.map_err(failed)
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
            let template = self.shared.core.analyser().analyse(&stmt.sql);
            if matches!(template.kind(), Kind::Read { .. } | Kind::Session) {
                self.session().before_read(&template).await;
                return self.level.inner().stream_raw(stmt).await;
            }
            let (session, state) = (self.session(), self.level.state());
            let (driver, run) = (self.context().driver(), Run::Query(stmt.clone()));
            queue_upper_bound(session, state, &driver, &template, &run).await;
            self.level.inner().stream_raw(stmt).await
        })
    }
}
