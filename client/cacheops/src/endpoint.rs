//! Where the server is, and how a connection is made.

use std::time::Duration;

use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

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
        let info = read_url(url)?;
        #[cfg(feature = "rustls")]
        choose_cryptography();
        Ok(Self::Single(redis::Client::open(info).map_err(|error| unusable(url, &error))?))
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

/// Reads a URL. The error names it, without what is secret, and the form that is expected.
pub(crate) fn read_url(url: &str) -> Result<ConnectionInfo, Error> {
    url.into_connection_info().map_err(|error| unusable(url, &error))
}

fn unusable(url: &str, error: &redis::RedisError) -> Error {
    let mut reason = error.to_string();
    // Behind a dash stands the kind, which says nothing new.
    if let Some((text, _)) = reason.rsplit_once(" - ") {
        reason.truncate(text.len());
    }
    let url = redacted(url);
    Error::new(
        ErrorKind::InvalidConfig,
        format!("the URL '{url}' cannot be used: {reason}; {EXPECTED_URL}"),
    )
}

pub(crate) const EXPECTED_URL: &str = "expected redis://user:password@host:port/database, rediss:// with \
    the feature `rustls`, or unix:///path?db=database";

/// The server of a connection, as a URL without user and password.
pub(crate) fn name_of(info: &ConnectionInfo) -> String {
    let database = info.redis_settings().db();
    match info.addr() {
        ConnectionAddr::Unix(path) => format!("unix://{}?db={database}", path.display()),
        ConnectionAddr::TcpTls { .. } => format!("rediss://{}/{database}", info.addr()),
        _ => format!("redis://{}/{database}", info.addr()),
    }
}

/// A URL that may not even be one, without what could be user, password or parameters.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        // It may belong to either.
        Some((user, _)) if user.contains('?') => return format!("{scheme}***"),
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((address, _)) => format!("{scheme}{user}{address}?***"),
        None => format!("{scheme}{user}{rest}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_named_without_what_is_secret() {
        for (url, named) in [
            ("redis://localhost:port/", "redis://localhost:port/"),
            ("redis://user:secret@localhost:port/1", "redis://***@localhost:port/1"),
            ("redis://:s@cret@host/", "redis://***@host/"),
            ("redis://user:sec?ret@host/", "redis://***"),
            ("unix:///run/s?db=1&pass=secret", "unix:///run/s?***"),
            ("unix:///run/s?db=1&pass=sec@ret", "unix://***"),
            ("user:secret@host:6379", "***@host:6379"),
            ("localhost:6379", "localhost:6379"),
            ("", ""),
        ] {
            assert_eq!(redacted(url), named);
            assert!(!read_url(url).is_err_and(|error| error.to_string().contains("cret")), "{url}");
        }
    }

    #[test]
    fn an_unreadable_url_is_named_with_the_form_that_is_expected() {
        for url in ["", "localhost:6379", "http://host/", "redis://host:port/", "redis://host/db"] {
            let error = read_url(url).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            let text = error.to_string();
            assert!(text.contains(&format!("'{url}'")), "{text}");
            assert!(text.contains("redis://user:password@host:port/database"), "{text}");
        }
    }

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
