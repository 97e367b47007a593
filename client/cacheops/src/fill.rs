//! What a reader holds while it loads: the token, the flight it leads, the lock.

use std::future::IntoFuture;
use std::sync::Arc;

use tracing::Instrument;

use crate::codec::Codec;
use crate::core::Core;
use crate::events::{StoreEvent, StoreOutcome};
use crate::flight::{Landing, Lead, Outcome, Stamp};
use crate::options::Options;
use crate::stats::count;
use crate::{Client, Deps, Error, ErrorKind, Token, Version};

/// The right to store a result, and the duty to tell those who wait for it. Dropped, it does neither:
/// the flight is abandoned and the lock given up.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) core: Arc<Core>,
    pub(crate) key: Vec<u8>,
    /// Without one nothing may be stored.
    pub(crate) token: Option<Token>,
    /// When the server was asked for the token.
    pub(crate) asked: Stamp,
    pub(crate) lead: Option<Lead>,
    pub(crate) lock: Option<Lock>,
}

/// A lock of the server, given up when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    core: Arc<Core>,
    client: Client,
    key: Vec<u8>,
    token: Option<Token>,
}

impl Lock {
    pub(crate) fn new(core: &Arc<Core>, client: &Client, key: &[u8], token: Token) -> Self {
        let (core, client) = (Arc::clone(core), client.clone());
        Self { core, client, key: key.to_vec(), token: Some(token) }
    }

    /// The server has ended it with the store.
    fn ended(mut self) {
        self.token = None;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(token) = self.token else { return };
        let (client, key) = (self.client.clone(), std::mem::take(&mut self.key));
        // If this fails, the lock ends by itself.
        self.core.link.runtime().spawn(async move { client.release(key, token).await });
    }
}

impl Fill {
    /// The loader failed: those who wait load for themselves.
    pub(crate) fn failed(mut self) {
        if let Some(lead) = self.lead.take() {
            lead.end(Outcome::Failed);
        }
    }

    /// Stores the value and hands it to those who wait. Nothing that goes wrong here concerns the
    /// caller.
    pub(crate) async fn store<T, C: Codec<T>>(
        mut self,
        codec: &C,
        value: &T,
        deps: &Deps,
        options: &Options<'_>,
    ) {
        let bytes: Arc<[u8]> = match self.core.encode(codec, value) {
            Ok(bytes) => bytes.into(),
            Err(error) => {
                count(&self.core.link.counters.unencodable);
                self.warn(std::any::type_name::<T>(), &error, options);
                self.told(deps, options, StoreOutcome::Unencodable(&error));
                return self.failed();
            }
        };
        let version = self.put(&bytes, deps, options).await;
        #[cfg(feature = "moka")]
        if let (true, Some(version)) = (options.near, version) {
            self.core.near.put(&self.key, version, Arc::clone(&bytes));
        }
        if let Some(lead) = self.lead.take() {
            let (asked, token) = (self.asked, self.token);
            lead.end(Outcome::Landed(Landing { bytes, asked, token, version }));
        }
    }

    /// Warns of what keeps results out of the cache each time, once for each cause.
    fn warn(&self, cause: &str, error: &Error, options: &Options<'_>) {
        let op = options.op;
        if self.core.warned.first(cause) {
            tracing::warn!(
                exception.message = %error,
                cacheops.op = op,
                "cacheops: a result is not cached; this is said once, count further ones by on_store"
            );
        } else {
            tracing::debug!(exception.message = %error, cacheops.op = op, "cacheops: a result is not cached");
        }
    }

    fn told(&self, deps: &Deps, options: &Options<'_>, outcome: StoreOutcome<'_>) {
        let (op, key) = (options.op, self.key.as_slice());
        self.core.hooks.store(&StoreEvent { op, key, deps, outcome });
    }

    async fn put(&mut self, bytes: &[u8], deps: &Deps, options: &Options<'_>) -> Option<Version> {
        let counters = &self.core.link.counters;
        let token = self.token?;
        if deps.is_empty() {
            return None;
        }
        let span = tracing::debug_span!(
            "cacheops.store",
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = "CACHEOPS.STORE",
            cacheops.bytes = bytes.len(),
            cacheops.conditions = deps.len(),
        );
        let link = &self.core.link;
        // Over the connection of now: that of the question may be known to be dead. On another server the token is
        // refused.
        let Some(client) = link.up() else {
            count(&counters.store_errors);
            let error = Error::new(ErrorKind::Unavailable, "the server is away");
            self.told(deps, options, StoreOutcome::Failed(&error));
            return None;
        };
        let mut store = client.store(&self.key, bytes).ttl(options.ttl).deps(deps);
        if self.core.tokens {
            store = store.token(token);
        }
        let watch = link.watch(&client);
        let stored = store.into_future().instrument(span).await;
        watch.done();
        match stored {
            Ok(version) => {
                count(if version.is_some() { &counters.stores } else { &counters.stores_refused });
                if let Some(lock) = self.lock.take() {
                    lock.ended();
                }
                let stored = version.is_some();
                let outcome = if stored { StoreOutcome::Stored } else { StoreOutcome::Refused };
                if !stored {
                    self.core.look_for_refusals(&client, &self.key);
                }
                self.told(deps, options, outcome);
                version
            }
            Err(error) => {
                count(&counters.store_errors);
                if error.is_of_the_request() {
                    count(&counters.stores_rejected);
                    let table = deps.iter().next().map(|(table, _)| table).unwrap_or_default();
                    let table = String::from_utf8_lossy(table);
                    self.warn(&format!("{table} {:?}", error.kind()), &error, options);
                    self.told(deps, options, StoreOutcome::Rejected(&error));
                } else {
                    tracing::debug!(exception.message = %error, "cacheops: a result was not stored");
                    self.told(deps, options, StoreOutcome::Failed(&error));
                }
                // A server that takes no writes, or not from us, may well answer reads.
                if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Denied) {
                    link.failed(&client, &error);
                }
                None
            }
        }
    }
}
