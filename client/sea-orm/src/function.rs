//! Functions: what they compute from rows is kept until these rows change.

use std::time::Duration;

use cacheops::Deps;
use cacheops_adapter::{CacheValue, FunctionCall, Sample};
use serde::Serialize;

use crate::connection::CachedConn;
use crate::query::CachedQuery;
use crate::run::Run;
use crate::source::Source;
use crate::transaction::CachedTxn;

/// A function's result in the making: see [`CachedConn::cached_as`].
#[derive(Debug)]
#[must_use = "it does nothing until it is given a function"]
pub struct CachedFunction<'a, S> {
    db: &'a S,
    call: FunctionCall<'a>,
}

impl CachedConn {
    /// Caches what a function computes from the rows of a query, until one of them changes. It may ask anything: the
    /// query, which is not run, is a sample that only says when the result is over.
    ///
    /// ```
    /// use cacheops_sea_orm::{Cacheops, Connect};
    /// # use cacheops_sea_orm::CachedConn;
    /// # use sea_orm::{ColumnTrait, ConnectionTrait, Database, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
    /// # mod article { use sea_orm::entity::prelude::*;
    /// # #[derive(Clone, Debug, DeriveEntityModel)] #[sea_orm(table_name = "article")]
    /// # pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub category: i32, pub photo: bool }
    /// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)] pub enum Relation {}
    /// # impl ActiveModelBehavior for ActiveModel {} }
    /// # use article::Entity as Article;
    ///
    /// async fn photos(db: &CachedConn, category: i32) -> Result<(u64, u64), DbErr> {
    ///     let articles = || Article::find().filter(article::Column::Category.eq(category));
    ///     db.cached_as("photos", articles())
    ///         .get_or_load(|| async {
    ///             let with = articles().filter(article::Column::Photo.eq(true)).count(db).await?;
    ///             Ok((with, articles().count(db).await? - with))
    ///         })
    ///         .await
    /// }
    /// # let server = support::Server::start();
    /// # let url = format!("redis://127.0.0.1:{}/", server.port());
    /// # tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
    /// # let co = Cacheops::connect(url).await?;
    /// # let db = co.connect(Database::connect("sqlite::memory:").await?);
    /// # db.execute_unprepared("CREATE TABLE article (id INTEGER PRIMARY KEY, category INTEGER, photo BOOLEAN)").await?;
    /// # assert_eq!((photos(&db, 1).await?, photos(&db, 1).await?, co.stats().hits), ((0, 0), (0, 0), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// The key is made of the name, [`extra`](CachedFunction::extra), the samples and the database. The name tells the
    /// function from all others.
    /// Timeout and lock come from the profiles of the samples, if nothing else is said.
    pub fn cached_as<Q: CachedQuery>(
        &self,
        name: impl Into<String>,
        sample: Q,
    ) -> CachedFunction<'_, Self> {
        CachedFunction::new(self, name.into(), sample)
    }

    /// What a query depends on: for [`Cacheops::read`](cacheops::Cacheops::read) and the like. None if its result must
    /// not be cached: then nothing that is made of it must be, whatever else that depends on.
    pub fn deps<Q: CachedQuery>(&self, query: Q) -> Option<Deps> {
        let Sample { deps, profile, .. } = sample(self, query);
        profile.and(deps)
    }
}

impl CachedTxn {
    /// As [`CachedConn::cached_as`]: in a transaction that has written the function runs, and nothing is kept.
    pub fn cached_as<Q: CachedQuery>(
        &self,
        name: impl Into<String>,
        sample: Q,
    ) -> CachedFunction<'_, Self> {
        CachedFunction::new(self, name.into(), sample)
    }
}

fn sample<S: Source, Q: CachedQuery>(db: &S, query: Q) -> Sample<'_> {
    let context = db.context();
    let (statement, _) = query.all_rows(context.backend);
    Sample::new(context.session, &context.driver(), Q::table(), &Run::Query(statement))
}

impl<'a, S: Source> CachedFunction<'a, S> {
    fn new<Q: CachedQuery>(db: &'a S, name: String, sample: Q) -> Self {
        let call = FunctionCall::new(db.context().session.cacheops, name);
        Self { db, call }.and(sample)
    }

    /// The result is invalidated when rows of this query change too.
    pub fn and<Q: CachedQuery>(self, query: Q) -> Self {
        Self { call: self.call.sample(sample(self.db, query)), ..self }
    }

    /// What else the result depends on: an argument, a language, a user.
    pub fn extra<X: Serialize + ?Sized>(self, extra: &X) -> Self {
        Self { call: self.call.extra(extra), ..self }
    }

    /// How long the result lives, unless it is invalidated.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { call: self.call.ttl(ttl), ..self }
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Among all processes, one computes while the others wait.
    pub fn lock(self, lock: bool) -> Self {
        Self { call: self.call.lock(lock), ..self }
    }

    /// The cached result, or else that of `function`, which is then stored if it is no error.
    ///
    /// # Errors
    ///
    /// Those of `function`.
    pub async fn get_or_load<T, E, F, Fut>(self, function: F) -> Result<T, E>
    where
        T: CacheValue,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let context = self.db.context();
        self.call.get_or_load(context.session, &mut context.driver(), function).await
    }

    /// Deletes the result of this function for these extras and samples, and no other. True if there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`](cacheops::ErrorKind::Connection) and the like.
    pub async fn invalidate(self) -> Result<bool, cacheops::Error> {
        let context = self.db.context();
        self.call.invalidate(context.session, &mut context.driver()).await
    }
}
