//! Functions: what they compute is kept under their name and arguments.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::Format;
use crate::core::Core;
use crate::options::NAMED_TABLE;
use crate::{
    Changes, Codec, Condition, Deps, Invalidated, Key, Pending, Read, Row, Snapshot, codec,
};

/// A function's result in the making: see [`Cacheops::cached_as`](crate::Cacheops::cached_as) and [`Cacheops::cached`](crate::Cacheops::cached).
///
/// The key is a hash of name, extras and dependencies: the same function over other rows is another
/// entry. Two functions of one name, with equal extras and dependencies, share an entry: give each function a name of its
/// own, and each argument of the function as an [`extra`](Self::extra).
///
/// The name is required. The place of the call would be no identity: it changes with each release, and is the same for
/// all callers of a helper function.
///
/// ```no_run
/// # use cacheops::{Cacheops, Condition};
/// # use std::time::Duration;
/// # async fn build(_category: i64) -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn run(cacheops: Cacheops) -> Result<(), Box<dyn std::error::Error>> {
/// let category = 3;
/// let menu: String = cacheops
///     .cached_as("menu", [("article", Condition::all().term("category_id", category))])
///     .extra("en")
///     .ttl(Duration::from_secs(120))
///     .get_or_load(|| build(category))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is given a function"]
pub struct CachedAs<'a, C = Format> {
    core: &'a Arc<Core>,
    /// It is of a handle that does not invalidate.
    suppressed: bool,
    codec: C,
    deps: Deps,
    name: String,
    extra: Vec<Extra>,
    ttl: Option<Duration>,
    lock: Option<bool>,
    local: bool,
    bypass: bool,
    snapshot: Option<&'a Snapshot>,
    alone: bool,
}

#[derive(Debug)]
enum Extra {
    Bytes(Vec<u8>),
    /// It could not be serialised, so there is no key for it.
    Unknown,
}

impl<'a> CachedAs<'a> {
    pub(crate) fn new(core: &'a Arc<Core>, suppressed: bool, name: String, deps: Deps) -> Self {
        Self {
            core,
            suppressed,
            codec: core.format,
            deps,
            name,
            extra: Vec::new(),
            ttl: None,
            lock: None,
            local: false,
            bypass: false,
            snapshot: None,
            alone: false,
        }
    }
}

impl<'a, C> CachedAs<'a, C> {
    /// What else the result depends on: an argument, a language, a user. One that cannot be
    /// serialised turns the cache off for this call. What serde leaves out of it (`#[serde(skip)]`) does not count.
    pub fn extra<X: Serialize + ?Sized>(mut self, extra: &X) -> Self {
        self.extra.push(codec::argument(extra, true).map_or(Extra::Unknown, Extra::Bytes));
        self
    }

    /// One more table.
    pub fn on(mut self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.deps = self.deps.and(table, condition);
        self
    }

    /// All of these rows too.
    pub fn deps(mut self, deps: impl Into<Deps>) -> Self {
        self.deps = self.deps.and_all(deps.into());
        self
    }

    /// How long the result lives, unless it is invalidated.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Among all processes, one computes while the others wait.
    pub fn lock(mut self, lock: bool) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The value is kept in this process too: see [`Read::local`](crate::Read::local).
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// The function reads in a transaction: see [`Read::snapshot`](crate::Read::snapshot).
    pub fn snapshot(mut self, snapshot: &'a Snapshot) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    /// The function reads through a connection that is held already: see [`Read::alone`](crate::Read::alone).
    pub fn alone(mut self, alone: bool) -> Self {
        self.alone = alone;
        self
    }

    /// With `true` the function runs and nothing is kept.
    pub fn bypass(mut self, bypass: bool) -> Self {
        self.bypass |= bypass;
        self
    }

    /// Encodes with something else than the format of the handle.
    pub fn codec<D>(self, codec: D) -> CachedAs<'a, D> {
        let Self {
            core,
            suppressed,
            deps,
            name,
            extra,
            ttl,
            lock,
            local,
            bypass,
            snapshot,
            alone,
            ..
        } = self;
        CachedAs {
            core,
            suppressed,
            codec,
            deps,
            name,
            extra,
            ttl,
            lock,
            local,
            bypass,
            snapshot,
            alone,
        }
    }

    /// The cached result, or else that of `function`, which is then stored if it is no error.
    ///
    /// # Errors
    ///
    /// Those of `function`.
    pub async fn get_or_load<T, E, F, Fut>(self, function: F) -> Result<T, E>
    where
        C: Codec<T>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let bypass = self.bypass || self.is_unknown();
        let mut read = Read::new(self.core, self.whole_key()).op("cached").bypass(bypass).named();
        if let Some(ttl) = self.ttl {
            read = read.ttl(ttl);
        }
        if let Some(lock) = self.lock {
            read = read.lock(lock);
        }
        if let Some(snapshot) = self.snapshot {
            read = read.snapshot(snapshot);
        }
        let read = read.alone(self.alone).local(self.local).deps(self.deps).codec(self.codec);
        read.get_or_load(function).await
    }

    /// Forgets the result of this function for these extras, and no other. What is being computed now is not kept
    /// either. False if there was none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) and the like. It is repeated as any invalidation is.
    pub async fn invalidate(self) -> Result<bool, crate::Error> {
        if self.is_unknown() || !self.core.enabled {
            return Ok(false);
        }
        let core = self.core;
        let key = core.names.full(self.whole_key().as_bytes(), &self.deps);
        let row = Row::new().set("key", key.as_slice());
        let pending =
            Pending::new(Arc::clone(core), Changes::row(NAMED_TABLE, &row), self.suppressed);
        let client = core.client()?;
        let deleted = client.query(redis::cmd("UNLINK").arg(key)).await;
        if let Err(error) = &deleted {
            core.link.failed(&client, error);
        }
        match (deleted?, pending.send().await?) {
            (deleted, Invalidated::Confirmed(links)) => Ok(deleted || links > 0),
            (deleted, _) => Ok(deleted),
        }
    }

    /// The key, without prefix and namespace.
    pub fn whole_key(&self) -> Key {
        let mut key = Key::query("", &self.name);
        for extra in &self.extra {
            key = match extra {
                Extra::Bytes(bytes) => key.part(bytes),
                Extra::Unknown => key.part(b"?"),
            };
        }
        // Extras and dependencies are lists: their border must show.
        key = key.part(&(self.extra.len() as u64).to_be_bytes());
        for (table, condition) in self.deps.iter() {
            key = key.part(table).part(condition);
        }
        key.into()
    }

    fn is_unknown(&self) -> bool {
        self.extra.iter().any(|extra| matches!(extra, Extra::Unknown))
    }
}
