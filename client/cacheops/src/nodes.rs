//! The nodes of a cluster that an application names.

use redis::cluster::ClusterClientBuilder;
use redis::{ConnectionAddr, IntoConnectionInfo};

use crate::{Error, ErrorKind};

/// Some nodes of a cluster, by their URLs.
#[derive(Clone)]
pub(crate) struct ClusterNodes(Vec<String>);

impl std::fmt::Debug for ClusterNodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URLs may hold passwords.
        f.debug_tuple("ClusterNodes").field(&self.name()).finish()
    }
}

impl ClusterNodes {
    pub(crate) fn new(nodes: Vec<String>) -> Result<Self, Error> {
        #[cfg(feature = "rustls")]
        crate::address::choose_cryptography();
        // An address that cannot be read shows now and not at the first connection.
        for node in &nodes {
            crate::address::read_url(node)?;
        }
        ClusterClientBuilder::new(nodes.clone()).build().map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, format!("the nodes cannot be used: {error}"))
        })?;
        Ok(Self(nodes))
    }

    /// Where the cluster is, without what is secret.
    pub(crate) fn name(&self) -> String {
        let nodes: Vec<_> = self.0.iter().map(|node| crate::address::redacted(node)).collect();
        format!("the cluster of {}", nodes.join(", "))
    }

    /// The URLs.
    pub(crate) fn urls(&self) -> &[String] {
        &self.0
    }

    /// One node by its address, reached in the way of the first that was named.
    pub(crate) fn node(&self, address: &str) -> Result<redis::Client, Error> {
        let unknown = || unexpected("CLUSTER SLOTS names no address");
        let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().map_err(|_| unknown())?;
        let info = self.0.first().ok_or_else(unknown)?.as_str().into_connection_info()?;
        let mut at = info.addr().clone();
        match &mut at {
            ConnectionAddr::TcpTls { host: named, port: of, .. } => {
                (*named, *of) = (host.to_owned(), port);
            }
            _ => at = ConnectionAddr::Tcp(host.to_owned(), port),
        }
        Ok(redis::Client::open(info.set_addr(at))?)
    }
}

pub(crate) fn unexpected(text: &str) -> Error {
    Error::new(ErrorKind::UnexpectedReply, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_name_nor_debug_output_reveals_a_password() {
        let urls = ["redis://user:secret@a:1/", "redis://user:secret@b:2/"].map(str::to_owned);
        let nodes = ClusterNodes::new(urls.to_vec()).unwrap();

        assert_eq!(nodes.name(), "the cluster of redis://***@a:1/, redis://***@b:2/");
        assert!(!format!("{nodes:?}").contains("secret"));
    }
}
