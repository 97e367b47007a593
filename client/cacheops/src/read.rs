//! Reading through the cache: the options of one read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use crate::codec::Codec;
use crate::core::Core;
use crate::events::{ReadEvent, ReadOutcome};
use crate::find::{Find, Found};
use crate::options::{NAMED_TABLE, Options};
use crate::snapshot::Snapshot;
use crate::stats::count;
use crate::{Condition, Deps, Format, Key, Ops, Profile, scope};

/// A read in the making: what the result depends on, how long it lives, who loads it. Ends with
/// [`get_or_load`](Self::get_or_load) or [`get_or_load_with_deps`](Self::get_or_load_with_deps).
///
/// 1. The server is asked for the key, and a miss brings the token of that moment.
/// 2. Of concurrent readers of this process one loads, and the others are given what it loaded, unless
///    it could be older than their question: then the server vouches for it, or they load anew. With
///    [`lock`](Self::lock) the same holds among all processes.
/// 3. The result is stored with the token. If anything that it depends on was invalidated meanwhile,
///    the server refuses it: a stale fill is impossible. Who loaded it has it nevertheless.
///
/// A read never fails because of the cache: whatever goes wrong there, `load` runs.
///
/// ```no_run
/// # use cacheops::{Cacheops, Condition};
/// # use std::time::Duration;
/// # async fn query(_sql: &str) -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
/// # async fn run(cacheops: Cacheops) -> Result<(), Box<dyn std::error::Error>> {
/// let titles: Vec<String> = cacheops
///     .read("titles:author:7")
///     .on("post", Condition::all().term("author_id", 7).null("deleted_at"))
///     .ttl(Duration::from_secs(900))
///     .lock(true)
///     .get_or_load(|| query("SELECT title FROM post WHERE author_id = 7 AND deleted_at IS NULL"))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a read does nothing until it is given a loader"]
pub struct Read<'a, C = Format> {
    core: &'a Arc<Core>,
    key: Key,
    codec: C,
    options: Options<'a>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(core: &'a Arc<Core>, key: Key) -> Self {
        let defaults = core.profiles.defaults();
        let options = Options {
            deps: Deps::none(),
            ttl: defaults.get_ttl(),
            lock: defaults.get_lock(),
            near: false,
            alone: false,
            bypass: false,
            named: false,
            op: "read",
            snapshot: None,
        };
        Self { core, key, codec: core.format, options }
    }
}

impl<'a, C> Read<'a, C> {
    /// The result depends on the rows of `table` that satisfy `condition`. Several conditions on one
    /// table are or-ed.
    pub fn on(mut self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.options.deps = self.options.deps.and(table, condition);
        self
    }

    /// The result depends on all of these, and on what was named before.
    pub fn deps(mut self, deps: impl Into<Deps>) -> Self {
        self.options.deps = self.options.deps.and_all(deps.into());
        self
    }

    /// How long the result lives, unless it is invalidated; an hour, where nothing else is said.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = ttl;
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Among all processes, one loads a missing result while the others wait for it inside the server,
    /// each over a connection of its own: see [`Builder::lock_times`](crate::Builder::lock_times) and
    /// [`Builder::waiting_connections`](crate::Builder::waiting_connections).
    pub fn lock(mut self, lock: bool) -> Self {
        self.options.lock = lock;
        self
    }

    /// The value is kept in this process too, and the server proves at each read that it is good: one
    /// small round trip in the place of a large one. Needs the feature `moka`.
    pub fn local(mut self, local: bool) -> Self {
        self.options.near = local;
        self
    }

    /// What kind of read it is, for hooks and traces.
    pub fn op(mut self, op: &'a str) -> Self {
        self.options.op = op;
        self
    }

    /// Takes time to live, lock and, for gets, `local` from a profile, and asks the cache only if the
    /// profile says so of this kind of read.
    pub fn profile(mut self, profile: &Profile, op: Ops) -> Self {
        self.options.bypass |= !profile.get_ops().contains(op);
        self.forced(profile, op)
    }

    /// The same, but asks the cache whatever operations the profile has: an explicit `.cache()`.
    pub fn forced(mut self, profile: &Profile, op: Ops) -> Self {
        self.options.ttl = profile.get_ttl();
        self.options.lock = profile.get_lock();
        self.options.near = profile.get_local_get() && op == Ops::GET;
        self.options.op = op.name();
        self
    }

    /// The read belongs to a transaction that began after this snapshot, and is stored by its token,
    /// never by a newer one.
    ///
    /// Such a read is [`alone`](Self::alone) too.
    pub fn snapshot(mut self, snapshot: &'a Snapshot) -> Self {
        self.options.snapshot = Some(snapshot);
        self
    }

    /// With `true` the read loads for itself, without waiting for anybody: inside a transaction, since a
    /// reader that holds a connection of the database must not wait for one that needs a connection.
    pub fn alone(mut self, alone: bool) -> Self {
        self.options.alone = alone;
        self
    }

    /// With `true` the cache is neither asked nor filled: the transaction has written.
    pub fn bypass(mut self, bypass: bool) -> Self {
        self.options.bypass |= bypass;
        self
    }

    /// The result can be forgotten by its key: see [`NAMED_TABLE`].
    pub(crate) fn named(mut self) -> Self {
        self.options.named = true;
        self
    }

    /// Encodes with something else than the format of the handle.
    pub fn codec<D>(self, codec: D) -> Read<'a, D> {
        let Self { core, key, options, .. } = self;
        Read { core, key, codec, options }
    }

    /// The value of the entry; if there is none, what `load` says, which is then stored.
    ///
    /// # Errors
    ///
    /// Those of `load`.
    pub async fn get_or_load<T, E, F, Fut>(self, load: F) -> Result<T, E>
    where
        C: Codec<T>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.get_or_load_with_deps(|| async { Ok((load().await?, Deps::none())) }).await
    }

    /// The same where only the loader knows what its result depends on: it returns both. What was
    /// named before counts too.
    ///
    /// # Errors
    ///
    /// Those of `load`.
    pub async fn get_or_load_with_deps<T, E, F, Fut>(self, load: F) -> Result<T, E>
    where
        C: Codec<T>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<(T, Deps), E>>,
    {
        let span = tracing::debug_span!(
            "cacheops.read",
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = "CACHEOPS.GET",
            db.collection.name = tracing::field::Empty,
            cacheops.op = self.options.op,
            cacheops.result = tracing::field::Empty,
        );
        if let Some((table, _)) = self.options.deps.iter().next() {
            span.record("db.collection.name", &*String::from_utf8_lossy(table));
        }
        self.run(load, span.clone()).instrument(span).await
    }

    async fn run<T, E, F, Fut>(self, load: F, span: tracing::Span) -> Result<T, E>
    where
        C: Codec<T>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<(T, Deps), E>>,
    {
        let begun = Instant::now();
        let core = &**self.core;
        let key = core.names.full(self.key.as_bytes(), &self.options.deps);
        let find = Find { core: self.core, key: &key, options: &self.options };
        let told = |outcome: ReadOutcome| {
            span.record("cacheops.result", outcome.as_str());
            tell(core, &key, &self.options, outcome, begun);
        };
        let (fill, outcome) = match find.find(&self.codec).await {
            Found::Value(value, outcome) => {
                told(outcome);
                return Ok(value);
            }
            Found::Nothing(fill, outcome) => (fill, outcome),
        };
        // If this future is dropped while it loads, the fill ends the flight and gives up the lock.
        // Boxed: reads nest, and each would be several times as large as what it loads.
        let loader = Box::pin(load());
        let loaded = match &fill {
            Some(fill) if fill.lead.is_some() => scope::loading(&key, loader).await,
            _ => loader.await,
        };
        match loaded {
            Ok((value, deps)) => {
                if let Some(fill) = fill {
                    let mut deps = self.options.deps.clone().and_all(deps);
                    if self.options.named && !deps.is_empty() {
                        deps = deps.and(NAMED_TABLE, Condition::all().term("key", key.as_slice()));
                    }
                    fill.store(&self.codec, &value, &deps, &self.options).await;
                }
                told(outcome);
                Ok(value)
            }
            Err(error) => {
                if let Some(fill) = fill {
                    fill.failed();
                }
                told(outcome);
                Err(error)
            }
        }
    }
}

fn tell(core: &Core, key: &[u8], options: &Options<'_>, outcome: ReadOutcome, begun: Instant) {
    let counters = &core.link.counters;
    match outcome {
        ReadOutcome::Hit => count(&counters.hits),
        ReadOutcome::NearHit => {
            count(&counters.hits);
            count(&counters.near_hits);
        }
        ReadOutcome::Miss => count(&counters.misses),
        ReadOutcome::Coalesced => count(&counters.coalesced),
        ReadOutcome::Bypass => count(&counters.bypasses),
        ReadOutcome::Error => count(&counters.read_errors),
    }
    if core.hooks.has_read() {
        let Options { op, deps, .. } = options;
        core.hooks.read(&ReadEvent { op, key, deps, outcome, elapsed: begun.elapsed() });
    }
}
