//! A connection to a server with the module, and what its module can do.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use redis::{Cmd, FromRedisValue, RedisError, Value};

use crate::connection::Connection;
use crate::{Error, ErrorKind};

/// The grammar of commands that this crate speaks.
const MIN_GRAMMAR: u64 = 1;

/// One connection, after the handshake. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Channel {
    connection: Connection,
    server: Arc<Server>,
}

/// What the server's module said of itself when the connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// The version of the module, as `0.1.0`.
    pub version: String,
    /// The version of the grammar of its commands.
    pub grammar: u64,
    /// What it can do beyond the first version.
    pub capabilities: Vec<String>,
}

impl Channel {
    /// Deletes all entries of the database: on every primary of a cluster.
    pub(crate) async fn flush(&self) -> Result<u64, Error> {
        let mut command = redis::cmd("CACHEOPS.FLUSH");
        if self.is_cluster() {
            command.arg("SHARD");
        }
        self.query_all(&command).await
    }

    /// Queries what the module can do.
    pub(crate) async fn new(mut connection: Connection) -> Result<Self, Error> {
        let server = Server::query(&mut connection).await?;
        Ok(Self { connection, server: Arc::new(server) })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn require(&self, capability: &str) -> Result<(), Error> {
        if self.has(capability) {
            return Ok(());
        }
        let version = &self.server.version;
        let text = format!("the server's module {version} lacks the capability `{capability}`");
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// The same server over another connection.
    pub(crate) fn over(&self, connection: impl Into<Connection>) -> Self {
        Self { connection: connection.into(), server: Arc::clone(&self.server) }
    }

    /// Whether they were made by one handshake.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.server, &other.server)
    }

    pub(crate) fn has(&self, capability: &str) -> bool {
        self.server.capabilities.iter().any(|known| known == capability)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.connection.is_cluster()
    }

    /// Sends a command to every primary and returns the sum of the answers.
    pub(crate) async fn query_all(&self, command: &Cmd) -> Result<u64, Error> {
        #[cfg(feature = "cluster")]
        if let crate::connection::Kind::Cluster(link) = &self.connection.0 {
            return Box::pin(link.ask_all_primaries(command)).await;
        }
        self.query(command).await
    }

    /// Sends a command to the primary that has a key. The driver finds by itself only a key that is the first argument.
    pub(crate) async fn query_at<T: FromRedisValue + Send>(
        &self,
        key: &[u8],
        command: &Cmd,
    ) -> Result<T, Error> {
        #[cfg(feature = "cluster")]
        if let crate::connection::Kind::Cluster(link) = &self.connection.0 {
            let answer = Box::pin(link.ask_primary_of(key, command)).await?;
            return Ok(redis::from_redis_value(answer).map_err(RedisError::from)?);
        }
        let _ = key;
        self.query(command).await
    }

    /// Boxed, so that futures which contain it stay small and of a type that compilers can follow.
    pub(crate) fn query<'a, T: FromRedisValue + Send + 'a>(
        &'a self,
        command: &'a Cmd,
    ) -> Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>> {
        Box::pin(async move { Ok(command.query_async(&mut self.connection.clone()).await?) })
    }
}

impl Server {
    async fn query(connection: &mut Connection) -> Result<Self, Error> {
        let reply: Value = redis::cmd("CACHEOPS.VERSION").query_async(connection).await?;
        let unexpected =
            |what| Error::new(ErrorKind::UnexpectedReply, format!("CACHEOPS.VERSION {what}"));

        let mut server = Self { version: String::new(), grammar: 0, capabilities: Vec::new() };
        for (name, value) in reply.into_map_iter().map_err(|_| unexpected("is no map"))? {
            let name: String = redis::from_redis_value(name).map_err(RedisError::from)?;
            let parsed = match name.as_str() {
                "version" => redis::from_redis_value(value).map(|v| server.version = v),
                "grammar" => redis::from_redis_value(value).map(|v| server.grammar = v),
                "capabilities" => redis::from_redis_value(value).map(|v| server.capabilities = v),
                _ => Ok(()),
            };
            parsed.map_err(RedisError::from)?;
        }
        if server.grammar < MIN_GRAMMAR {
            let Self { version, grammar, .. } = &server;
            return Err(Error::new(
                ErrorKind::ModuleTooOld,
                format!(
                    "the server's module {version} speaks grammar {grammar}, at least {MIN_GRAMMAR} is needed"
                ),
            ));
        }
        Ok(server)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("server", &self.server).finish_non_exhaustive()
    }
}
