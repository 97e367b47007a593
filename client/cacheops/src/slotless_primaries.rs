//! Primaries of a cluster that have no slots yet. While the first one is on its way to them they hold entries already:
//! clients are sent there by ASK. So invalidations go to them too, over connections of their own, since the driver
//! keeps none to a node without slots.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use crate::Error;
use crate::address::Timeouts;
use crate::nodes::{ClusterNodes, unexpected};

pub(crate) struct SlotlessPrimaries {
    endpoint: ClusterNodes,
    timeouts: Timeouts,
    connections: Mutex<HashMap<String, MultiplexedConnection>>,
}

impl SlotlessPrimaries {
    pub(crate) fn new(endpoint: ClusterNodes, timeouts: Timeouts) -> Self {
        Self { endpoint, timeouts, connections: Mutex::default() }
    }

    /// Sends a command to each of them. One that does not answer is an error, until the cluster calls it failed.
    pub(crate) async fn send(&self, nodes: &str, command: &Cmd) -> Result<Vec<Value>, Error> {
        let addresses = without_slots(nodes)?;
        self.connections().retain(|address, _| addresses.contains(&address.as_str()));
        let mut answers = Vec::new();
        for address in addresses {
            let mut connection = self.connection(address).await?;
            match command.query_async(&mut connection).await {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    self.connections().remove(address);
                    return Err(error.into());
                }
            }
        }
        Ok(answers)
    }

    async fn connection(&self, address: &str) -> Result<MultiplexedConnection, Error> {
        if let Some(connection) = self.connections().get(address) {
            return Ok(connection.clone());
        }
        let client = self.endpoint.node(address)?;
        let config = self.timeouts.config();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        self.connections().insert(address.to_owned(), connection.clone());
        Ok(connection)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<String, MultiplexedConnection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of the primaries without slots, from the reply of `CLUSTER NODES`:
/// `id ip:port@bus[,name] flags primary ping pong epoch state slots ...` a line.
fn without_slots(nodes: &str) -> Result<Vec<&str>, Error> {
    let mut addresses = Vec::new();
    for line in nodes.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(address), Some(flags)) = (fields.next(), fields.next()) else {
            return Err(unexpected("a line of CLUSTER NODES has another form"));
        };
        let has = |flag| flags.split(',').any(|known| known == flag);
        // In brackets stands what is on its way.
        let has_slots = fields.skip(5).any(|slots| !slots.starts_with('['));
        if !has("master") || has_slots || ["fail", "handshake", "noaddr"].into_iter().any(has) {
            continue;
        }
        addresses.push(address.split(['@', ',']).next().unwrap_or_default());
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_primaries_without_slots() {
        let nodes = "a 127.0.0.1:1@11 myself,master - 0 0 1 connected 0-5 7 [9->-b]\n\
                     b 127.0.0.1:2@12,name master - 0 0 2 connected\n\
                     c 127.0.0.1:3@13 slave a 0 0 1 connected\n\
                     d 127.0.0.1:4@14 master,fail - 0 0 3 disconnected\n\
                     e 127.0.0.1:5@15 myself,master - 0 0 4 connected [9-<-a]\n\
                     f 127.0.0.1:6 master,fail? - 0 0 5 connected\n\
                     g :0@0 master,noaddr - 0 0 6 disconnected\n";

        assert_eq!(without_slots(nodes).unwrap(), ["127.0.0.1:2", "127.0.0.1:5", "127.0.0.1:6"]);
        assert!(without_slots("").unwrap().is_empty());
        assert!(without_slots("a").is_err());
    }
}
