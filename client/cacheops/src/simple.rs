//! Values by name and time: `cache().get`, `set`, `delete`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ask::{Answer, Ask};
use crate::core::Core;
use crate::{Deps, Error, ErrorKind, Key};

/// The table on which all values without dependencies depend: invalidate it to forget them all.
pub(crate) const SIMPLE_TABLE: &str = "cacheops:simple";

/// A cache of values by name, without dependencies: see [`Cacheops::cache`](crate::Cacheops::cache).
///
/// Its names are those of [`Cacheops::read`](crate::Cacheops::read) too: what one stores under a name, the other finds there.
///
/// Its errors are the caller's, unlike those of a [`Read`](crate::Read). Values end with their time,
/// with [`delete`](Self::delete), and with [`Cacheops::invalidate_all`](crate::Cacheops::invalidate_all).
#[derive(Debug)]
pub struct Simple<'a>(&'a Arc<Core>);

impl<'a> Simple<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self(core)
    }

    pub(crate) fn deps() -> Deps {
        Deps::on_table(SIMPLE_TABLE)
    }

    /// The value of a key; none also if it is of another type or the cache is off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] and the like if the server cannot be asked.
    pub async fn get<T>(&self, key: impl Into<Key>) -> Result<Option<T>, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let core = self.0;
        if !core.enabled {
            return Ok(None);
        }
        core.client()?;
        // There, but it has not yet heard of everything: it may have been told to forget.
        let Some(client) = core.trusted() else { return Ok(None) };
        match client.ask(&self.full(key), Ask::default()).await {
            Ok(Answer::Hit(bytes, _)) => Ok(core.decode(&core.format, &bytes)),
            Ok(_) => Ok(None),
            Err(error) => {
                core.link.failed(&client, &error);
                Err(error)
            }
        }
    }

    /// Sets a key, for a time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`], [`ErrorKind::ValueTooLarge`], [`ErrorKind::Connection`] and the like.
    pub async fn set<T>(
        &self,
        key: impl Into<Key>,
        value: &T,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<(), Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let core = self.0;
        if !core.enabled {
            return Ok(());
        }
        let bytes = core.encode(&core.format, value)?;
        let client = core.client()?;
        let (key, deps) = (self.full(key), Self::deps());
        let mut store = client.store(&key, &bytes).deps(&deps);
        if let Some(timeout) = timeout.into() {
            store = store.ttl(timeout);
        }
        match store.await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::new(
                ErrorKind::Rejected,
                "the server tracks no more tables: raise cacheops.max-tables or cacheops.max-catalog-bytes",
            )),
            Err(error) => {
                core.link.failed(&client, &error);
                Err(error)
            }
        }
    }

    /// Deletes a key; false if there was none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] and the like.
    pub async fn delete(&self, key: impl Into<Key>) -> Result<bool, Error> {
        let core = self.0;
        if !core.enabled {
            return Ok(false);
        }
        let client = core.client()?;
        let deleted = client.query(redis::cmd("UNLINK").arg(self.full(key))).await;
        if let Err(error) = &deleted {
            core.link.failed(&client, error);
        }
        deleted
    }

    fn full(&self, key: impl Into<Key>) -> Vec<u8> {
        self.0.names.full(key.into().as_bytes(), &Self::deps())
    }
}
