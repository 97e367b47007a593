//! A pool whose writes invalidate what they change.

use std::sync::Arc;

use cacheops::{Cacheops, Changes};
use cacheops_adapter::{Core, Level, Session, TxState, run_to_completion};
use cacheops_sql::Template;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::{Describe, Error, Execute, Executor, Pool, SqlSafeStr, SqlStr};

use crate::connection::CachedConnection;
use crate::database::{CachedDatabase, Step, Target};
use crate::driver::{Output, SqlxDriver, reads, stepped};
use crate::error::{confirmed, failed};
use crate::source::{Parts, Source};
use crate::statement::Captured;
use crate::transaction::{CachedTx, begins};

/// A pool whose writes the cache sees, and on which cached reads run. Cheap to clone.
///
/// `&CachedPool` is an [`Executor`]: it takes the place of `&Pool` in `query`, `query_as`, `query_scalar` and the checked
/// macros. Nothing is cached unless a query is [`cached`](crate::Cache::cached).
///
/// A write that was begun is finished, and invalidates what it changed, also if its future is dropped: the database would
/// go on with it in any case. So is a commit. A write collects its rows before the first is returned.
#[derive(Debug)]
pub struct CachedPool<DB: CachedDatabase> {
    inner: Pool<DB>,
    cacheops: Cacheops,
    core: Arc<Core>,
}

impl<DB: CachedDatabase> Clone for CachedPool<DB> {
    fn clone(&self) -> Self {
        let Self { inner, cacheops, core } = self;
        Self { inner: inner.clone(), cacheops: cacheops.clone(), core: Arc::clone(core) }
    }
}

impl<DB: CachedDatabase> CachedPool<DB> {
    pub(crate) fn new(inner: Pool<DB>, cacheops: Cacheops, core: Core) -> Self {
        Self { inner, cacheops, core: Arc::new(core) }
    }

    /// The pool without the cache, which does not see what is written through it. See [`unseen`](Self::unseen).
    pub fn inner(&self) -> &Pool<DB> {
        &self.inner
    }

    /// The handle of the cache.
    pub fn cacheops(&self) -> &Cacheops {
        &self.cacheops
    }

    /// The same pool, whose writes invalidate nothing. Clones made before are not concerned.
    #[must_use]
    pub fn without_invalidation(&self) -> Self {
        Self { cacheops: self.cacheops.without_invalidation(), ..self.clone() }
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn begin(&self) -> Result<CachedTx<'static, DB>, Error> {
        let state = TxState::new(DB::DIALECT, cacheops_adapter::Isolation::Unspecified, false);
        let level = Level::new(self.inner.begin().await?, self.cacheops.clone(), state);
        Ok(CachedTx::new(level, Arc::clone(&self.core)))
    }

    /// Begins a transaction with this statement, as `BEGIN ISOLATION LEVEL READ COMMITTED` or `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<CachedTx<'static, DB>, Error> {
        let statement = statement.into_sql_str();
        let (isolation, immediate) = begins(statement.as_str());
        let state = TxState::new(DB::DIALECT, isolation, immediate);
        let inner = self.inner.begin_with(statement).await?;
        let level = Level::new(inner, self.cacheops.clone(), state);
        Ok(CachedTx::new(level, Arc::clone(&self.core)))
    }

    /// A connection of the pool, whose writes the cache sees. Its reads are not cached: what was set in its session could
    /// change their results.
    ///
    /// # Errors
    ///
    /// Those of the pool.
    pub async fn acquire(&self) -> Result<CachedConnection<DB>, Error> {
        let connection = self.inner.acquire().await?;
        Ok(CachedConnection::new(connection, self.cacheops.clone(), Arc::clone(&self.core)))
    }

    /// Invalidates all results that depend on a table, or on what it is a view of: after a write that the cache could not
    /// see.
    ///
    /// # Errors
    ///
    /// Only in strict mode, if the server does not confirm it.
    pub async fn invalidate_table(&self, table: &str) -> Result<(), Error> {
        let analyser = self.core.analyser();
        let mut changes = Changes::new();
        for table in analyser.changed_with(&analyser.name(None, table)) {
            changes.add_table(table);
        }
        confirmed(self.cacheops.invalidate(changes).await)
    }

    /// Calls an async closure with sqlx's own pool, for what takes no other: migrations, `COPY`. The cache does not see what it
    /// writes, so afterwards all results are invalidated, also if it fails.
    ///
    /// ```no_run
    /// # use cacheops_sqlx::CachedPool; use sqlx::{Error, Pool, Sqlite};
    /// # struct Migrator; impl Migrator { async fn run(&self, _: &Pool<Sqlite>) -> Result<(), Error> { Ok(()) } }
    /// # static MIGRATOR: Migrator = Migrator;
    /// # async fn run(db: CachedPool<Sqlite>) -> Result<(), Error> {
    /// db.unseen(async |plain| MIGRATOR.run(plain).await).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the closure; in strict mode an invalidation that the server did not confirm.
    pub async fn unseen<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Pool<DB>) -> Result<T, E>,
    ) -> Result<T, E> {
        // If this future is dropped, the invalidation is sent all the same.
        let pending = self.cacheops.pending(Changes::everything());
        let result = work(&self.inner).await;
        let sent = confirmed(pending.send().await);
        let value = result?;
        sent?;
        Ok(value)
    }

    fn session(&self) -> Session<'_> {
        Session::new(&self.cacheops, &self.core)
    }

    /// Runs what is not a read.
    pub(crate) fn write(
        &self,
        template: Arc<Template>,
        statement: Captured<DB>,
    ) -> impl Future<Output = Result<Output<DB>, Error>> + Send + 'static {
        // Where it goes on by itself, the scope of `no_invalidation` is not around it any more.
        let suppressed = !self.cacheops.invalidates();
        let this = if suppressed { self.without_invalidation() } else { self.clone() };
        run_to_completion(async move {
            let driver = SqlxDriver::new(Target::Pool(&this.inner));
            let ran = cacheops_adapter::write(this.session(), driver, &template, &statement).await;
            ran.map_err(failed)
        })
    }
}

impl<'c, DB: CachedDatabase> Source<'c> for &'c CachedPool<DB> {
    type Database = DB;

    fn parts(self) -> Parts<'c, DB> {
        Parts { session: self.session(), target: Target::Pool(&self.inner) }
    }
}

impl<'c, DB: CachedDatabase> Executor<'c> for &'c CachedPool<DB> {
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let statement = match Captured::of(query) {
            Ok(statement) => statement,
            Err(error) => return stream::once(future::ready(Err(error))).boxed(),
        };
        let template = self.core.analyser().analyse(statement.text());
        if reads(&template) {
            return DB::fetch_many(Target::Pool(&self.inner), statement);
        }
        stepped(self.write(template, statement))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let statement = match Captured::of(query) {
            Ok(statement) => statement,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        let template = self.core.analyser().analyse(statement.text());
        if reads(&template) {
            return DB::fetch_optional(Target::Pool(&self.inner), statement);
        }
        let run = self.write(template, statement);
        async move { Ok(run.await?.rows.into_iter().next()) }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        DB::prepare_with(Target::Pool(&self.inner), sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        DB::describe(Target::Pool(&self.inner), sql)
    }
}
