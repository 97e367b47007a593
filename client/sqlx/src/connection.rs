//! A connection of a pool, whose writes invalidate what they change.

use std::fmt;
use std::sync::Arc;

use cacheops::Cacheops;
use cacheops_adapter::{Core, Session, run_to_completion};
use cacheops_sql::Template;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::{Describe, Error, Execute, Executor, SqlStr};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::database::{CachedDatabase, Step, Target};
use crate::driver::{Output, SqlxDriver, reads, stepped};
use crate::error::failed;
use crate::statement::Captured;

/// A connection of a [`CachedPool`](crate::CachedPool), for what must run on one: settings of the session, advisory locks,
/// temporary tables.
///
/// `&mut CachedConnection` is an [`Executor`]. Its writes invalidate; its reads are not cached. A write whose future is
/// dropped goes on, and the next statement waits for its end.
pub struct CachedConnection<DB: CachedDatabase> {
    inner: Arc<Mutex<PoolConnection<DB>>>,
    cacheops: Cacheops,
    core: Arc<Core>,
}

impl<DB: CachedDatabase> fmt::Debug for CachedConnection<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedConnection").finish_non_exhaustive()
    }
}

impl<DB: CachedDatabase> CachedConnection<DB> {
    pub(crate) fn new(inner: PoolConnection<DB>, cacheops: Cacheops, core: Arc<Core>) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), cacheops, core }
    }

    /// The connection without the cache, which does not see what is written through it.
    pub async fn inner(&mut self) -> OwnedMutexGuard<PoolConnection<DB>> {
        Arc::clone(&self.inner).lock_owned().await
    }

    /// Runs what is not a read.
    fn write(
        &self,
        template: Arc<Template>,
        statement: Captured<DB>,
    ) -> impl Future<Output = Result<Output<DB>, Error>> + Send + 'static {
        let suppressed = !self.cacheops.invalidates();
        let cacheops = match suppressed {
            true => self.cacheops.without_invalidation(),
            false => self.cacheops.clone(),
        };
        let (inner, core) = (Arc::clone(&self.inner), Arc::clone(&self.core));
        run_to_completion(async move {
            let mut connection = inner.lock_owned().await;
            let driver = SqlxDriver::new(Target::Connection(&mut **connection));
            let session = Session::new(&cacheops, &core);
            let ran = cacheops_adapter::write(session, driver, &template, &statement).await;
            ran.map_err(failed)
        })
    }
}

impl<'c, DB: CachedDatabase> Executor<'c> for &'c mut CachedConnection<DB> {
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
        if !reads(&template) {
            return stepped(self.write(template, statement));
        }
        let inner = Arc::clone(&self.inner);
        // Its rows are collected: a stream would hold the lock that the connection's other statements wait for.
        stepped(async move {
            let mut connection = inner.lock_owned().await;
            let mut driver = SqlxDriver::new(Target::Connection(&mut **connection));
            cacheops_adapter::Driver::run(&mut driver, &statement).await
        })
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
        if !reads(&template) {
            let run = self.write(template, statement);
            return async move { Ok(run.await?.rows.into_iter().next()) }.boxed();
        }
        let inner = Arc::clone(&self.inner);
        async move {
            let mut connection = inner.lock_owned().await;
            DB::fetch_optional(Target::Connection(&mut **connection), statement).await
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        let inner = Arc::clone(&self.inner);
        async move {
            let mut connection = inner.lock_owned().await;
            DB::prepare_with(Target::Connection(&mut **connection), sql, parameters).await
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        let inner = Arc::clone(&self.inner);
        async move {
            let mut connection = inner.lock_owned().await;
            DB::describe(Target::Connection(&mut **connection), sql).await
        }
        .boxed()
    }
}
