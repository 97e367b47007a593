//! Functions: what they compute from rows is kept until these rows change.

use std::time::Duration;

use cacheops::{CachedAs, Cacheops, Deps, Profile};
use serde::Serialize;

use crate::checked::{CacheValue, Checked};
use crate::driver::Driver;
use crate::read::Unstored;
use crate::session::Session;

/// A call of a function whose result depends on the rows of queries, which are not run: samples.
#[derive(Debug)]
pub struct FunctionCall<'a> {
    cached: CachedAs<'a>,
    ttl: Option<Duration>,
    lock: Option<bool>,
    /// The shortest of the samples' profiles.
    profile_ttl: Option<Duration>,
    profile_lock: bool,
    /// A sample is of a table that must not be cached, or of unknown dependencies.
    forbidden: bool,
}

/// What is known of a query that is not run.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// What it depends on, if it may be cached at all.
    pub deps: Option<Deps>,
    /// The profile that decides.
    pub profile: Option<&'a Profile>,
    /// Its text and values; none if a value has no bytes.
    key: Option<Vec<u8>>,
}

impl<'a> Sample<'a> {
    /// The sample of a query; `table` is the one whose profile decides, or else the first of the query.
    pub fn new<D: Driver>(
        session: Session<'a>,
        driver: &D,
        table: Option<String>,
        statement: &D::Statement,
    ) -> Self {
        let sql = driver.sql(statement);
        let template = session.core.analyser.analyse(sql);
        let table = table.or_else(|| template.tables().first().map(ToString::to_string));
        let profile = table.and_then(|table| session.profile(&table, true));
        let mut key = sql.as_bytes().to_vec();
        key.push(0);
        let has_key = driver.write_parameters(statement, &mut key).is_some();
        let values = driver.values(statement).unwrap_or_default();
        let deps = session.deps(&template, &values);
        Self { deps, profile, key: has_key.then_some(key) }
    }
}

impl<'a> FunctionCall<'a> {
    /// A call; the name tells the function from all others.
    pub fn new(cacheops: &'a Cacheops, name: impl Into<String>) -> Self {
        Self {
            cached: cacheops.cached_as(name.into(), Deps::none()),
            ttl: None,
            lock: None,
            profile_ttl: None,
            profile_lock: false,
            forbidden: false,
        }
    }

    /// The result is invalidated when rows of this query change. The query is part of the key: two queries may depend on
    /// the same rows and be different ones.
    #[must_use]
    pub fn sample(mut self, Sample { deps, profile, key }: Sample<'_>) -> Self {
        self.forbidden |= deps.is_none() || profile.is_none() || key.is_none();
        if let Some(profile) = profile {
            let ttl = profile.get_ttl();
            self.profile_ttl = Some(self.profile_ttl.map_or(ttl, |other| other.min(ttl)));
            self.profile_lock |= profile.get_lock();
        }
        self.cached = self.cached.deps(deps.unwrap_or_default()).extra(&key.unwrap_or_default());
        self
    }

    /// What else the result depends on: an argument, a language, a user.
    #[must_use]
    pub fn extra<X: Serialize + ?Sized>(mut self, extra: &X) -> Self {
        self.cached = self.cached.extra(extra);
        self
    }

    /// How long the result lives, unless it is invalidated. By default the shortest of the samples' profiles.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Whether, among all processes, one computes while the others wait. By default if a sample's profile says so.
    #[must_use]
    pub fn lock(mut self, lock: bool) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The cached result, or else that of `function`, which is then stored if it is no error.
    ///
    /// # Errors
    ///
    /// Those of `function`.
    pub async fn get_or_load<D, T, E, F, Fut>(
        self,
        session: Session<'_>,
        driver: &mut D,
        function: F,
    ) -> Result<T, E>
    where
        D: Driver,
        T: CacheValue,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        // Before the transaction's state is looked at, as in a read.
        let before = session.writes();
        let snapshot = session.snapshot().await;
        let usable = snapshot.is_some() && !self.forbidden && session.cacheops.is_enabled();
        let database = if usable { session.database(driver, false).await } else { None };
        let mut cached = self.cached.alone(session.state.is_some());
        cached = cached.extra(&database).bypass(database.is_none());
        if let Some(Some(snapshot)) = snapshot {
            cached = cached.snapshot(snapshot);
        }
        cached = cached.lock(self.lock.unwrap_or(self.profile_lock));
        if let Some(ttl) = self.ttl.or(self.profile_ttl) {
            cached = cached.ttl(ttl);
        }
        let compute = || async {
            let value = function().await.map_err(Unstored::Failed)?;
            // It may have written itself.
            match session.writes() == before && session.has_only_read(driver).await {
                true => Ok(value),
                false => Err(Unstored::Value(value)),
            }
        };
        Unstored::settle(cached.codec(Checked).get_or_load(compute).await)
    }

    /// Deletes the result of this function for these extras and samples, and no other. True if there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](cacheops::ErrorKind::Unavailable) if the name of the database is not known; and those of
    /// the connection to the server.
    pub async fn invalidate<D: Driver>(
        self,
        session: Session<'_>,
        driver: &mut D,
    ) -> Result<bool, cacheops::Error> {
        let database = session.database(driver, false).await.ok_or_else(|| {
            let text = "it is not known which database this is: see the warning before";
            cacheops::Error::new(cacheops::ErrorKind::Unavailable, text)
        })?;
        self.cached.extra(&Some(database)).invalidate().await
    }
}
