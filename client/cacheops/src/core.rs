//! What the clones of a handle share.

use std::sync::Arc;

use tracing::Instrument;

use crate::codec::{self, Codec};
use crate::config::{LockTimes, Names};
use crate::flight::Flights;
use crate::hooks::Hooks;
use crate::link::Link;
use crate::once::Once;
use crate::profile::Profiles;
use crate::refusals::{Refusals, refused_for_limits};
use crate::stats::count;
use crate::{Changes, Client, Error, ErrorKind, Format};

/// What all clones of a handle share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) link: Arc<Link>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) waiting: crate::wait::Waiting,
    #[cfg(feature = "moka")]
    pub(crate) near: crate::near::Near,
    pub(crate) hooks: Hooks,
    pub(crate) profiles: Profiles,
    pub(crate) warned: Once,
    pub(crate) refusals: Refusals,
    pub(crate) format: Format,
    /// What the application calls the meaning of its values.
    pub(crate) version: String,
    pub(crate) names: Names,
    pub(crate) enabled: bool,
    pub(crate) strict: bool,
    /// Off only where a test shows what they prevent.
    pub(crate) tokens: bool,
    pub(crate) lock: LockTimes,
}

impl Core {
    /// The connection, if the cache is on and may be trusted. Otherwise somebody sees to it.
    pub(crate) fn trusted(&self) -> Option<Client> {
        if !self.enabled {
            return None;
        }
        let client = self.link.trusted();
        if client.is_none() {
            self.link.mend();
        }
        client
    }

    /// The module's commands, over the connection of now.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let away = || Error::new(ErrorKind::Connection, "the server is away");
        self.link.up().ok_or_else(away)
    }

    /// The bytes of an entry.
    pub(crate) fn encode<T, C: Codec<T>>(&self, codec: &C, value: &T) -> Result<Vec<u8>, Error> {
        codec::frame(codec, &self.version, value)
    }

    /// A miss without a token, where nobody else holds a lock.
    pub(crate) fn warn_of_replica(&self) {
        if self.warned.first("replica") {
            let server = self.link.endpoint().name();
            tracing::warn!(
                cacheops.server = server,
                "cacheops: the server is a replica: reads are answered, but nothing is stored; connect to its primary"
            );
        }
    }

    /// The value of an entry; none, and counted, if it is of another type, format or version.
    pub(crate) fn decode<T, C: Codec<T>>(&self, codec: &C, bytes: &[u8]) -> Option<T> {
        match codec::unframe(codec, &self.version, bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::debug!(exception.message = %error, "cacheops: an entry is not used");
                count(&self.link.counters.undecodable);
                None
            }
        }
    }

    /// Sends changes to the server, once. Returns the number of links that were cut.
    pub(crate) async fn send(&self, changes: &Changes) -> Result<u64, Error> {
        let Some(client) = self.link.up() else {
            // An error of its own: a connection that breaks while it sends has another.
            return Err(Error::new(ErrorKind::Unavailable, "the server is away"));
        };
        let span = span_of(changes);
        match client.send_changes(changes).instrument(span).await {
            Ok(links) => {
                let counters = &self.link.counters;
                count(&counters.invalidations);
                counters.links_cut.fetch_add(links, std::sync::atomic::Ordering::Relaxed);
                Ok(links)
            }
            Err(error) => {
                tracing::warn!(exception.message = %error, "cacheops: not confirmed, will be repeated");
                self.link.failed(&client, &error);
                Err(error)
            }
        }
    }

    /// Looks whether the server refuses stores for its limits, and warns of it once. No caller waits for that.
    pub(crate) fn look_for_refusals(self: &Arc<Self>, client: &Client, key: &[u8]) {
        if !self.refusals.is_due() {
            return;
        }
        let (core, client, key) = (Arc::clone(self), client.clone(), key.to_vec());
        core.link.runtime().spawn(async move {
            let mut command = redis::cmd("INFO");
            command.arg("cacheops");
            // Who may not ask for it is not warned.
            let Ok(info) = client.query_at::<String>(&key, &command).await else { return };
            let refused = refused_for_limits(&info);
            if refused > 0 && core.warned.first("refused for limits") {
                tracing::warn!(
                    cacheops.refused = refused,
                    "cacheops: the server refuses stores that need another table, since it tracks as many as it may: see \
                     the directives cacheops.max-tables and cacheops.max-catalog-bytes"
                );
            }
        });
    }
}

fn span_of(changes: &Changes) -> tracing::Span {
    if changes.is_everything() {
        return tracing::debug_span!(
            "cacheops.flush",
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = "CACHEOPS.FLUSH",
        );
    }
    let span = tracing::debug_span!(
        "cacheops.invalidate",
        otel.kind = "client",
        db.system.name = "redis",
        db.operation.name = "CACHEOPS.INVALIDATE",
        db.collection.name = tracing::field::Empty,
        cacheops.rows = changes.rows(),
    );
    if let Some(table) = changes.tables().next() {
        span.record("db.collection.name", &*String::from_utf8_lossy(table));
    }
    span
}
