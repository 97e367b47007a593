//! Functions: what they compute from rows is kept until these rows change.

use std::time::Duration;

use cacheops::{CachedAs, Deps, Profile};
use sea_orm::Statement;
use serde::Serialize;

use crate::ask::{deps_of, write_statement};
use crate::connection::CachedConn;
use crate::kept::{CacheValue, Checked};
use crate::query::CachedQuery;
use crate::source::{Context, Source, Unstored};
use crate::transaction::CachedTxn;

/// A function's result in the making: see [`CachedConn::cached_as`].
#[derive(Debug)]
#[must_use = "it does nothing until it is given a function"]
pub struct CachedFunction<'a, S> {
    db: &'a S,
    cached: CachedAs<'a>,
    timeout: Option<Duration>,
    lock: Option<bool>,
    profiles: Profiles,
}

/// What the profiles of all samples say together.
#[derive(Debug, Default)]
struct Profiles {
    timeout: Option<Duration>,
    lock: bool,
    /// A table that must not be cached, or a query of which nothing is known.
    forbidden: bool,
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
    ///         .get_or_try(|| async {
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
        let Sample { deps, profile, .. } = sampled(self, query);
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

/// What is known of a query that is not run.
struct Sample<'a> {
    /// What it depends on, if it may be cached at all.
    deps: Option<Deps>,
    /// The profile that counts.
    profile: Option<&'a Profile>,
    statement: Statement,
}

fn sampled<S: Source, Q: CachedQuery>(db: &S, query: Q) -> Sample<'_> {
    let context = db.context();
    let Context { cacheops, shared, .. } = context;
    let (statement, _) = query.all_rows(shared.backend);
    let template = shared.analyser.analyse(&statement.sql);
    let table = Q::table().or_else(|| template.tables().first().map(ToString::to_string));
    let profile = table.and_then(|table| context.profile(&table, true));
    Sample { deps: deps_of(cacheops, &template, &statement), profile, statement }
}

impl<'a, S: Source> CachedFunction<'a, S> {
    fn new<Q: CachedQuery>(db: &'a S, name: String, sample: Q) -> Self {
        let cached = db.context().cacheops.cached_as(name, Deps::none());
        Self { db, cached, timeout: None, lock: None, profiles: Profiles::default() }.and(sample)
    }

    /// The result is over when rows of this query change too.
    pub fn and<Q: CachedQuery>(mut self, sample: Q) -> Self {
        let Sample { deps, profile, statement } = sampled(self.db, sample);
        // Two queries may depend on the same rows and be different ones.
        let mut key = Vec::new();
        let has_key = write_statement(&statement, &mut key).is_some();
        let profiles = &mut self.profiles;
        profiles.forbidden |= deps.is_none() || profile.is_none() || !has_key;
        if let Some(profile) = profile {
            let timeout = profile.get_timeout();
            profiles.timeout = Some(profiles.timeout.map_or(timeout, |other| other.min(timeout)));
            profiles.lock |= profile.get_lock();
        }
        self.cached = self.cached.deps(deps.unwrap_or_default()).extra(&key);
        self
    }

    /// What else the result depends on: an argument, a language, a user.
    pub fn extra<X: Serialize + ?Sized>(mut self, extra: &X) -> Self {
        self.cached = self.cached.extra(extra);
        self
    }

    /// How long the result lives, unless it is invalidated.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Among all processes, one computes while the others wait.
    pub fn lock(mut self, lock: bool) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The result that is kept, or else that of `function`, which is then kept if it is no error.
    ///
    /// # Errors
    ///
    /// Those of `function`.
    pub async fn get_or_try<T, E, F, Fut>(self, function: F) -> Result<T, E>
    where
        T: CacheValue,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let Self { db, mut cached, timeout, lock, profiles } = self;
        let context = db.context();
        // As in `ask`: before it is asked whether the transaction has written.
        let before = context.writes();
        cached = cached.alone(context.state.is_some());
        let moment = context.moment().await;
        let usable = moment.is_some() && !profiles.forbidden && context.cacheops.is_enabled();
        let database = if usable { context.database(false).await } else { None };
        cached = cached.extra(&database).bypass(database.is_none());
        if let Some(Some(snapshot)) = moment {
            cached = cached.snapshot(snapshot);
        }
        cached = cached.lock(lock.unwrap_or(profiles.lock));
        if let Some(timeout) = timeout.or(profiles.timeout) {
            cached = cached.timeout(timeout);
        }
        let compute = || async {
            let value = function().await.map_err(Unstored::Failed)?;
            // It may have written itself.
            match context.writes() == before && context.has_only_read().await {
                true => Ok(value),
                false => Err(Unstored::Value(value)),
            }
        };
        Unstored::settle(cached.get_or_try_with(Checked, compute).await)
    }

    /// Forgets the result of this function for these extras and samples, and no other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`](cacheops::ErrorKind::Connection) and the like.
    pub async fn invalidate(self) -> Result<bool, cacheops::Error> {
        let database = self.db.context().database(false).await.ok_or_else(|| {
            let text = "it is not known which database this is: see the warning before";
            cacheops::Error::new(cacheops::ErrorKind::Unavailable, text)
        })?;
        self.cached.extra(&Some(database)).invalidate().await
    }
}
