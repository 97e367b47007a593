//! A connection, however the server is reached.

use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};

#[cfg(feature = "cluster")]
use crate::cluster::ClusterLink;

/// A connection for commands beyond this crate: anything that redis-rs sends.
#[derive(Clone)]
pub struct Connection(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    /// Renews itself.
    Managed(Box<ConnectionManager>),
    /// Ends when it breaks: whoever made it makes another.
    Direct(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterLink),
}

impl From<ConnectionManager> for Connection {
    fn from(connection: ConnectionManager) -> Self {
        Self(Kind::Managed(Box::new(connection)))
    }
}

impl From<MultiplexedConnection> for Connection {
    fn from(connection: MultiplexedConnection) -> Self {
        Self(Kind::Direct(connection))
    }
}

#[cfg(feature = "cluster")]
impl From<ClusterLink> for Connection {
    fn from(link: ClusterLink) -> Self {
        Self(Kind::Cluster(link))
    }
}

impl Connection {
    pub(crate) fn is_cluster(&self) -> bool {
        match &self.0 {
            Kind::Managed(_) | Kind::Direct(_) => false,
            #[cfg(feature = "cluster")]
            Kind::Cluster(_) => true,
        }
    }

    /// The address of the node that has a key; none where there is one server.
    pub(crate) async fn node_of(&self, key: &[u8]) -> Result<Option<String>, crate::Error> {
        let _ = key;
        match &self.0 {
            Kind::Managed(_) | Kind::Direct(_) => Ok(None),
            #[cfg(feature = "cluster")]
            Kind::Cluster(link) => Ok(Some(link.primary_of(key).await?)),
        }
    }

    /// The slot of a key; all have one where there is one server.
    pub(crate) fn slot_of(&self, key: &[u8]) -> u16 {
        let _ = key;
        match &self.0 {
            Kind::Managed(_) | Kind::Direct(_) => 0,
            #[cfg(feature = "cluster")]
            Kind::Cluster(_) => crate::cluster::slot_of(key),
        }
    }

    fn inner(&mut self) -> &mut (dyn ConnectionLike + Send) {
        match &mut self.0 {
            Kind::Managed(connection) => connection.as_mut(),
            Kind::Direct(connection) => connection,
            #[cfg(feature = "cluster")]
            Kind::Cluster(link) => link.connection(),
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.inner().req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.inner().req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::Managed(connection) => connection.get_db(),
            Kind::Direct(connection) => connection.get_db(),
            #[cfg(feature = "cluster")]
            Kind::Cluster(_) => 0,
        }
    }
}
