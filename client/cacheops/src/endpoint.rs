//! Where the server is, and how a connection is made.

use crate::address::{Timeouts, name_of, read_url};
use crate::{Client, Error, ErrorKind};

/// A server by its address, a primary by its sentinels, or a cluster by some of its nodes.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Single(redis::Client),
    #[cfg(feature = "sentinel")]
    Sentinel(crate::sentinel::Sentinels),
    #[cfg(feature = "cluster")]
    Cluster(crate::nodes::ClusterNodes),
}

impl Endpoint {
    pub(crate) fn single(url: &str) -> Result<Self, Error> {
        let info = read_url(url)?;
        #[cfg(feature = "rustls")]
        crate::address::choose_cryptography();
        Ok(Self::Single(
            redis::Client::open(info).map_err(|error| crate::address::unusable(url, &error))?,
        ))
    }

    /// Where the server is, without what is secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Single(client) => name_of(client.get_connection_info()),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.name().to_owned(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.name(),
        }
    }

    /// Connects and shakes hands. An error names the server.
    pub(crate) async fn connect(&self, timeouts: Timeouts) -> Result<Client, Error> {
        self.open(timeouts).await.map_err(|error| error.of(&self.name()))
    }

    async fn open(&self, timeouts: Timeouts) -> Result<Client, Error> {
        let opening = async {
            match self {
                Self::Single(client) => direct(client, timeouts).await,
                #[cfg(feature = "sentinel")]
                Self::Sentinel(sentinels) => direct(&sentinels.primary().await?, timeouts).await,
                #[cfg(feature = "cluster")]
                Self::Cluster(cluster) => {
                    Client::new(crate::cluster::ClusterLink::connect(cluster, timeouts).await?)
                        .await
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_address_and_database() {
        for (url, name) in [
            ("redis://user:secret@localhost/", "redis://localhost:6379/0"),
            ("redis://127.0.0.1:7/3", "redis://127.0.0.1:7/3"),
            ("unix:///run/s?db=1&pass=secret", "unix:///run/s?db=1"),
        ] {
            assert_eq!(Endpoint::single(url).unwrap().name(), name);
        }
    }
}
