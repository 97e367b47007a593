//! Concurrent readers of one process: one loads, and nobody is given what was loaded before an
//! invalidation that was confirmed before they asked. Loaders are driven by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cacheops::{Cacheops, Changes, Row};
use support::{Random, Server};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::{asked, author, builder, handle, posts_of};

/// A load that waits for its end: what it shall answer.
type Load = oneshot::Sender<Result<u32, &'static str>>;

/// Readers whose loads are ended by hand.
struct Readers {
    cacheops: Cacheops,
    loads: mpsc::UnboundedSender<Load>,
}

impl Readers {
    fn new(cacheops: &Cacheops) -> (Self, mpsc::UnboundedReceiver<Load>) {
        let (loads, begun) = mpsc::unbounded_channel();
        (Self { cacheops: cacheops.clone(), loads }, begun)
    }

    fn start(&self) -> JoinHandle<Result<u32, &'static str>> {
        let (cacheops, loads) = (self.cacheops.clone(), self.loads.clone());
        tokio::spawn(async move {
            let load = || async {
                let (end, ended) = oneshot::channel();
                loads.send(end).unwrap();
                ended.await.unwrap()
            };
            cacheops.get_or_load("k", ("post", author(7)), None, load).await
        })
    }
}

/// The next load that begins.
async fn next(begun: &mut mpsc::UnboundedReceiver<Load>) -> Load {
    tokio::time::timeout(support::deadline(), begun.recv()).await.unwrap().unwrap()
}

/// Makes table and scheme known, so that only a change can make the server refuse.
async fn known(server: &Server) -> (Cacheops, i64) {
    let cacheops = handle(server).await;
    let load = || async { Ok::<_, ()>(0) };
    cacheops.get_or_load("other", ("post", author(1)), None, load).await.unwrap();
    (cacheops, 1)
}

#[tokio::test]
async fn many_readers_load_once() {
    let server = Server::start();
    let (cacheops, before) = known(&server).await;
    let (loads, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let mut readers = JoinSet::new();
    for _ in 0..200 {
        let (cacheops, loads, gate) = (cacheops.clone(), Arc::clone(&loads), Arc::clone(&gate));
        readers.spawn(async move {
            let load = || async {
                let _permit = gate.acquire().await.unwrap();
                Ok::<_, ()>(loads.fetch_add(1, Ordering::SeqCst))
            };
            cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap()
        });
    }
    asked(&server, &cacheops, before + 200).await;
    assert_eq!(cacheops.flights(), 1);

    gate.add_permits(200);

    assert!(readers.join_all().await.iter().all(|value| *value == 0));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    let stats = cacheops.stats();
    assert_eq!((stats.misses, stats.coalesced), (2, 199), "one more made the table known");
    assert_eq!(cacheops.flights(), 0);
}

#[tokio::test]
async fn who_asks_after_an_invalidation_is_not_given_what_was_loaded_before_it() {
    let server = Server::start();
    let (cacheops, before) = known(&server).await;
    let (readers, mut begun) = Readers::new(&cacheops);
    let early = readers.start();
    let old_load = next(&mut begun).await; // has read the database, and dawdles

    cacheops.invalidate(posts_of(7)).await.unwrap();
    let late = readers.start();
    asked(&server, &cacheops, before + 2).await;
    old_load.send(Ok(1)).unwrap();

    assert_eq!(early.await.unwrap(), Ok(1));
    next(&mut begun).await.send(Ok(2)).unwrap();
    assert_eq!(late.await.unwrap(), Ok(2));
    assert_eq!(cacheops.stats().stores_refused, 1);
}

#[tokio::test]
async fn who_asks_late_is_given_what_the_server_vouches_for() {
    let server = Server::start();
    let (cacheops, before) = known(&server).await;
    let (readers, mut begun) = Readers::new(&cacheops);
    let early = readers.start();
    let load = next(&mut begun).await;

    cacheops.invalidate(posts_of(8)).await.unwrap(); // the number moves on, nothing is concerned
    let late = readers.start();
    asked(&server, &cacheops, before + 2).await;
    load.send(Ok(1)).unwrap();

    assert_eq!((early.await.unwrap(), late.await.unwrap()), (Ok(1), Ok(1)));
    assert_eq!(cacheops.stats().coalesced, 1);
    assert_eq!(
        server.connect().calls_of("cacheops.get"),
        before + 3,
        "one question more: the proof"
    );
}

#[tokio::test]
async fn after_a_leader_that_is_dropped_another_leads() {
    let server = Server::start();
    let (cacheops, before) = known(&server).await;
    let (readers, mut begun) = Readers::new(&cacheops);
    let leader = readers.start();
    let dropped = next(&mut begun).await;
    let followers = [readers.start(), readers.start()];
    asked(&server, &cacheops, before + 3).await;

    leader.abort();

    assert!(leader.await.unwrap_err().is_cancelled());
    next(&mut begun).await.send(Ok(7)).unwrap();
    for follower in followers {
        assert_eq!(follower.await.unwrap(), Ok(7));
    }
    assert!(dropped.is_closed());
    assert!(begun.try_recv().is_err(), "nobody else has loaded");
    assert_eq!(cacheops.flights(), 0);
}

#[tokio::test]
async fn an_error_is_the_leaders_alone() {
    let server = Server::start();
    let (cacheops, before) = known(&server).await;
    let (readers, mut begun) = Readers::new(&cacheops);
    let leader = readers.start();
    let load = next(&mut begun).await;
    let follower = readers.start();
    asked(&server, &cacheops, before + 2).await;

    load.send(Err("deadlock")).unwrap();

    assert_eq!(leader.await.unwrap(), Err("deadlock"));
    next(&mut begun).await.send(Ok(7)).unwrap();
    assert_eq!(follower.await.unwrap(), Ok(7));
}

/// As in a transaction that holds the connection for which the leader waits.
#[tokio::test]
async fn a_reader_that_is_alone_waits_for_nobody() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let (readers, mut begun) = Readers::new(&cacheops);
    let leader = readers.start();
    let load = next(&mut begun).await;

    let alone = cacheops.read("k").on("post", author(7)).alone(true).lock(true);
    assert_eq!(alone.get_or_load(|| async { Ok::<_, &str>(2) }).await, Ok(2));
    let alone = cacheops.cached_as("f", ("post", author(7))).alone(true);
    assert_eq!(alone.get_or_load(|| async { Ok::<_, &str>(3) }).await, Ok(3));
    assert_eq!(cacheops.stats().stores, 2);

    load.send(Ok(1)).unwrap();
    assert_eq!(leader.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn who_has_waited_long_enough_for_another_reader_loads() {
    let server = Server::start();
    let patience = Duration::from_millis(20);
    let cacheops =
        builder(&server).lock_times(support::deadline(), patience).build().await.unwrap();
    let (readers, mut begun) = Readers::new(&cacheops);
    let leader = readers.start();
    let load = next(&mut begun).await;

    let follower = readers.start();
    next(&mut begun).await.send(Ok(2)).unwrap();
    assert_eq!(follower.await.unwrap(), Ok(2));

    load.send(Ok(1)).unwrap();
    assert_eq!(leader.await.unwrap(), Ok(1));
}

/// Random schedules: a database of one number that only grows. Whoever asks after a write was
/// confirmed must not be given less.
#[tokio::test]
async fn nobody_is_given_less_than_what_was_confirmed_before_they_asked() {
    let server = Server::start();
    let (cacheops, _) = known(&server).await;
    let mut random = Random::from_seed(7);
    let (readers, mut begun) = Readers::new(&cacheops);
    // A load reads the database when it begins or when it ends, at random.
    let mut database = 1_u32;
    let mut loads: Vec<(Load, Option<u32>)> = Vec::new();
    let mut running: Vec<(u32, JoinHandle<Result<u32, &str>>)> = Vec::new();
    let mut shared = 0;
    for step in 0..4_000 {
        match random.below(10) {
            0..=3 if running.len() < 12 => running.push((database, readers.start())),
            4..=6 if !loads.is_empty() => {
                let (load, early) = loads.swap_remove(random.below(loads.len()));
                let _ = load.send(Ok(early.unwrap_or(database)));
            }
            7 => {
                database += 1;
                cacheops.invalidate(posts_of(7)).await.unwrap();
            }
            8 => {
                let row = Row::new().set("author", 8);
                cacheops.invalidate(Changes::row("post", &row)).await.unwrap();
            }
            9 if random.below(4) == 0 && !running.is_empty() => {
                let (_, reader) = running.swap_remove(random.below(running.len()));
                reader.abort();
            }
            _ => {}
        }
        for _ in 0..random.below(40) {
            tokio::task::yield_now().await;
        }
        while let Ok(load) = begun.try_recv() {
            loads.push((load, (random.below(2) == 0).then_some(database)));
        }
        let mut i = 0;
        while i < running.len() {
            if running[i].1.is_finished() {
                let (confirmed, reader) = running.swap_remove(i);
                let value = reader.await.unwrap().unwrap();
                assert!(value >= confirmed, "step {step}: {value} is older than {confirmed}");
                shared += 1;
            } else {
                i += 1;
            }
        }
    }
    let stats = cacheops.stats();
    assert!(shared > 200, "{shared} readers came to an end");
    assert!(stats.coalesced > 20 && stats.hits > 20 && stats.stores_refused > 5, "{stats:?}");
}
