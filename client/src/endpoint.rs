//! Where the server is, and how a connection is made.

use std::time::Duration;

use redis::{AsyncConnectionConfig, IntoConnectionInfo};

use crate::{Client, Error, ErrorKind};

/// A server by its address, a primary by its sentinels, or a cluster by some of its nodes.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Single(redis::Client),
    #[cfg(feature = "sentinel")]
    Sentinel(crate::sentinel::Sentinels),
    #[cfg(feature = "cluster")]
    Cluster(crate::cluster::ClusterEndpoint),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
}

impl Timeouts {
    /// For connecting, logging in and the handshake together.
    fn all(self) -> Duration {
        self.connect.saturating_add(self.response.saturating_mul(2))
    }

    pub(crate) fn config(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect))
            .set_response_timeout(Some(self.response))
    }
}

impl Endpoint {
    pub(crate) fn single(url: &str) -> Result<Self, Error> {
        let unreadable = |error: redis::RedisError| {
            // The text of the error does not repeat the URL, which may hold a password.
            Error::new(ErrorKind::InvalidConfig, format!("the address cannot be used: {error}"))
        };
        let info = url.into_connection_info().map_err(unreadable)?;
        #[cfg(feature = "rustls")]
        choose_cryptography();
        Ok(Self::Single(redis::Client::open(info).map_err(unreadable)?))
    }

    /// Connects and shakes hands.
    pub(crate) async fn connect(&self, timeouts: Timeouts) -> Result<Client, Error> {
        let opening = async {
            match self {
                Self::Single(client) => direct(client, timeouts).await,
                #[cfg(feature = "sentinel")]
                Self::Sentinel(sentinels) => direct(&sentinels.primary().await?, timeouts).await,
                #[cfg(feature = "cluster")]
                Self::Cluster(cluster) => Client::new(cluster.connect(timeouts).await?).await,
            }
        };
        in_time(timeouts, opening).await
    }

    /// A connection of its own, for a question that blocks it; in a cluster, to this node.
    pub(crate) async fn connect_apart(
        &self,
        timeouts: Timeouts,
        like: &Client,
        node: Option<&str>,
    ) -> Result<Client, Error> {
        let opening = async {
            let client = match self {
                Self::Single(client) => client.clone(),
                #[cfg(feature = "sentinel")]
                Self::Sentinel(sentinels) => sentinels.primary().await?,
                #[cfg(feature = "cluster")]
                Self::Cluster(cluster) => cluster.node(node.unwrap_or_default())?,
            };
            let _ = node;
            // Whoever waits sets a limit of their own.
            let config = timeouts.config().set_response_timeout(None);
            let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            Ok(like.over(connection))
        };
        in_time(timeouts, opening).await
    }
}

/// rustls panics where nobody has chosen who does its cryptography, and several could.
#[cfg(feature = "rustls")]
pub(crate) fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Should somebody have chosen in this moment, theirs it is.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

async fn direct(client: &redis::Client, timeouts: Timeouts) -> Result<Client, Error> {
    let config = timeouts.config();
    Client::new(client.get_multiplexed_async_connection_with_config(&config).await?).await
}

async fn in_time<T>(
    timeouts: Timeouts,
    opening: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeouts.all(), opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::new(ErrorKind::Timeout, "the server could not be reached in time")),
    }
}
