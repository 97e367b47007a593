//! Redis Cluster: an entry lives on the shard of its key, an invalidation goes to every primary.
//!
//! The driver's own broadcast cannot be trusted with that: it leaves out a primary that it has lost,
//! and calls the rest a success. So the slots are asked for first, the answers are kept apart by
//! address, and one that is missing is an error: the invalidation then goes to the outbox as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr,
};
use redis::{Cmd, RedisError, Value};

use crate::address::Timeouts;
use crate::nodes::{ClusterNodes, unexpected};
use crate::slotless_primaries::SlotlessPrimaries;
use crate::{Error, ErrorKind, Token};

/// A connection to all nodes.
#[derive(Clone)]
pub(crate) struct ClusterLink {
    driver: ClusterConnection,
    slotless: Arc<SlotlessPrimaries>,
}

/// A token of every shard, and where the slots were when they were asked for.
#[derive(Debug)]
pub(crate) struct Tokens {
    slots: Slots,
    tokens: BTreeMap<String, Token>,
}

/// Ranges of slots by their last slot, and the address of their primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots(BTreeMap<u16, (u16, Arc<str>)>);

impl ClusterLink {
    /// Connects to all primaries.
    pub(crate) async fn connect(nodes: &ClusterNodes, timeouts: Timeouts) -> Result<Self, Error> {
        let client = ClusterClientBuilder::new(nodes.urls().to_vec())
            .connection_timeout(timeouts.connect)
            .response_timeout(timeouts.response)
            // Of redirections; a lost node is this crate's to deal with.
            .retries(2)
            .max_retry_wait(50)
            .build()?;
        let slotless = Arc::new(SlotlessPrimaries::new(nodes.clone(), timeouts));
        let link = ClusterLink { driver: client.get_async_connection().await?, slotless };
        // A cluster with a primary that is away is away: requests to it would wait, and no
        // invalidation could be confirmed.
        link.of_all_primaries(&redis::cmd("PING")).await?;
        Ok(link)
    }

    pub(crate) fn connection(&mut self) -> &mut ClusterConnection {
        &mut self.driver
    }

    /// Sends a command to every primary, and adds up what they answer.
    pub(crate) async fn ask_all_primaries(&self, command: &Cmd) -> Result<u64, Error> {
        let answers = self.of_all_primaries(command).await?;
        // Those without slots are asked for afterwards too.
        let nodes: String =
            redis::cmd("CLUSTER").arg("NODES").query_async(&mut self.driver.clone()).await?;
        let others = self.slotless.send(&nodes, command).await?;
        let sum = answers.into_values().chain(others).map(|answer| {
            redis::from_redis_value::<u64>(answer).map_err(|error| RedisError::from(error).into())
        });
        sum.sum()
    }

    /// Sends a command to the primary that has a key, wherever among its arguments the key stands.
    pub(crate) async fn ask_primary_of(&self, key: &[u8], command: &Cmd) -> Result<Value, Error> {
        let slot = Slot::for_key(key);
        let route = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
        let routing = RoutingInfo::SingleNode(route);
        Ok(self.driver.clone().route_command(command.clone(), routing).await?)
    }

    /// The token of every shard.
    pub(crate) async fn tokens(&self) -> Result<Tokens, Error> {
        let slots = self.slots().await?;
        let mut tokens = BTreeMap::new();
        for (address, answer) in self.of_all_primaries(&redis::cmd("CACHEOPS.TOKEN")).await? {
            let token: Option<u64> = redis::from_redis_value(answer).map_err(RedisError::from)?;
            if let Some(token) = token {
                tokens.insert(address, Token(token));
            }
        }
        Ok(Tokens { slots, tokens })
    }

    /// Answers by address. One that is missing is an error.
    async fn of_all_primaries(&self, command: &Cmd) -> Result<BTreeMap<String, Value>, Error> {
        let routing = MultipleNodeRoutingInfo::AllMasters;
        let routing = RoutingInfo::MultiNode((routing, None));
        let reply = self.driver.clone().route_command(command.clone(), routing).await?;
        let answers = by_address(reply)?;
        // Asked for afterwards: a primary that has come meanwhile has not been told.
        let slots = self.slots().await?;
        let missing: Vec<&str> =
            slots.primaries().into_iter().filter(|p| !answers.contains_key(*p)).collect();
        if missing.is_empty() && slots.is_complete() {
            return Ok(answers);
        }
        let text = format!("not every primary has answered, missing: {}", missing.join(", "));
        Err(Error::new(ErrorKind::Connection, text))
    }

    /// The address of the primary that has a key.
    pub(crate) async fn primary_of(&self, key: &[u8]) -> Result<String, Error> {
        let slots = self.slots().await?;
        let primary = slots.primary_of(slot_of(key)).map(str::to_owned);
        primary.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the key's slot has no primary"))
    }

    async fn slots(&self) -> Result<Slots, Error> {
        let reply: Value =
            redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut self.driver.clone()).await?;
        Slots::read(reply)
    }
}

/// A map from addresses to answers; an error of any node is the error of all.
fn by_address(reply: Value) -> Result<BTreeMap<String, Value>, Error> {
    let pairs = reply.into_map_iter().map_err(|_| unexpected("a broadcast answers no map"))?;
    pairs
        .map(|(address, answer)| {
            if let Value::ServerError(error) = answer {
                return Err(RedisError::from(error).into());
            }
            Ok((redis::from_redis_value(address).map_err(RedisError::from)?, answer))
        })
        .collect()
}

impl Slots {
    /// Reads the reply of `CLUSTER SLOTS`: `[first, last, [host, port, ...], replicas ...]` a range.
    fn read(reply: Value) -> Result<Self, Error> {
        let Value::Array(ranges) = reply else {
            return Err(unexpected("CLUSTER SLOTS is no array"));
        };
        let mut slots = BTreeMap::new();
        for range in ranges {
            let Value::Array(range) = range else {
                return Err(unexpected("a range of CLUSTER SLOTS is no array"));
            };
            let mut range = range.into_iter();
            let (Some(Value::Int(first)), Some(Value::Int(last)), Some(Value::Array(primary))) =
                (range.next(), range.next(), range.next())
            else {
                return Err(unexpected("a range of CLUSTER SLOTS has another form"));
            };
            let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) else {
                return Err(unexpected("CLUSTER SLOTS has a slot that does not exist"));
            };
            let mut primary = primary.into_iter();
            let host: Option<String> =
                primary.next().and_then(|host| redis::from_redis_value(host).ok());
            let port: Option<u16> =
                primary.next().and_then(|port| redis::from_redis_value(port).ok());
            let (Some(host), Some(port)) = (host, port) else {
                return Err(unexpected("CLUSTER SLOTS names no address"));
            };
            slots.insert(last, (first, format!("{host}:{port}").into()));
        }
        Ok(Self(slots))
    }

    fn primaries(&self) -> BTreeSet<&str> {
        self.0.values().map(|(_, address)| &**address).collect()
    }

    /// Whether every slot has a primary: a shard that nobody serves cannot be told.
    fn is_complete(&self) -> bool {
        let mut next = 0;
        for (last, (first, _)) in &self.0 {
            if u32::from(*first) != next {
                return false;
            }
            next = u32::from(*last) + 1;
        }
        next == 16384
    }

    fn primary_of(&self, slot: u16) -> Option<&str> {
        let (_, (first, address)) = self.0.range(slot..).next()?;
        (*first <= slot).then_some(address)
    }
}

impl Tokens {
    /// The token of the shard of a key. Should the slot have moved since, the token is unknown there,
    /// and the store refused.
    pub(crate) fn of(&self, key: &[u8]) -> Option<Token> {
        self.tokens.get(self.slots.primary_of(slot_of(key))?).copied()
    }
}

/// The slot of a key: CRC16 (XMODEM) of the key, or of what stands between its first braces.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').map(|close| &rest[..close])
    });
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_the_driver_gives_it() {
        for key in ["", "a", "123456789", "{a}b", "b{a}", "{}a", "{a", "a}{b}", "{{a}}", "é{ü}"] {
            assert_eq!(Slot::new(slot_of(key.as_bytes())), Some(Slot::for_key(key)), "{key}");
        }
    }

    fn range(first: i64, last: i64, port: i64) -> Value {
        let node =
            |port| Value::Array(vec![Value::BulkString(b"127.0.0.1".to_vec()), Value::Int(port)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node(port), node(port + 100)])
    }

    #[test]
    fn finds_the_primary_of_a_slot() {
        let slots =
            Slots::read(Value::Array(vec![range(8192, 16383, 2), range(0, 8191, 1)])).unwrap();

        assert!(slots.is_complete());
        assert_eq!(slots.primary_of(8191), Some("127.0.0.1:1"));
        assert_eq!(slots.primary_of(8192), Some("127.0.0.1:2"));
        assert_eq!(slots.primaries().len(), 2);
    }

    #[test]
    fn a_slot_without_a_primary_shows() {
        for ranges in [
            vec![],
            vec![range(1, 16383, 1)],
            vec![range(0, 16382, 1)],
            vec![range(0, 5, 1), range(7, 16383, 1)],
        ] {
            assert!(!Slots::read(Value::Array(ranges)).unwrap().is_complete());
        }
        assert!(Slots::read(Value::Array(vec![Value::Int(1)])).is_err());
    }
}
