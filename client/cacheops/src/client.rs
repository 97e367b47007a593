//! The thin layer: one connection to a server with the module, and its commands.

use std::collections::BTreeMap;
use std::fmt;

use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue, IntoConnectionInfo, RedisError, Value};

use crate::address::{EXPECTED_URL, name_of};
use crate::channel::{Channel, Server};
use crate::connection::Connection;
use crate::{Changes, Check, Error, ErrorKind, Explanation, Invalidate, Store, Token};

/// The module's commands over one connection, one method each, and nothing more: what a
/// [`Cacheops`](crate::Cacheops) stands on.
///
/// Cheap to clone; all clones share the connection. Concurrent calls travel together: awaiting many
/// futures at once pipelines them.
#[derive(Clone)]
pub struct Client(Channel);

/// What [`Client::lookup`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The value.
    Hit(Vec<u8>),
    /// Nothing, and the token for a store of what the database will say. None on a replica: what
    /// it has not heard yet may be invalidated already, so nothing should be stored.
    Miss(Option<Token>),
}

impl Client {
    /// Connects to a server by its URL, `redis://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ModuleMissing`] and [`ErrorKind::ModuleTooOld`] if the server has no module that
    /// this crate can use, [`ErrorKind::Connection`] if there is no server.
    pub async fn connect(url: impl IntoConnectionInfo) -> Result<Self, Error> {
        let unreadable = |error: RedisError| {
            Error::new(ErrorKind::InvalidConfig, format!("{error}; {EXPECTED_URL}"))
        };
        let client = redis::Client::open(url).map_err(unreadable)?;
        let name = name_of(client.get_connection_info());
        let connecting = async { Self::new(ConnectionManager::new(client).await?).await };
        connecting.await.map_err(|error| error.of(&name))
    }

    /// Uses a connection with settings of its own: timeouts, retries, TLS. A `ConnectionManager`
    /// renews itself, a `MultiplexedConnection` ends when it breaks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn new(connection: impl Into<Connection>) -> Result<Self, Error> {
        Channel::new(connection.into()).await.map(Self)
    }

    /// The value of an entry, if it is a hit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if the key is not an entry.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        self.query(redis::cmd("CACHEOPS.GET").arg(key.as_ref())).await
    }

    /// The values of several entries, in the order of the keys. A key of another type is a miss.
    ///
    /// In a cluster it is one command for each slot, since a command may not name keys of several.
    pub async fn get_many<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut groups = BTreeMap::<u16, Vec<usize>>::new();
        for (at, key) in keys.iter().enumerate() {
            groups.entry(self.0.connection().slot_of(key.as_ref())).or_default().push(at);
        }
        let mut values = vec![None; keys.len()];
        for places in groups.into_values() {
            let mut command = redis::cmd("CACHEOPS.MGET");
            for at in &places {
                command.arg(keys[*at].as_ref());
            }
            let found: Vec<Option<Vec<u8>>> = self.query(&command).await?;
            if found.len() != places.len() {
                let text = "MGET answered another number of values than keys";
                return Err(Error::new(ErrorKind::UnexpectedReply, text));
            }
            for (at, value) in places.into_iter().zip(found) {
                values[at] = value;
            }
        }
        Ok(values)
    }

    /// The value of an entry, or the token for storing it: both in one round trip.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if the key is not an entry, [`ErrorKind::Unsupported`] if the
    /// module has no tokens.
    pub async fn lookup(&self, key: impl AsRef<[u8]>) -> Result<Lookup, Error> {
        self.require("token")?;
        match self.query(redis::cmd("CACHEOPS.GET").arg(key.as_ref()).arg("TOKEN")).await? {
            // A value is never an integer.
            Value::Int(token) => Ok(Lookup::Miss(u64::try_from(token).ok().map(Token))),
            Value::Nil => Ok(Lookup::Miss(None)),
            value => Ok(Lookup::Hit(redis::from_redis_value(value).map_err(RedisError::from)?)),
        }
    }

    /// The token of now, to be taken before a query whose result will be stored; in a transaction
    /// that reads from a snapshot, before its begin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] on a replica, [`ErrorKind::Unsupported`] if the module has no tokens,
    /// [`ErrorKind::InvalidRequest`] in a cluster, where a token is of one shard:
    /// [`token_for`](Self::token_for).
    pub async fn token(&self) -> Result<Token, Error> {
        if self.is_cluster() {
            let text = "in a cluster a token is of one shard: call `token_for` with the key";
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        self.require("token")?;
        let token: Option<u64> = self.query(&redis::cmd("CACHEOPS.TOKEN")).await?;
        no_replica(token.map(Token))
    }

    /// The token of now on the shard of a key: for a store under that key, or for a [`check`](Self::check) that names it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] on a replica, [`ErrorKind::Unsupported`] if the module has no tokens.
    pub async fn token_for(&self, key: impl AsRef<[u8]>) -> Result<Token, Error> {
        self.require("token")?;
        no_replica(self.token_of(key.as_ref()).await?)
    }

    /// Whether nothing was invalidated since a token, for a value that is kept elsewhere: see
    /// [`Check`].
    pub fn check(&self, token: Token) -> Check<'_> {
        Check::new(&self.0, token)
    }

    /// Stores a value with the conditions it depends on: see [`Store`].
    pub fn store<'a>(
        &'a self,
        key: &'a (impl AsRef<[u8]> + ?Sized),
        value: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Store<'a> {
        Store::new(&self.0, key.as_ref(), value.as_ref())
    }

    /// Kills the entries that changed rows may have made stale: see [`Invalidate`].
    pub fn invalidate(&self) -> Invalidate<'_> {
        Invalidate::new(&self.0)
    }

    /// Kills all entries of the database at once, and returns how many there were. Keys of other
    /// types stay.
    pub async fn flush(&self) -> Result<u64, Error> {
        self.0.flush().await
    }

    /// Why an entry is alive or dead; none if there is no such key.
    pub async fn explain(&self, key: impl AsRef<[u8]>) -> Result<Option<Explanation>, Error> {
        self.query(redis::cmd("CACHEOPS.EXPLAIN").arg(key.as_ref())).await
    }

    /// What the server's module said of itself when the connection was made.
    pub fn server(&self) -> &Server {
        self.0.server()
    }

    /// The connection, for commands beyond this crate.
    pub fn connection(&self) -> Connection {
        self.0.connection().clone()
    }

    pub(crate) fn require(&self, capability: &str) -> Result<(), Error> {
        self.0.require(capability)
    }

    pub(crate) fn has(&self, capability: &str) -> bool {
        self.0.has(capability)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.0.is_cluster()
    }

    /// The same server over another connection.
    pub(crate) fn over(&self, connection: impl Into<Connection>) -> Self {
        Self(self.0.over(connection))
    }

    /// Whether they were made by one handshake.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }

    /// Sends a command to the primary that has a key.
    pub(crate) async fn query_at<T: FromRedisValue + Send>(
        &self,
        key: &[u8],
        command: &Cmd,
    ) -> Result<T, Error> {
        self.0.query_at(key, command).await
    }

    pub(crate) fn query<'a, T: FromRedisValue + Send + 'a>(
        &'a self,
        command: &'a Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'a {
        self.0.query(command)
    }

    pub(crate) async fn send_changes(&self, changes: &Changes) -> Result<u64, Error> {
        self.invalidate().changes(changes).await
    }
}

fn no_replica(token: Option<Token>) -> Result<Token, Error> {
    token.ok_or_else(|| Error::new(ErrorKind::ReadOnly, "a replica gives no token"))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", self.0.server()).finish_non_exhaustive()
    }
}
