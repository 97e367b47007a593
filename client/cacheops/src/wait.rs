//! Waiting for somebody else's lock, inside the server.
//!
//! A question with WAIT blocks its connection, so it has one of its own: a few are kept. A reader that
//! is dropped while it waits closes its connection, and with it gives up a lock that may have been
//! passed on to it in the same moment.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::ask::{Answer, Ask};
use crate::link::Link;
use crate::{Client, Error, ErrorKind};

#[derive(Debug)]
pub(crate) struct Waiting {
    /// Each with the node of a cluster to which it leads.
    idle: Mutex<Vec<(Option<String>, Client)>>,
    most: usize,
    free: Arc<Semaphore>,
}

impl Waiting {
    pub(crate) fn new(connections: usize) -> Self {
        let free = Semaphore::new(connections.min(Semaphore::MAX_PERMITS));
        Self { idle: Mutex::new(Vec::new()), most: connections, free: Arc::new(free) }
    }

    /// Asks over a connection of its own; none if all are in use.
    ///
    /// Boxed: it is rare, and it contains all that connecting takes.
    pub(crate) fn ask<'a>(
        &'a self,
        link: &'a Link,
        client: &'a Client,
        key: &'a [u8],
        ask: Ask,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Answer>, Error>> + Send + 'a>> {
        Box::pin(self.ask_apart(link, client, key, ask))
    }

    async fn ask_apart(
        &self,
        link: &Link,
        client: &Client,
        key: &[u8],
        ask: Ask,
    ) -> Result<Option<Answer>, Error> {
        let Ok(_permit) = Arc::clone(&self.free).try_acquire_owned() else { return Ok(None) };
        let node = client.connection().node_of(key).await?;
        let apart = match self.take(client, node.as_deref()) {
            Some(apart) => apart,
            None => {
                let endpoint = link.endpoint();
                endpoint.connect_apart(link.timeouts(), client, node.as_deref()).await?
            }
        };
        let limit = ask.wait.unwrap_or_default().saturating_add(link.timeouts().response);
        // Whatever ends this early also ends the connection.
        match tokio::time::timeout(limit, apart.ask(key, ask)).await {
            Ok(answer) => {
                let answer = answer?;
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < self.most {
                    idle.push((node, apart));
                }
                Ok(Some(answer))
            }
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the server did not end the wait")),
        }
    }

    /// A connection made along with `client`; others are of a server that was lost.
    fn take(&self, client: &Client, node: Option<&str>) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, apart)| apart.is_same(client));
        let at = idle.iter().position(|(known, _)| known.as_deref() == node)?;
        Some(idle.swap_remove(at).1)
    }
}
