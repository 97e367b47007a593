//! Readers and writers while the server is frozen, killed and restarted with all its entries: no read
//! may be older than what was invalidated before it began, confirmed or not.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cacheops::{Cacheops, Changes, Condition, Row};
use support::{Random, Server};

use crate::{builder, eventually};

const ROWS: usize = 8;

/// A database of numbers that only grow.
#[derive(Default)]
struct World {
    rows: [AtomicU64; ROWS],
    /// What each row had reached when its invalidation was answered.
    told: [AtomicU64; ROWS],
    reads: AtomicU64,
    stop: AtomicBool,
}

impl World {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    async fn read(&self, cacheops: &Cacheops, random: &mut Random) {
        let row = random.below(ROWS);
        let told = self.told[row].load(Ordering::SeqCst);
        let pause = random.below(4);
        let load = || async {
            let value = self.rows[row].load(Ordering::SeqCst);
            for _ in 0..pause {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(value)
        };
        let condition = Condition::all().term("id", row);
        let read = cacheops.read(format!("row:{row}")).on("row", condition).lock(pause == 0);
        let value = read.get_or_load(load).await.unwrap();
        assert!(value >= told, "row {row}: {value} after {told} was told");
        self.reads.fetch_add(1, Ordering::SeqCst);
    }

    async fn write(&self, cacheops: &Cacheops, row: usize) {
        let pending = cacheops.pending(Changes::row("row", Row::new().set("id", row)));
        let value = self.rows[row].fetch_add(1, Ordering::SeqCst) + 1;
        pending.send().await.unwrap();
        self.told[row].fetch_max(value, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_however_the_server_comes_and_goes() {
    // What it has confirmed it has written down, so that a restart brings no dead entry back; that
    // cannot be said of a server that keeps the entries of an older snapshot.
    let mut server =
        Server::builder().arg("cacheops.on-restart", "keep").arg("appendonly", "yes").start();
    let patience = Duration::from_millis(100);
    let cacheops = builder(&server)
        .response_timeout(patience)
        .connect_timeout(patience)
        .build()
        .await
        .unwrap();
    let world = Arc::new(World::default());
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let (world, cacheops) = (Arc::clone(&world), cacheops.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = Random::from_seed(seed);
            while world.goes_on() {
                if seed < 6 {
                    world.read(&cacheops, &mut random).await;
                } else {
                    // Each row has one writer.
                    world
                        .write(&cacheops, (seed as usize - 6) * ROWS / 2 + random.below(ROWS / 2))
                        .await;
                    for _ in 0..random.below(50) {
                        tokio::task::yield_now().await;
                    }
                }
                tokio::task::yield_now().await;
            }
        }));
    }

    let some_more = async || {
        let goal = world.reads.load(Ordering::SeqCst) + 3_000;
        eventually("readers go on", || world.reads.load(Ordering::SeqCst) >= goal).await;
    };
    for round in 0..8 {
        let hits = cacheops.stats().hits + 200;
        eventually("the server is used", || cacheops.stats().hits >= hits).await;
        some_more().await;
        if round % 2 == 0 {
            server.freeze();
            some_more().await;
            server.thaw();
        } else {
            server.kill();
            some_more().await;
            server.relaunch();
        }
    }
    cacheops.settled().await;
    world.stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let stats = cacheops.stats();
    assert!(stats.breaks >= 8 && stats.recoveries >= 8, "{stats:?}");
    assert!(stats.hits > 1_000 && stats.replays >= 4, "{stats:?}");
}
