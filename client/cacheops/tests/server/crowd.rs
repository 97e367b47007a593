//! A crowd of readers of every kind and some writers, over two handles that stand for two processes, while the server
//! is flushed, swapped, reloaded and its connections are cut. What one handle has confirmed no handle may undo.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cacheops::{Cacheops, Changes, Condition, Invalidated, Row};
use support::{Random, Server};

use crate::{builder, eventually};

const ROWS: usize = 16;
const READERS: u64 = 1_000;

#[derive(Default)]
struct World {
    rows: [AtomicU64; ROWS],
    told: [AtomicU64; ROWS],
    reads: AtomicU64,
    stop: AtomicBool,
}

impl World {
    async fn read(&self, cacheops: &Cacheops, random: &mut Random) {
        let (row, kind, pause) = (random.below(ROWS), random.below(6), random.below(6));
        let told = self.told[row].load(SeqCst);
        let snapshot = if kind == 4 { Some(cacheops.snapshot().await) } else { None };
        let load = || async {
            let value = self.rows[row].load(SeqCst);
            for _ in 0..pause {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(value)
        };
        let mut read = cacheops
            .read(format!("row:{row}"))
            .on("row", Condition::all().term("id", row))
            .lock(kind == 1)
            .local(kind == 2 || kind == 5)
            .alone(kind == 3);
        if let Some(snapshot) = &snapshot {
            read = read.snapshot(snapshot);
        }
        let read = read.get_or_load(load);
        let value = if random.below(20) == 0 {
            // Somebody hangs up.
            let patience = Duration::from_micros(random.below(2_000) as u64);
            match tokio::time::timeout(patience, read).await {
                Ok(value) => value.unwrap(),
                Err(_) => return,
            }
        } else {
            read.await.unwrap()
        };
        assert!(value >= told, "row {row}, kind {kind}: {value} after {told} was told");
        self.reads.fetch_add(1, SeqCst);
    }

    async fn write(&self, cacheops: &Cacheops, row: usize) {
        let pending = cacheops.pending(Changes::row("row", Row::new().set("id", row)));
        let value = self.rows[row].fetch_add(1, SeqCst) + 1;
        if pending.send().await.unwrap() == Invalidated::Queued {
            cacheops.settled().await;
        }
        self.told[row].fetch_max(value, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_in_a_crowd_is_given_less_than_what_anybody_has_confirmed() {
    let server = Server::builder()
        .arg("cacheops.on-restart", "keep")
        .arg("enable-debug-command", "yes")
        .start();
    let handles =
        [builder(&server).build().await.unwrap(), builder(&server).build().await.unwrap()];
    let world = Arc::new(World::default());
    let mut tasks = Vec::new();
    for seed in 0..READERS + 4 {
        let (world, cacheops) = (Arc::clone(&world), handles[seed as usize % 2].clone());
        tasks.push(tokio::spawn(async move {
            let mut random = Random::from_seed(seed);
            while !world.stop.load(SeqCst) {
                if seed < READERS {
                    world.read(&cacheops, &mut random).await;
                } else {
                    // Each row has one writer.
                    let own = (seed - READERS) as usize * ROWS / 4;
                    world.write(&cacheops, own + random.below(ROWS / 4)).await;
                    tokio::time::sleep(Duration::from_micros(random.below(3_000) as u64)).await;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut con = server.connect();
    let events = [
        "FLUSHALL",
        "SWAPDB 0 1",
        "DEBUG RELOAD",
        "CLIENT KILL TYPE normal SKIPME yes",
        "CACHEOPS.FLUSH",
    ];
    for event in events.iter().cycle().take(20) {
        let goal = world.reads.load(SeqCst) + 4_000;
        eventually("readers go on", || world.reads.load(SeqCst) >= goal).await;
        let _ = con.run(event);
    }
    world.stop.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    for cacheops in handles {
        let stats = cacheops.stats();
        println!("{stats:?}");
        assert!(stats.hits > 1_000 && stats.near_hits > 10 && stats.coalesced > 10, "{stats:?}");
        assert_eq!(cacheops.flights(), 0);
    }
}
