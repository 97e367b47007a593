//! Rare cases: a result that is forgotten while it is computed, a future that is never polled, times without end, a
//! runtime that ends.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cacheops::{CachedAs, Cacheops, Changes, Codec, Condition, Error, ErrorKind};
use support::Server;
use tokio::sync::oneshot;

use crate::{author, builder, handle, posts_of};

type Certain<T> = Result<T, Infallible>;

async fn read(cacheops: &Cacheops, database: u32) -> u32 {
    let load = || async { Ok::<_, Infallible>(database) };
    cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap()
}

#[tokio::test]
async fn a_result_that_is_forgotten_while_it_is_computed_is_not_kept() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    // The table is known from now on.
    let other = cacheops.cached("other", Duration::from_secs(60));
    assert_eq!(other.get_or_load(|| async { Certain::Ok(0) }).await.unwrap(), 0);

    let (began, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let early = {
        let cacheops = cacheops.clone();
        tokio::spawn(async move {
            let compute = || async {
                began.send(()).unwrap();
                Certain::Ok(ended.await.unwrap())
            };
            menu(&cacheops).get_or_load(compute).await.unwrap()
        })
    };
    begun.await.unwrap();

    menu(&cacheops).invalidate().await.unwrap();
    let late = {
        let cacheops = cacheops.clone();
        tokio::spawn(async move {
            menu(&cacheops).get_or_load(|| async { Certain::Ok(2) }).await.unwrap()
        })
    };
    crate::asked(&server, &cacheops, 3).await;
    end.send(1).unwrap();

    assert_eq!(early.await.unwrap(), 1);
    assert_eq!(late.await.unwrap(), 2, "asked after it was forgotten");
    assert_eq!(menu(&cacheops).get_or_load(|| async { Certain::Ok(3) }).await.unwrap(), 2);
}

fn menu(cacheops: &Cacheops) -> CachedAs<'_> {
    cacheops.cached("menu", Duration::from_secs(60)).extra("en")
}

#[tokio::test]
async fn every_way_to_invalidate_counts_from_the_call() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let row = cacheops::Row::new().set("author", 7);

    for way in 0..3 {
        read(&cacheops, 1).await;
        // Made before the scope, and run in it.
        let skipped = cacheops.no_invalidation(cacheops.invalidate_table("post")).await;
        assert_eq!(skipped.unwrap(), cacheops::Invalidated::Skipped);
        assert_eq!(read(&cacheops, 2).await, 1);
        match way {
            0 => drop(cacheops.invalidate_row("post", &row)),
            1 => drop(cacheops.invalidate_table("post")),
            _ => drop(cacheops.invalidate_all()),
        }
        cacheops.settled().await;
        assert_eq!(read(&cacheops, 2).await, 2, "{way}");
        cacheops.invalidate(Changes::table("post")).await.unwrap();
    }
}

#[tokio::test]
async fn a_time_without_end_is_no_error() {
    let server = Server::start();
    let cacheops = builder(&server)
        .response_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .retry_at_most(Duration::MAX)
        .lock_times(Duration::MAX, Duration::MAX)
        .build()
        .await
        .unwrap();
    let other = handle(&server).await;
    let locked = async |cacheops: &Cacheops, value: u32, gate: oneshot::Receiver<()>| {
        cacheops
            .read("k")
            .on("post", Condition::all().term("author", 7))
            .timeout(Duration::MAX)
            .lock(true)
            .get_or_load(|| async move {
                gate.await.unwrap();
                Ok::<_, Infallible>(value)
            })
            .await
            .unwrap()
    };
    let (end, ended) = oneshot::channel();
    let owner = tokio::spawn(async move { locked(&other, 1, ended).await });
    let mut client = server.connect();
    crate::eventually("it is locked", || client.info("cacheops_locks") == 1).await;
    let waiter = {
        let cacheops = cacheops.clone();
        let (go, gone) = oneshot::channel();
        go.send(()).unwrap();
        tokio::spawn(async move { locked(&cacheops, 2, gone).await })
    };
    crate::eventually("it waits", || client.info("blocked_clients") == 1).await;
    end.send(()).unwrap();

    assert_eq!(owner.await.unwrap(), 1);
    assert_eq!(waiter.await.unwrap(), 1);
}

#[test]
fn a_handle_whose_runtime_has_ended_does_not_keep_another_one_busy() {
    let server = Server::start();
    let first = runtime();
    let cacheops = first.block_on(handle(&server));
    first.block_on(read(&cacheops, 1));
    drop(first);
    // In another thread, since a busy runtime cannot be told to end.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            assert_eq!(read(&cacheops, 2).await, 2);
            let _ = cacheops.invalidate(posts_of(7)).await.unwrap();
            assert_eq!(read(&cacheops, 3).await, 3);
            let patience = Duration::from_millis(50);
            let _ = tokio::time::timeout(patience, cacheops.settled()).await;
            tell.send(()).unwrap();
        });
    });
    assert!(told.recv_timeout(support::deadline()).is_ok(), "it ends");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_does_not_wait_for_itself() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let patience = Duration::from_secs(10);

    for lock in [false, true] {
        let outer = cacheops.read("outer").on("post", author(7)).lock(lock);
        let value = outer.get_or_load(|| async {
            let inner = cacheops.read("inner").on("post", author(7)).lock(lock);
            let load = || async {
                let again = cacheops.read("outer").on("post", author(7)).lock(lock);
                again.get_or_load(|| async { Ok::<_, Infallible>(1) }).await
            };
            inner.get_or_load(load).await.map(|inner| inner + 1)
        });
        assert_eq!(tokio::time::timeout(patience, value).await, Ok(Ok(2)), "{lock}");
        cacheops.invalidate_all().await.unwrap();
    }
}

#[tokio::test]
async fn nobody_stores_to_a_server_that_is_known_to_be_frozen() {
    let server = Server::start();
    let timeout = Duration::from_millis(400);
    let cacheops =
        builder(&server).response_timeout(timeout).connect_timeout(timeout).build().await.unwrap();

    let load = || async {
        server.freeze();
        let other = cacheops.read("other").on("post", author(7));
        assert_eq!(other.get_or_load(|| async { Ok::<_, Infallible>(2) }).await, Ok(2));
        assert!(!cacheops.stats().available);
        Ok::<_, Infallible>(Instant::now())
    };
    let read = cacheops.read("k").on("post", author(7)).codec(Never);
    let loaded = read.get_or_load(load).await.unwrap();

    assert!(loaded.elapsed() < timeout / 2, "{:?} for a store", loaded.elapsed());
    server.thaw();
    cacheops.settled().await;
}

#[tokio::test]
async fn a_result_is_stored_over_the_connection_of_now() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    read(&cacheops, 0).await;

    let load = || async {
        server.connect().ok("CLIENT KILL TYPE normal SKIPME yes");
        cacheops.invalidate(posts_of(8)).await.unwrap();
        cacheops.settled().await;
        Ok::<_, Infallible>(1)
    };
    cacheops.get_or_load("other", ("post", author(7)), None, load).await.unwrap();

    assert_eq!(cacheops.stats().stores, 2);
}

/// Of a moment, which needs no bytes here.
struct Never;

impl Codec<Instant> for Never {
    fn name(&self) -> &str {
        "never"
    }

    fn encode(&self, _: &Instant) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn decode(&self, _: &[u8]) -> Result<Instant, Error> {
        Err(Error::new(ErrorKind::Decode, "it is gone"))
    }
}

#[cfg(feature = "moka")]
#[tokio::test]
async fn a_value_in_the_process_is_not_taken_for_one_of_a_server_that_has_gone_back_in_time() {
    let mut server = Server::builder().arg("cacheops.on-restart", "keep").start();
    let cacheops = handle(&server).await;
    let near = async |cacheops: &Cacheops, value: u32| {
        let read = cacheops.read("k").on("post", author(7)).local(true);
        read.get_or_load(|| async { Ok::<_, Infallible>(value) }).await.unwrap()
    };
    let other = cacheops.read("other").on("post", author(7));
    other.get_or_load(|| async { Ok::<_, Infallible>(0) }).await.unwrap();
    server.connect().ok("SAVE");
    assert_eq!(near(&cacheops, 1).await, 1);
    assert_eq!(near(&cacheops, 2).await, 1);
    server.kill();
    server.relaunch();

    // Whoever is first stores it at the same point of the history.
    let writer = handle(&server).await;
    assert_eq!(near(&writer, 3).await, 3);
    let _ = cacheops.invalidate(posts_of(8)).await.unwrap();
    cacheops.settled().await;
    assert_eq!(near(&cacheops, 4).await, 3);
}

#[tokio::test]
async fn a_server_that_refuses_every_question_is_not_connected_to_at_each() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("ACL SETUSER app on >secret ~* +@all -cacheops.get");
    let cacheops = Cacheops::builder(format!("redis://app:secret@127.0.0.1:{}/", server.port()))
        .build()
        .await
        .unwrap();
    let before = con.info("total_connections_received");

    for value in 0..500 {
        assert_eq!(read(&cacheops, value).await, value);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let connections = con.info("total_connections_received") - before;
    assert!(connections < 50, "{connections}: {:?}", cacheops.stats());
}
