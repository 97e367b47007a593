//! The servers of one run, and what happens to them in the middle.

use support::{Client, Server, eventually};

use super::world::World;

/// Bytes for keys where some are evicted: all entries would fit, and the plain keys of [`super::actors::Actor::Crowd`] do not.
const ROOM: i64 = 1_500_000;

/// What happens to the server while it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Disturbance {
    None,
    /// Killed, and started from a snapshot that was saved a while before.
    Restart,
    /// The same, but the snapshot's entries are trusted: `cacheops.on-restart keep`.
    RestartTrusting,
    /// Killed, and started from the append only file.
    RestartFromLog,
    /// The same, with `cacheops.on-restart keep`.
    RestartFromLogTrusting,
    /// Killed some time after its replica lost it; the replica is promoted, and the dead one comes back as the replica.
    Failover,
    /// The same with `cacheops.on-promotion keep`.
    FailoverTrusting,
    /// FLUSHALL, FLUSHDB and CACHEOPS.FLUSH.
    Flush,
    /// SWAPDB with another database, which is flushed before and after.
    Swap,
    /// SWAPDB there and, a while later, back.
    SwapBack,
    /// The same with `cacheops.on-swapdb keep`.
    SwapBackTrusting,
    /// `maxmemory` with this policy.
    Eviction(&'static str),
    /// CONFIG SET cacheops.tombstones.
    Resize,
    /// The smallest memory of past invalidations that there is.
    FewTombstones,
    /// Limits so small that most of the index is coarse.
    SmallLimits,
}

impl Disturbance {
    /// Whether it happens at moments, and not all the time.
    pub fn strikes(self) -> bool {
        !matches!(self, Self::None | Self::Eviction(_) | Self::FewTombstones | Self::SmallLimits)
    }

    /// Whether clients lose their connections.
    pub fn kills(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::RestartTrusting
                | Self::RestartFromLog
                | Self::RestartFromLogTrusting
                | Self::Failover
                | Self::FailoverTrusting
        )
    }
}

/// The servers, and which of them clients use.
pub struct Stage {
    disturbance: Disturbance,
    primary: Server,
    other: Option<Server>,
}

impl Stage {
    #[track_caller]
    pub fn set(disturbance: Disturbance) -> Self {
        let builder = match disturbance {
            Disturbance::RestartTrusting => Server::builder().arg("cacheops.on-restart", "keep"),
            Disturbance::RestartFromLog => Server::builder().arg("appendonly", "yes"),
            Disturbance::RestartFromLogTrusting => {
                Server::builder().arg("appendonly", "yes").arg("cacheops.on-restart", "keep")
            }
            Disturbance::FailoverTrusting => Server::builder().arg("cacheops.on-promotion", "keep"),
            Disturbance::Eviction(policy) => {
                Server::builder().arg("maxmemory-policy", policy).arg("cacheops.tombstones", "1024")
            }
            Disturbance::FewTombstones => Server::builder().arg("cacheops.tombstones", "1024"),
            Disturbance::SmallLimits => Server::builder()
                .arg("cacheops.max-schemes", "3")
                .arg("cacheops.partial-scan", "1")
                .arg("cacheops.max-probes", "100")
                .arg("cacheops.reap-inline", "1"),
            Disturbance::SwapBackTrusting => Server::builder().arg("cacheops.on-swapdb", "keep"),
            _ => Server::builder(),
        };
        let primary = builder.clone().start();
        let has_replica =
            matches!(disturbance, Disturbance::Failover | Disturbance::FailoverTrusting);
        let other = has_replica.then(|| {
            let replica = builder.replica_of(&primary).start();
            replica.catch_up_with(&primary);
            replica
        });
        if let Disturbance::Eviction(_) = disturbance {
            let mut con = primary.connect();
            let limit = con.info("used_memory") + ROOM;
            con.ok(&format!("CONFIG SET maxmemory {limit}"));
        }
        Self { disturbance, primary, other }
    }

    pub fn connect(&self) -> Client {
        self.primary.connect()
    }

    pub fn port(&self) -> u16 {
        self.primary.port()
    }

    /// Strikes for the `number`th time; two strikes belong together, or three of a failover.
    pub fn strike(&mut self, number: u64, world: &World) {
        let first = number.is_multiple_of(2);
        match self.disturbance {
            Disturbance::None
            | Disturbance::Eviction(_)
            | Disturbance::FewTombstones
            | Disturbance::SmallLimits => {}
            Disturbance::Restart | Disturbance::RestartTrusting if first => {
                self.connect().ok("SAVE");
            }
            Disturbance::RestartFromLog | Disturbance::RestartFromLogTrusting if first => {
                self.connect().ok("BGREWRITEAOF");
            }
            Disturbance::Restart
            | Disturbance::RestartTrusting
            | Disturbance::RestartFromLog
            | Disturbance::RestartFromLogTrusting => {
                self.primary.kill();
                self.primary.relaunch();
            }
            Disturbance::Failover | Disturbance::FailoverTrusting => self.fail_over(number, world),
            Disturbance::Flush => {
                let lines = ["FLUSHALL", "CACHEOPS.FLUSH", "FLUSHDB SYNC", "FLUSHDB ASYNC"];
                self.connect().ok(lines[number as usize % lines.len()]);
            }
            Disturbance::Swap => {
                let mut con = self.connect();
                con.ok("SELECT 1");
                con.ok("FLUSHDB");
                con.ok("SWAPDB 0 1");
                con.ok("FLUSHDB");
            }
            Disturbance::SwapBack | Disturbance::SwapBackTrusting => {
                self.connect().ok("SWAPDB 0 1");
            }
            Disturbance::Resize => {
                let slots = if first { 1024 } else { 65536 };
                self.connect().ok(&format!("CONFIG SET cacheops.tombstones {slots}"));
            }
        }
    }

    fn fail_over(&mut self, number: u64, world: &World) {
        let other = self.other.as_mut().expect("a failover has two servers");
        match number % 3 {
            // Nobody listens there. From here on the replica misses what is acknowledged.
            0 => drop(other.connect().ok("REPLICAOF 127.0.0.1 1")),
            1 => {
                self.primary.kill();
                std::mem::swap(&mut self.primary, other);
                self.connect().ok("REPLICAOF NO ONE");
                world.move_to(self.port());
            }
            _ => {
                other.set("replicaof", &format!("127.0.0.1 {}", self.primary.port()));
                other.relaunch();
                let mut con = other.connect();
                eventually("the replica is attached", || {
                    con.info_field("master_link_status").as_deref() == Some("up")
                });
            }
        }
    }

    /// Fails if the server had trouble, or none at all where some was asked for.
    #[track_caller]
    pub fn inspect(&self) {
        let mut con = self.connect();
        assert_eq!(con.info("cacheops_panics"), 0);
        if let Disturbance::Eviction(policy) = self.disturbance {
            assert!(con.info("evicted_keys") > 0, "{policy}: nothing was evicted");
        }
        if self.disturbance == Disturbance::SmallLimits {
            let coarse = ["collapsed_conjunctions", "over_invalidations"];
            assert!(coarse.iter().all(|field| con.info(&format!("cacheops_{field}")) > 0));
        }
    }
}
