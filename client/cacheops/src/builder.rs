//! How a handle is built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Timeouts;
use crate::config::{LockTimes, Names};
use crate::core::Core;
use crate::endpoint::Endpoint;
use crate::events::{InvalidateEvent, ReadEvent, StoreEvent};
use crate::flight::Flights;
use crate::hooks::Hooks;
use crate::link::{Link, Settings};
use crate::once::Once;
use crate::outbox::Bounds;
use crate::profile::Profiles;
use crate::wait::Waiting;
use crate::{Deps, Error, ErrorKind, Format, Profile};

/// The settings of a [`Cacheops`](crate::Cacheops) in the making.
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    address: Address,
    timeouts: Timeouts,
    retry_at_most: Duration,
    outbox: Bounds,
    lock: LockTimes,
    names: Names,
    format: Format,
    version: String,
    hooks: Hooks,
    profiles: Vec<(String, Option<Profile>)>,
    defaults: Profile,
    tables: Option<Vec<String>>,
    enabled: bool,
    strict: bool,
    tokens: bool,
    waiting: usize,
    near_bytes: u64,
}

enum Address {
    Url(String),
    #[cfg(feature = "sentinel")]
    Sentinel(Vec<String>, String, String),
    #[cfg(feature = "cluster")]
    Cluster(Vec<String>),
}

impl Builder {
    pub(crate) fn url(url: impl Into<String>) -> Self {
        Self::at(Address::Url(url.into()))
    }

    /// The primary that these sentinels name. `url` is what the sentinels do not know of it: database,
    /// user and password, as `redis://user:password@-/1`.
    #[cfg(feature = "sentinel")]
    pub fn sentinel<S: Into<String>>(
        sentinels: impl IntoIterator<Item = S>,
        name: impl Into<String>,
        url: impl Into<String>,
    ) -> Self {
        let sentinels = sentinels.into_iter().map(Into::into).collect();
        Self::at(Address::Sentinel(sentinels, name.into(), url.into()))
    }

    /// The cluster to which these nodes belong.
    #[cfg(feature = "cluster")]
    pub fn cluster<S: Into<String>>(nodes: impl IntoIterator<Item = S>) -> Self {
        Self::at(Address::Cluster(nodes.into_iter().map(Into::into).collect()))
    }

    fn at(address: Address) -> Self {
        Self {
            address,
            timeouts: Timeouts {
                connect: Duration::from_millis(500),
                response: Duration::from_millis(500),
            },
            retry_at_most: Duration::from_secs(1),
            outbox: Bounds { rows: 10_000, bytes: 4 << 20 },
            lock: LockTimes { hold: Duration::from_secs(30), wait: Duration::from_secs(30) },
            names: Names { namespace: "cacheops".to_owned(), prefix: None },
            format: Format::default(),
            version: String::new(),
            hooks: Hooks::default(),
            profiles: Vec::new(),
            defaults: Profile::new(),
            tables: None,
            enabled: true,
            strict: false,
            tokens: true,
            waiting: 16,
            near_bytes: 32 << 20,
        }
    }

    /// How long a request waits for its answer; 500 ms by default. Then the server counts as away.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.response = timeout;
        self
    }

    /// How long a connection may take; 500 ms by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// The longest pause between two attempts to reach a server that is away; 1 s by default. No
    /// caller waits for it.
    pub fn retry_at_most(mut self, pause: Duration) -> Self {
        self.retry_at_most = pause;
        self
    }

    /// How many rows and bytes of unconfirmed invalidations are kept; 10,000 and 4 MiB by default.
    /// Beyond, they become whole tables, and these everything.
    pub fn outbox(mut self, rows: usize, bytes: usize) -> Self {
        self.outbox = Bounds { rows, bytes };
        self
    }

    /// An invalidation that the server does not confirm is an error, and so is a server that is away
    /// when the handle is built. Off by default: the application goes on with its database.
    ///
    /// Either way nothing is lost: it goes to the outbox, and until that was sent this process trusts
    /// no hit. With an adapter the error is one of a write or commit that *has* taken effect: do not repeat it.
    /// [`Error::is_unconfirmed`] recognises it.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// With `false`, the handle does nothing: every read goes to the database, nothing is invalidated
    /// and no connection is made. Not for one process among others that are on: they would not hear
    /// of its writes.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// What all keys begin with; `cacheops` by default. Applications that share a database of the
    /// server need one each.
    ///
    /// Invalidations know no namespace: a changed row of a table concerns the entries of all of them. A database of the
    /// server (`redis://host/1`) keeps two applications apart.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.names.namespace = namespace.into();
        self
    }

    /// What a key begins with, before the namespace: a tenant, a schema. Called at each read.
    ///
    /// Prefix and key are joined without a border: let it end in a character that no prefix contains otherwise, as
    /// `tenant/` does, or two tenants may come to share a key.
    ///
    /// Invalidations know no prefix: a changed row concerns the entries of all of them.
    pub fn prefix(mut self, prefix: impl Fn(&Deps) -> String + Send + Sync + 'static) -> Self {
        self.names.prefix = Some(Box::new(prefix));
        self
    }

    /// The format of values; MessagePack by default.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// What the values mean; empty by default. An entry that was written under another version is a miss, and is replaced.
    ///
    /// Change it when a value of the same type comes to mean something else, or when a cached function computes something
    /// else: what the types themselves tell, and what they do not, stands at [`Codec`](crate::Codec). With
    /// `env!("CARGO_PKG_VERSION")` every release of the application begins anew.
    ///
    /// Keys stay the same, so that one release deletes and invalidates what another has stored; while two run side by
    /// side, they replace each other's entries. A [`namespace`](Self::namespace) for each keeps them apart.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The profile of a table, or of all tables that fit a pattern: `blog.*`, `blog_*`, `*`.
    ///
    /// The exact name counts before patterns, a longer pattern before a shorter one, whatever their letter case, and the
    /// first that fits counts alone. Once there is a profile, an adapter caches nothing of a table that none fits, and says
    /// so once: `profile("*", Profile::new())` is for the rest. Without any, every table has the defaults.
    pub fn profile(mut self, table: impl Into<String>, profile: Profile) -> Self {
        self.profiles.push((table.into(), Some(profile)));
        self
    }

    /// Nothing of this table, or of all that fit a pattern, may be cached: [`Cacheops::profile`](crate::Cacheops::profile) has none for it, and
    /// an adapter keeps no result that depends on it, be it only joined. A read that names its tables itself is taken
    /// at its word.
    pub fn forbid(mut self, table: impl Into<String>) -> Self {
        self.profiles.push((table.into(), None));
        self
    }

    /// What profiles leave open.
    pub fn defaults(mut self, defaults: Profile) -> Self {
        self.defaults = defaults;
        self
    }

    /// The tables that there are. A profile of another one is then an error.
    pub fn tables<S: Into<String>>(mut self, tables: impl IntoIterator<Item = S>) -> Self {
        self.tables.get_or_insert_default().extend(tables.into_iter().map(Into::into));
        self
    }

    /// How long a lock is held at most, and how long others wait for it, or for a reader of this
    /// process that loads the same; 30 s each by default. The server takes 1 ms to 1 h.
    pub fn lock_times(mut self, hold: Duration, wait: Duration) -> Self {
        self.lock = LockTimes { hold, wait };
        self
    }

    /// How many connections may wait for locks; 16 by default. A reader beyond loads for itself.
    pub fn waiting_connections(mut self, connections: usize) -> Self {
        self.waiting = connections;
        self
    }

    /// How many bytes of values are kept in the process, with the feature `moka`; 32 MiB by default.
    pub fn near_bytes(mut self, bytes: u64) -> Self {
        self.near_bytes = bytes;
        self
    }

    /// With `false`, results are stored without their tokens, as if there were none: to show what happens then.
    #[doc(hidden)]
    pub fn tokens(mut self, tokens: bool) -> Self {
        self.tokens = tokens;
        self
    }

    /// Calls a function after each read. It must be quick.
    pub fn on_read(mut self, hook: impl Fn(&ReadEvent<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.on_read(hook);
        self
    }

    /// Calls a function after each result that was stored, or was to be. It must be quick.
    pub fn on_store(mut self, hook: impl Fn(&StoreEvent<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.on_store(hook);
        self
    }

    /// Calls a function after each invalidation that was confirmed or went to the outbox. It must be quick.
    pub fn on_invalidate(
        mut self,
        hook: impl Fn(&InvalidateEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_invalidate(hook);
        self
    }

    /// What the clones of the handle share, connected.
    pub(crate) async fn build_core(self) -> Result<Arc<Core>, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::new(ErrorKind::InvalidConfig, "build the handle inside a tokio runtime")
        })?;
        let profiles = Profiles::build(self.profiles, self.defaults, self.tables.as_deref())?;
        let endpoint = self.address.endpoint()?;
        let settings = Settings {
            timeouts: self.timeouts,
            retry_at_most: self.retry_at_most.max(Duration::from_millis(1)),
            outbox: self.outbox,
        };
        let link = Link::new(endpoint, settings, runtime);
        let core = Arc::new(Core {
            link,
            flights: Flights::new(),
            waiting: Waiting::new(self.waiting),
            #[cfg(feature = "moka")]
            near: crate::near::Near::new(self.near_bytes),
            hooks: self.hooks,
            profiles,
            warned: Once::default(),
            refusals: Default::default(),
            format: self.format,
            version: self.version,
            names: self.names,
            enabled: self.enabled,
            strict: self.strict,
            tokens: self.tokens,
            lock: self.lock,
        });
        if self.enabled {
            let link = &core.link;
            match link.connect().await {
                Ok(()) => {}
                Err(error) if error.is_retryable() && !self.strict => {
                    tracing::warn!(exception.message = %error, "cacheops: starts without the server");
                    link.mend();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(core)
    }
}

impl Address {
    fn endpoint(self) -> Result<Endpoint, Error> {
        match self {
            Self::Url(url) => Endpoint::single(&url),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels, name, url) => {
                Ok(Endpoint::Sentinel(crate::sentinel::Sentinels::new(sentinels, name, &url)?))
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => Ok(Endpoint::Cluster(crate::nodes::ClusterNodes::new(nodes)?)),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("Builder").field("names", &self.names).finish_non_exhaustive()
    }
}
