//! A connection whose writes are told to the cache.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use cacheops::{Cacheops, Changes};
use cacheops_adapter::{Session, run_to_completion};
use cacheops_sql::Kind;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityName, EntityTrait,
    ExecResult, IsolationLevel, Iterable, ModelTrait, QueryResult, Statement, StreamTrait,
    TransactionError, TransactionOptions, TransactionTrait,
};

use crate::confirmed::{confirmed, failed};
use crate::relations::name_of;
use crate::run::{Ran, Run};
use crate::shared::Shared;
use crate::source::{Context, Source, Writer, Writing};
use crate::transaction::{CachedTxn, state_of};
use crate::value::to_sql;

/// A database whose writes are seen by the cache, and of which cached reads can be asked. Cheap to clone.
///
/// It takes the place of the [`DatabaseConnection`] in all of SeaORM's calls. Nothing is cached unless a query asks
/// for it: see [`Cache`](crate::Cache).
///
/// A write that was begun is finished, and told to the cache, also if its future is dropped: the database would go on
/// with it in any case. So is a commit.
///
/// With [`strict`](cacheops::Builder::strict), an error of a write or commit that
/// [`is_unconfirmed`](crate::Unconfirmed::is_unconfirmed) is of one that has taken effect: do not repeat it.
#[derive(Clone)]
pub struct CachedConn {
    inner: DatabaseConnection,
    cacheops: Cacheops,
    shared: Arc<Shared>,
}

impl CachedConn {
    pub(crate) fn new(inner: DatabaseConnection, cacheops: Cacheops, shared: Shared) -> Self {
        Self { inner, cacheops, shared: Arc::new(shared) }
    }

    /// The connection without the cache. What is written through it, the cache does not hear of.
    pub fn inner(&self) -> &DatabaseConnection {
        &self.inner
    }

    /// The handle of the cache.
    pub fn cacheops(&self) -> &Cacheops {
        &self.cacheops
    }

    /// The same connection, whose writes are not told to the cache. Others, and clones made before, are not concerned.
    pub fn without_invalidation(&self) -> Self {
        Self { cacheops: self.cacheops.without_invalidation(), ..self.clone() }
    }

    /// Tells the cache that a row has changed, as it is in this model: after a write that it could not see. Of a view, that
    /// any row has of what it is made of. What the database deletes along with the row is not told.
    ///
    /// # Errors
    ///
    /// Only in strict mode, if the server does not confirm it.
    pub async fn invalidate_obj<M: ModelTrait>(&self, model: &M) -> Result<(), DbErr> {
        let Shared { core, backend, .. } = &*self.shared;
        let analyser = core.analyser();
        let columns: Vec<_> = <M::Entity as EntityTrait>::Column::iter()
            .map(|column| (sea_orm::IdenStatic::as_str(&column).to_owned(), model.get(column)))
            .collect();
        let values: Vec<_> = columns.iter().map(|(_, value)| to_sql(value, *backend)).collect();
        let row = columns.iter().map(|(name, _)| name).zip(&values);
        let name = name_of(analyser, &M::Entity::default().table_ref());
        let mut changes = Changes::new();
        for table in analyser.changed_with(&name) {
            if table == name {
                changes.add_row(&name, analyser.row_image(&name, row.clone()));
            } else {
                changes.add_table(table);
            }
        }
        confirmed(self.cacheops.invalidate(changes).await)
    }

    /// Tells the cache that any row of an entity's table may have changed, or of what it is a view of. What the database
    /// deletes along with rows is not told.
    ///
    /// # Errors
    ///
    /// Only in strict mode, if the server does not confirm it.
    pub async fn invalidate_model<E: EntityTrait>(&self) -> Result<(), DbErr> {
        let analyser = self.shared.core.analyser();
        let mut changes = Changes::new();
        for table in analyser.changed_with(&name_of(analyser, &E::default().table_ref())) {
            changes.add_table(table);
        }
        confirmed(self.cacheops.invalidate(changes).await)
    }

    fn session(&self) -> Session<'_> {
        Session::new(&self.cacheops, &self.shared.core)
    }

    /// Runs a statement, and invalidates what it changed.
    pub(crate) async fn run(&self, run: Run) -> Result<Ran, DbErr> {
        let template = self.shared.core.analyser().analyse(run.sql());
        if let Kind::Read { .. } | Kind::Session = template.kind() {
            #[cfg(feature = "self-check")]
            if self.shared.checks {
                Box::pin(crate::checking::check(self.context(), &template, &run)).await;
            }
            return run.on(&self.inner).await;
        }
        // Where it goes on by itself, the scope of `no_invalidation` is not around it any more.
        let suppressed = !self.cacheops.invalidates();
        let this = if suppressed { self.without_invalidation() } else { self.clone() };
        run_to_completion(async move {
            let driver = this.context().driver();
            let ran = cacheops_adapter::write(this.session(), driver, &template, &run).await;
            let ran = ran.map_err(failed)?;
            let saving = &this.shared.saving;
            let saved = saving.saved(&this.cacheops, &template, &run, &ran);
            saving.read(this.session(), saved).await;
            Ok(ran)
        })
        .await
    }
}

impl std::fmt::Debug for CachedConn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedConn")
            .field("database", &self.shared.core.database().base())
            .finish_non_exhaustive()
    }
}

impl Source for CachedConn {
    type Inner = DatabaseConnection;

    fn context(&self) -> Context<'_, DatabaseConnection> {
        Context {
            session: self.session(),
            connection: &self.inner,
            backend: self.shared.backend,
            writer: Some(self),
        }
    }
}

impl Writer for CachedConn {
    fn write<'s>(&'s self, run: Run) -> Writing<'s> {
        Box::pin(self.run(run))
    }
}

#[async_trait]
impl ConnectionTrait for CachedConn {
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
        self.inner.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.inner.is_mock_connection()
    }
}

#[async_trait]
impl TransactionTrait for CachedConn {
    type Transaction = CachedTxn;

    async fn begin(&self) -> Result<CachedTxn, DbErr> {
        self.begin_with_options(TransactionOptions::default()).await
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<CachedTxn, DbErr> {
        let sqlite_transaction_mode = None;
        self.begin_with_options(TransactionOptions {
            isolation_level,
            access_mode,
            sqlite_transaction_mode,
        })
        .await
    }

    async fn begin_with_options(&self, options: TransactionOptions) -> Result<CachedTxn, DbErr> {
        let state = state_of(&self.shared, &options);
        let inner = self.inner.begin_with_options(options).await?;
        Ok(CachedTxn::new(inner, self.cacheops.clone(), Arc::clone(&self.shared), state))
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c CachedTxn) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
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
        F: for<'c> FnOnce(&'c CachedTxn) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin_with_config(isolation_level, access_mode).await;
        begun.map_err(TransactionError::Connection)?.scoped(callback).await
    }
}

impl StreamTrait for CachedConn {
    type Stream<'a> = <DatabaseConnection as StreamTrait>::Stream<'a>;

    fn get_database_backend(&self) -> DbBackend {
        self.shared.backend
    }

    /// Streams are not cached. To write through one is refused: it has no end at which the cache could be told.
    fn stream_raw<'a>(
        &'a self,
        stmt: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            let template = self.shared.core.analyser().analyse(&stmt.sql);
            if !matches!(template.kind(), Kind::Read { .. } | Kind::Session) {
                return Err(DbErr::Custom(
                    "a stream must not write: begin a transaction for it".into(),
                ));
            }
            self.inner.stream_raw(stmt).await
        })
    }
}
