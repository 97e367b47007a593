//! One process loads while the others wait inside the server. Two handles stand for two processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cacheops::Cacheops;
use support::{Server, deadline};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::{author, builder, eventually, handle, posts_of};

type Answer = Result<u32, &'static str>;

type Reader = (JoinHandle<Answer>, oneshot::Receiver<()>, oneshot::Sender<Answer>);

/// A reader with a lock, whose load says that it has begun and waits for its end.
fn start(cacheops: &Cacheops) -> Reader {
    let (began, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let cacheops = cacheops.clone();
    let reader = tokio::spawn(async move {
        let load = || async {
            began.send(()).unwrap();
            ended.await.unwrap()
        };
        cacheops.read("k").on("post", author(7)).lock(true).get_or_load(load).await
    });
    (reader, begun, end)
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(deadline(), future).await.unwrap()
}

/// Waits until so many clients wait inside the server.
async fn waiting(server: &Server, clients: i64) {
    let mut con = server.connect();
    eventually("they wait", || con.info("blocked_clients") == clients).await;
}

/// A reader of `one` that loads, and one of `two` that waits for it inside the server.
async fn owner_and_waiter(server: &Server, one: &Cacheops, two: &Cacheops) -> (Reader, Reader) {
    let mut owner = start(one);
    in_time(&mut owner.1).await.unwrap();
    let waiter = start(two);
    waiting(server, 1).await;
    (owner, waiter)
}

#[tokio::test]
async fn the_others_receive_what_the_owner_stores() {
    let server = Server::start();
    let (one, two) = (handle(&server).await, handle(&server).await);
    let ((owner, _, end), (other, _, _end)) = owner_and_waiter(&server, &one, &two).await;

    end.send(Ok(7)).unwrap();

    assert_eq!(in_time(owner).await.unwrap(), Ok(7));
    assert_eq!(in_time(other).await.unwrap(), Ok(7));
    assert_eq!((one.stats().misses, two.stats().misses), (1, 0));
    assert_eq!((two.stats().hits, two.stats().waits), (1, 1));
    assert_eq!(server.connect().info("cacheops_locks"), 0);
}

#[tokio::test]
async fn a_lock_passes_on_when_the_load_fails() {
    let server = Server::start();
    let (one, two) = (handle(&server).await, handle(&server).await);
    let ((owner, _, end), (other, other_begun, other_end)) =
        owner_and_waiter(&server, &one, &two).await;

    end.send(Err("deadlock")).unwrap();

    assert_eq!(in_time(owner).await.unwrap(), Err("deadlock"));
    in_time(other_begun).await.unwrap();
    other_end.send(Ok(8)).unwrap();
    assert_eq!(in_time(other).await.unwrap(), Ok(8));
    assert_eq!(two.stats().stores, 1);
    assert_eq!(server.connect().info("cacheops_locks"), 0);
}

#[tokio::test]
async fn a_lock_passes_on_when_the_owner_is_dropped() {
    let server = Server::start();
    let (one, two) = (handle(&server).await, handle(&server).await);
    let ((owner, _, _end), (other, other_begun, other_end)) =
        owner_and_waiter(&server, &one, &two).await;

    owner.abort();

    in_time(other_begun).await.unwrap();
    other_end.send(Ok(8)).unwrap();
    assert_eq!(in_time(other).await.unwrap(), Ok(8));
}

#[tokio::test]
async fn who_is_dropped_while_it_waits_holds_up_nobody() {
    let server = Server::start();
    let (one, two) = (handle(&server).await, handle(&server).await);
    let ((owner, _, end), (other, _, _end)) = owner_and_waiter(&server, &one, &two).await;

    other.abort();

    waiting(&server, 0).await;
    end.send(Ok(7)).unwrap();
    assert_eq!(in_time(owner).await.unwrap(), Ok(7));
    assert_eq!(two.flights(), 0);
}

#[tokio::test]
async fn who_has_waited_long_enough_loads() {
    let server = Server::start();
    let one = handle(&server).await;
    let times = (deadline(), Duration::from_millis(50));
    let two = builder(&server).lock_times(times.0, times.1).build().await.unwrap();
    let (owner, begun, end) = start(&one);
    in_time(begun).await.unwrap();

    let (other, other_begun, other_end) = start(&two);
    in_time(other_begun).await.unwrap();
    other_end.send(Ok(8)).unwrap();
    assert_eq!(in_time(other).await.unwrap(), Ok(8));

    end.send(Ok(7)).unwrap();
    assert_eq!(in_time(owner).await.unwrap(), Ok(7));
}

#[tokio::test]
async fn a_reader_beyond_the_connections_that_may_wait_loads() {
    let server = Server::start();
    let one = handle(&server).await;
    let two = builder(&server).waiting_connections(0).build().await.unwrap();
    let (owner, begun, end) = start(&one);
    in_time(begun).await.unwrap();

    let (other, _begun, other_end) = start(&two);
    other_end.send(Ok(8)).unwrap();

    assert_eq!(in_time(other).await.unwrap(), Ok(8));
    end.send(Ok(7)).unwrap();
    in_time(owner).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stampede_of_several_processes_loads_once_a_round() {
    let server = Server::start();
    let processes = [handle(&server).await, handle(&server).await, handle(&server).await];
    let loads = Arc::new(AtomicU32::new(0));
    // Table and scheme are known, so that no store is refused.
    let load = || async { Ok::<_, ()>(0) };
    processes[0].get_or_load("other", ("post", author(1)), None, load).await.unwrap();
    for round in 1..=20 {
        let mut readers = JoinSet::new();
        for process in &processes {
            for _ in 0..50 {
                let (cacheops, loads) = (process.clone(), Arc::clone(&loads));
                readers.spawn(async move {
                    let load = || async {
                        tokio::task::yield_now().await;
                        Ok::<_, ()>(loads.fetch_add(1, Ordering::SeqCst) + 1)
                    };
                    let read = cacheops.read("k").on("post", author(7)).lock(true);
                    read.get_or_load(load).await.unwrap()
                });
            }
        }
        let values = in_time(readers.join_all()).await;

        assert_eq!(loads.load(Ordering::SeqCst), round);
        assert!(values.iter().all(|value| *value == round));
        processes[0].invalidate(posts_of(7)).await.unwrap();
    }
    assert_eq!(server.connect().info("cacheops_locks"), 0);
}

#[tokio::test]
async fn a_lock_granted_to_a_reader_that_is_gone_is_given_up() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    server.freeze();
    let (reader, _begun, _end) = start(&cacheops);
    for _ in 0..100 {
        tokio::task::yield_now().await; // the question is on its way
    }

    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled());
    server.thaw();

    let mut con = server.connect();
    eventually("the lock is given up", || {
        con.calls_of("cacheops.release") == 1 && con.info("cacheops_locks") == 0
    })
    .await;
}
