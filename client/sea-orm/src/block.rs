//! A block of reads as one entry, which depends on all that the block has asked.

use std::time::Duration;

use async_trait::async_trait;
use cacheops::{Key, QueryKey};
use cacheops_adapter as adapter;
use cacheops_adapter::{CacheValue, Checked, Combined, Mode, Options, Rules, Session};
use cacheops_sql::Kind;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use serde::Serialize;

use crate::driver::Connection;
use crate::run::{Ran, Run};
use crate::source::{Context, Source};
use crate::value::values_of;

/// [`reads`](CacheReads::reads) on a connection or transaction.
pub trait CacheReads: Source + Sized {
    /// A block of reads that is kept under a name: see [`CachedReads`].
    fn reads(&self, name: impl Into<String>) -> CachedReads<'_, Self> {
        let options = Options::new(Mode::Forced);
        let name = name.into();
        let key = Some(Key::query("reads", &name));
        CachedReads { db: self, name, key, options }
    }
}

impl<S: Source> CacheReads for S {}

/// Several reads whose common result is one entry. It depends on the rows that their statements name: nothing of that
/// has to be written down.
///
/// It is for what has no query of its own: `Article::load().with(..)` of SeaORM's dense entities, a page that is put
/// together from many queries. The result goes through serde.
///
/// ```no_run
/// # mod article { use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, serde::Deserialize)]
/// # #[sea_orm(table_name = "article")]
/// # pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)] pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {} }
/// # use article::Entity as Article;
/// use cacheops_sea_orm::CacheReads;
/// # use cacheops_sea_orm::CachedConn; use sea_orm::{EntityTrait, PaginatorTrait, QuerySelect};
/// # async fn run(db: CachedConn) -> Result<(), sea_orm::DbErr> {
/// let (count, articles): (u64, Vec<article::Model>) = db
///     .reads("front page")
///     .get_or_load(|db| async move {
///         Ok((Article::find().count(&db).await?, Article::find().limit(10).all(&db).await?))
///     })
///     .await?;
/// # Ok(()) }
/// ```
///
/// The name and what [`by`](Self::by) adds must tell a block from every other of its type; what the block reads is not
/// part of the key. It is not stored if one of its statements cannot be cached or is of a table without a profile where
/// others have one, if a table of it is forbidden, or if anything that it depends on changes while it runs. It must not
/// write: that is an error. Its timeout and lock are the defaults of the handle, or as said here.
#[derive(Clone, Debug)]
#[must_use = "a block does nothing until it is given its reads"]
pub struct CachedReads<'a, S> {
    db: &'a S,
    name: String,
    /// Of the name and its parameters. None: a parameter had no bytes, and the block has no key.
    key: Option<QueryKey>,
    options: Options,
}

impl<'a, S: Source> CachedReads<'a, S> {
    /// What tells this result from others of the same name: parameters, the language, the user.
    ///
    /// A value that does not serialise, or is nested too deeply for that, has no key: the block then runs without the cache.
    pub fn by<V: Serialize + ?Sized>(mut self, value: &V) -> Self {
        self.key = self.key.and_then(|key| key.try_value(value));
        self
    }

    /// How long the result lives, unless it is invalidated.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Among all processes, one runs the block while the others wait for it.
    pub fn lock(mut self, lock: bool) -> Self {
        self.options.lock = Some(lock);
        self
    }

    /// The value of the entry; if there is none, what the block says, which is then stored. The block is given a
    /// connection to read from; what it reads elsewhere, the entry does not depend on. Functions of the application can
    /// be called with it if they take `&impl Source`, or `&impl ConnectionTrait`.
    ///
    /// # Errors
    ///
    /// Those of the block.
    pub async fn get_or_load<T, F, Fut>(self, block: F) -> Result<T, DbErr>
    where
        T: CacheValue,
        F: FnOnce(Recorder<'a, S::Inner>) -> Fut,
        Fut: Future<Output = Result<T, DbErr>>,
    {
        let context = self.db.context();
        let (session, mut driver) = (context.session, context.driver());
        let rules = Rules::fetch(&self.options, None);
        let combined = Combined::new(session, &mut driver, rules, false).await;
        let key = |database: &str| {
            let parameters = Key::from(self.key.clone()?);
            Some(Key::query(database, &self.name).part(parameters.as_bytes()).of::<T>().into())
        };
        let (recorder, storable) = (Recorder::new(&context), combined.storable());
        let log = recorder.log.clone();
        // Boxed: blocks nest, and each would be several times as large as what it loads.
        let load = Box::pin(async {
            let value = block(recorder).await?;
            let deps = storable.check(session, &mut driver, log.take()).await;
            Ok((value, deps))
        });
        combined.get_or_load(key, Checked, load).await
    }
}

/// The connection of a block: it reads, and records what the block depends on.
///
/// It is a [`Source`]: what a block reads with `.cache()` may come from the cache, and the block depends on it too.
pub struct Recorder<'a, C> {
    context: Context<'a, C>,
    pub(crate) log: adapter::Recorder,
}

impl<'a, C: Connection> Recorder<'a, C> {
    pub(crate) fn new(context: &Context<'a, C>) -> Self {
        Self { context: *context, log: adapter::Recorder::default() }
    }

    /// Records a statement, which must be a read.
    fn record(&self, statement: &Statement) -> Result<(), DbErr> {
        let session = self.context.session;
        let template = session.core.analyser().analyse(&statement.sql);
        if !matches!(template.kind(), Kind::Read { .. } | Kind::Session) {
            return Err(DbErr::Custom("a block of reads must not write".into()));
        }
        if let Some(state) = session.state {
            state.before_read(&template);
        }
        let first = template.tables().first();
        let allowed = first.is_none_or(|table| session.profile(table, true).is_some());
        let deps = session.deps(&template, &values_of(statement));
        self.log.record(deps.filter(|_| allowed));
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<Ran, DbErr> {
        let ran = run.on(self.context.connection).await;
        ran.inspect_err(|error| {
            let context = self.context();
            context.session.failed(&context.driver(), error);
        })
    }
}

impl<C> std::fmt::Debug for Recorder<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<C: Connection> Source for Recorder<'_, C> {
    type Inner = C;

    fn context(&self) -> Context<'_, C> {
        let context: Context<'_, C> = self.context;
        let session = Session { recorder: Some(&self.log), ..context.session };
        Context { session, writer: None, ..context }
    }
}

#[async_trait]
impl<C: Connection> ConnectionTrait for Recorder<'_, C> {
    fn get_database_backend(&self) -> DbBackend {
        self.context.backend
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.record(&stmt)?;
        self.run(Run::Execute(stmt)).await?.into_executed()
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(self.context.backend, sql)).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.record(&stmt)?;
        Ok(self.run(Run::One(stmt)).await?.into_rows().into_iter().next())
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.record(&stmt)?;
        Ok(self.run(Run::Query(stmt)).await?.into_rows())
    }

    fn support_returning(&self) -> bool {
        self.context.connection.support_returning()
    }
}
