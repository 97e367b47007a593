//! The handle that an application keeps.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::cached::CachedAs;
use crate::core::Core;
use crate::events::Invalidated;
use crate::read::Read;
use crate::simple::Simple;
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::{Changes, Client, Deps, Error, Key, Pending, Profile, Row, Token, scope};

/// A cache of query results that invalidates itself. Cheap to clone; clones share everything.
///
/// It lives in the tokio runtime in which it was built.
#[derive(Clone, Debug)]
pub struct Cacheops {
    pub(crate) core: Arc<Core>,
    /// This handle, and no other, does not invalidate.
    suppressed: bool,
}

impl Cacheops {
    /// Begins to build a handle for a server: `redis://user:password@host:port/database`,
    /// `rediss://` with the feature `rustls`, `unix:///path?db=1`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::url(url)
    }

    /// A handle with all defaults.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).build().await
    }

    /// The value under a key; if there is none, what `load` says, which is then stored.
    ///
    /// The shortest form of [`read`](Self::read). `deps` are the rows that the value depends on.
    ///
    /// # Errors
    ///
    /// Only those of `load`. What goes wrong with the cache is counted and logged.
    pub async fn get_or_load<T, E, F, Fut>(
        &self,
        key: impl Into<Key>,
        deps: impl Into<Deps>,
        ttl: impl Into<Option<Duration>>,
        load: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut read = self.read(key).deps(deps.into());
        if let Some(ttl) = ttl.into() {
            read = read.ttl(ttl);
        }
        read.get_or_load(load).await
    }

    /// A read with all its options: see [`Read`].
    pub fn read(&self, key: impl Into<Key>) -> Read<'_> {
        Read::new(&self.core, key.into())
    }

    /// Caches what a function computes from the rows that `deps` name: see [`CachedAs`]. `name` tells the function from
    /// all others of this namespace.
    pub fn cached_as(&self, name: impl Into<String>, deps: impl Into<Deps>) -> CachedAs<'_> {
        CachedAs::new(&self.core, self.suppressed, name.into(), deps.into())
    }

    /// Caches what a function computes, by time only: see [`CachedAs`]. `name` tells the function from all others of this
    /// namespace.
    pub fn cached(&self, name: impl Into<String>, ttl: Duration) -> CachedAs<'_> {
        CachedAs::new(&self.core, self.suppressed, name.into(), Simple::deps()).ttl(ttl)
    }

    /// Values by name and time, without dependencies.
    pub fn cache(&self) -> Simple<'_> {
        Simple::new(&self.core)
    }

    /// The present moment, for a transaction that reads from a snapshot: take it *before* BEGIN, and
    /// use it for every read of the transaction.
    ///
    /// If the server cannot be asked, the snapshot stores nothing.
    pub async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.core).await
    }

    /// The token of now, for a value that is kept outside the server (in a file, a proxy, the process) and shown to
    /// [`check`](Self::check) later. Take it before the database is read.
    ///
    /// `key` names the value; in a cluster it chooses the shard. None while the cache is off or cannot be trusted: then
    /// the value must not be kept.
    ///
    /// ```no_run
    /// # use cacheops::{Cacheops, Condition, Token};
    /// # async fn render() -> String { String::new() }
    /// # async fn run(cacheops: Cacheops) -> Result<(), Box<dyn std::error::Error>> {
    /// let posts = || ("post", Condition::all().term("author", 7));
    /// let kept: Option<(u64, String)> = match cacheops.token("page").await {
    ///     Some(token) => Some((token.get(), render().await)),
    ///     None => None,
    /// };
    /// if let Some((number, page)) = kept
    ///     && cacheops.check("page", Token::new(number), posts()).await
    /// {
    ///     println!("{page}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn token(&self, key: impl AsRef<[u8]>) -> Option<Token> {
        let client = self.core.trusted()?;
        match client.token_of(key.as_ref()).await {
            Ok(token) => token,
            Err(error) => {
                self.core.link.failed(&client, &error);
                None
            }
        }
    }

    /// Whether nothing that `deps` name was invalidated since the token, which [`token`](Self::token) gave for this key.
    ///
    /// False while the cache is off, the server away, or an invalidation of this process unconfirmed; and for a value
    /// that depends on nothing. The first check of new conditions may be false too, since the server did not watch them.
    pub async fn check(&self, key: impl AsRef<[u8]>, token: Token, deps: impl Into<Deps>) -> bool {
        let Some(client) = self.core.trusted() else { return false };
        match client.check(token).key(key).deps(&deps.into()).await {
            // An invalidation may have failed while the question was under way.
            Ok(good) => good && self.core.trusted().is_some(),
            Err(error) => {
                self.core.link.failed(&client, &error);
                false
            }
        }
    }

    /// Tells the cache what has changed in the database: after the commit.
    ///
    /// From the moment of the call it cannot be lost: should the future be dropped, even before it is
    /// first polled, the changes go to the outbox.
    ///
    /// # Errors
    ///
    /// Only with [`strict`](Builder::strict): why the server did not confirm it. Otherwise such
    /// changes are [`Invalidated::Queued`], and this process trusts no hit until they are sent.
    pub fn invalidate(
        &self,
        changes: Changes,
    ) -> impl Future<Output = Result<Invalidated, Error>> + Send + 'static {
        self.pending(changes).send_unless_suppressed()
    }

    /// Tells the cache that a row was inserted or deleted, or what is known of rows that changed.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_row(
        &self,
        table: impl AsRef<[u8]>,
        row: &Row,
    ) -> impl Future<Output = Result<Invalidated, Error>> + Send + 'static {
        self.invalidate(Changes::row(table, row))
    }

    /// Tells the cache that any row of a table may have changed.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_table(
        &self,
        table: impl AsRef<[u8]>,
    ) -> impl Future<Output = Result<Invalidated, Error>> + Send + 'static {
        self.invalidate(Changes::table(table))
    }

    /// Kills every entry of this database of the server, those of other namespaces and applications too, and no other key.
    /// What was loaded before is not stored.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_all(
        &self,
    ) -> impl Future<Output = Result<Invalidated, Error>> + Send + 'static {
        self.invalidate(Changes::everything())
    }

    /// An invalidation to be made before the statement runs: see [`Pending`].
    pub fn pending(&self, changes: Changes) -> Pending {
        Pending::new(Arc::clone(&self.core), changes, self.suppressed)
    }

    /// Runs a future in which nothing is invalidated, whichever handle it uses. Tasks that it spawns
    /// are not concerned.
    ///
    /// What it changes in the database stays unknown to the cache until it expires: invalidate by
    /// other means afterwards.
    pub async fn no_invalidation<F: Future>(&self, future: F) -> F::Output {
        scope::suppress(future).await
    }

    /// A handle that does not invalidate. Clones of it do not either; all others do.
    pub fn without_invalidation(&self) -> Self {
        Self { core: Arc::clone(&self.core), suppressed: true }
    }

    /// Whether changes that are told now reach the cache: it is on, and `no_invalidation` is not.
    pub fn invalidates(&self) -> bool {
        self.core.enabled && !self.suppressed && !scope::is_suppressed()
    }

    /// Whether the cache is on: see [`Builder::enabled`].
    pub fn is_enabled(&self) -> bool {
        self.core.enabled
    }

    /// The profile of a table; none if nothing of it may be cached: see [`Builder::profile`](crate::Builder::profile).
    pub fn profile(&self, table: &str) -> Option<&Profile> {
        self.core.profiles.of(table)
    }

    /// Whether nothing that depends on a table may be cached: see [`Builder::forbid`](crate::Builder::forbid). A table
    /// without any profile is not forbidden.
    pub fn forbids(&self, table: &str) -> bool {
        self.core.profiles.forbids(table)
    }

    /// What has been counted since the handle was built.
    pub fn stats(&self) -> Stats {
        let link = &self.core.link;
        let mut stats = link.counters.snapshot();
        stats.outbox = link.waiting() as u64;
        stats.available = link.trusted().is_some();
        stats
    }

    /// How many readers of this process are loading a value for others too.
    pub fn flights(&self) -> usize {
        self.core.flights.len()
    }

    /// Waits until the server is there and has confirmed every invalidation: before the process ends,
    /// for what is in the outbox then is lost. It waits for ever if the server does not come back: put a timeout around it.
    pub async fn settled(&self) {
        if self.core.enabled {
            self.core.link.settled().await;
        }
    }

    /// Why the server cannot be asked; none while it can.
    pub fn last_error(&self) -> Option<Arc<Error>> {
        self.core.link.last_error()
    }

    /// The module's commands, over the connection of now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) while there is none.
    pub fn client(&self) -> Result<Client, Error> {
        self.core.client()
    }
}

impl Builder {
    /// Builds the handle in the current tokio runtime, which must have its time and I/O enabled, and
    /// connects.
    ///
    /// A server that is away is no error unless [`strict`](Self::strict): the application can start
    /// without it, and the handle finds it when it comes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) and [`ErrorKind::UnknownTable`](crate::ErrorKind::UnknownTable) for these settings;
    /// [`ErrorKind::ModuleMissing`](crate::ErrorKind::ModuleMissing), [`ErrorKind::ModuleTooOld`](crate::ErrorKind::ModuleTooOld) and [`ErrorKind::Denied`](crate::ErrorKind::Denied) if the
    /// server cannot be used as it is.
    pub async fn build(self) -> Result<Cacheops, Error> {
        let core = self.build_core().await?;
        Ok(Cacheops { core, suppressed: false })
    }
}
