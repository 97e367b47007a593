//! The server is killed, restarted, frozen: the application goes on, and no hit is stale afterwards.

use std::convert::Infallible;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use cacheops::{Cacheops, Condition, ErrorKind, Invalidated};
use support::Server;

use crate::{author, builder, eventually, handle, posts_of};

/// Short, since a test waits for it; long enough for a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn impatient(server: &Server) -> Cacheops {
    builder(server).response_timeout(TIMEOUT).connect_timeout(TIMEOUT).build().await.unwrap()
}

/// Reads the posts of an author; `database` is what the database says.
async fn read(cacheops: &Cacheops, database: u32) -> u32 {
    let load = || async { Ok::<_, Infallible>(database) };
    cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap()
}

/// Entries survive a restart: what nobody invalidated is a hit afterwards.
fn keeping() -> Server {
    Server::builder().arg("cacheops.on-restart", "keep").start()
}

#[tokio::test]
async fn an_invalidation_that_a_dead_server_missed_is_repeated_before_a_hit_is_trusted() {
    let mut server = keeping();
    let cacheops = handle(&server).await;
    assert_eq!(read(&cacheops, 1).await, 1);
    server.connect().ok("SAVE");
    server.kill();

    let told = cacheops.invalidate(posts_of(7)).await.unwrap();
    assert_eq!(told, Invalidated::Queued);
    assert_eq!(read(&cacheops, 2).await, 2, "from the database");
    assert_eq!(cacheops.stats().outbox, 1);

    server.relaunch();
    let mut other = server.connect();
    eventually("the handle has recovered", || {
        // Until then, and from then on.
        cacheops.stats().available
    })
    .await;
    assert_eq!(read(&cacheops, 3).await, 3, "the entry of before is gone");
    assert_eq!(read(&cacheops, 4).await, 3, "and hits are trusted again");
    assert_eq!(other.calls_of("cacheops.invalidate"), 1);
    let stats = cacheops.stats();
    assert_eq!((stats.outbox, stats.replays, stats.invalidations_queued), (0, 1, 1));
    assert!(stats.breaks >= 1 && stats.recoveries >= 1, "{stats:?}");
    assert!(cacheops.last_error().is_none());
}

#[tokio::test]
async fn without_an_invalidation_what_survived_a_restart_is_a_hit() {
    let mut server = keeping();
    let cacheops = handle(&server).await;
    read(&cacheops, 1).await;
    server.connect().ok("SAVE");
    server.kill();
    assert_eq!(read(&cacheops, 2).await, 2);

    server.relaunch();
    eventually("the handle has recovered", || cacheops.stats().available).await;

    assert_eq!(read(&cacheops, 3).await, 1);
}

#[tokio::test]
async fn nobody_waits_for_a_frozen_server_twice() {
    let server = Server::start();
    let cacheops = impatient(&server).await;
    assert_eq!(read(&cacheops, 1).await, 1);
    server.freeze();

    assert_eq!(read(&cacheops, 2).await, 2, "after the timeout");
    let begun = Instant::now();
    for value in 3..1_000 {
        assert_eq!(read(&cacheops, value).await, value);
    }
    assert_eq!(cacheops.invalidate(posts_of(7)).await.unwrap(), Invalidated::Queued);
    assert!(
        begun.elapsed() < 20 * TIMEOUT,
        "{:?} for 997 reads and one invalidation",
        begun.elapsed()
    );
    assert_eq!(cacheops.stats().bypasses, 997);

    server.thaw();
    eventually("the handle has recovered", || cacheops.stats().available).await;
    assert_eq!(read(&cacheops, 1_001).await, 1_001);
    assert_eq!(read(&cacheops, 1_002).await, 1_001);
}

#[tokio::test]
async fn an_invalidation_whose_answer_is_lost_is_repeated() {
    let server = Server::start();
    let cacheops = impatient(&server).await;
    read(&cacheops, 1).await;
    server.freeze();

    // The server has it already and will obey it, but that is not known.
    assert_eq!(cacheops.invalidate(posts_of(7)).await.unwrap(), Invalidated::Queued);
    assert_eq!(read(&cacheops, 2).await, 2);

    server.thaw();
    cacheops.settled().await;
    assert_eq!(read(&cacheops, 3).await, 3);
    assert_eq!(server.connect().calls_of("cacheops.invalidate"), 2);
}

#[tokio::test]
async fn readers_with_deadlines_of_their_own_find_a_frozen_server_out() {
    let server = Server::start();
    let cacheops = impatient(&server).await;
    server.freeze();

    let deadline = TIMEOUT / 4;
    assert!(tokio::time::timeout(deadline, read(&cacheops, 1)).await.is_err());
    eventually("the server counts as away", || !cacheops.stats().available).await;
    assert_eq!(tokio::time::timeout(TIMEOUT / 2, read(&cacheops, 2)).await, Ok(2));

    server.thaw();
    cacheops.settled().await;
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_does_not_make_an_invalidation_an_error() {
    let server = Server::start();
    let cacheops = builder(&server).strict(true).build().await.unwrap();
    read(&cacheops, 1).await;
    server.connect().ok("CLIENT KILL TYPE normal SKIPME yes");

    let told = cacheops.invalidate(posts_of(7)).await.unwrap();

    assert!(matches!(told, Invalidated::Confirmed(_)), "{told:?}");
    assert_eq!(read(&cacheops, 2).await, 2);
}

#[tokio::test]
async fn each_way_to_be_away_is_an_error_of_its_own_in_strict_mode() {
    let mut server = keeping();
    let cacheops = builder(&server).response_timeout(TIMEOUT).strict(true).build().await.unwrap();

    server.freeze();
    let error = cacheops.invalidate_table("post").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.is_retryable() && error.to_string().contains("response timeout"), "{error}");
    server.thaw();
    cacheops.settled().await;

    server.kill();
    let error = cacheops.invalidate_table("post").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection | ErrorKind::Unavailable), "{error}");
    assert!(error.is_retryable());
    assert_eq!(cacheops.stats().outbox, 1);
}

#[tokio::test]
async fn strict_makes_it_an_error_and_loses_nothing_either() {
    let mut server = keeping();
    let cacheops = builder(&server).strict(true).build().await.unwrap();
    read(&cacheops, 1).await;
    server.connect().ok("SAVE");
    server.kill();

    let error = cacheops.invalidate(posts_of(7)).await.unwrap_err();
    assert!(error.is_retryable() && error.is_unconfirmed(), "{error}");
    assert!(!cacheops.client().unwrap_err().is_unconfirmed(), "no invalidation");
    assert_eq!(read(&cacheops, 2).await, 2, "reads never fail");

    server.relaunch();
    cacheops.settled().await;
    assert_eq!(read(&cacheops, 3).await, 3);
}

#[tokio::test]
async fn too_much_for_the_outbox_becomes_tables_and_everything() {
    let mut server = keeping();
    let cacheops = builder(&server).outbox(2, 1 << 20).build().await.unwrap();
    read(&cacheops, 1).await;
    server.connect().store("other", "tag *");
    server.connect().ok("SAVE");
    server.kill();

    for id in 10..13 {
        cacheops.invalidate(posts_of(id)).await.unwrap();
    }
    assert_eq!((cacheops.stats().outbox, cacheops.stats().collapses), (1, 1));
    server.relaunch();
    cacheops.settled().await;

    assert_eq!(read(&cacheops, 2).await, 2);
    assert!(server.connect().hits("other"), "only the table is gone");

    server.connect().ok("SAVE");
    server.kill();
    for table in ["a", "b", "c"] {
        cacheops.invalidate_table(table).await.unwrap();
    }
    server.relaunch();
    cacheops.settled().await;
    assert!(!server.connect().hits("other"));
}

#[tokio::test]
async fn an_application_starts_without_the_server() {
    let mut server = Server::start();
    server.kill();
    let cacheops = handle(&server).await;
    assert_eq!(read(&cacheops, 1).await, 1);
    assert_eq!(cacheops.stats().bypasses, 1);
    eventually("the reason is known", || cacheops.last_error().is_some()).await;
    assert_eq!(cacheops.last_error().unwrap().kind(), ErrorKind::Connection);

    let strict = builder(&server).strict(true).build().await;
    assert_eq!(strict.unwrap_err().kind(), ErrorKind::Connection);

    server.relaunch();
    cacheops.settled().await;
    assert_eq!(read(&cacheops, 2).await, 2);
    assert_eq!(read(&cacheops, 3).await, 2);
}

/// Polls a future until it has been pending `polls` times, and drops it then. True if it ended.
async fn ends_within<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut pending = 0;
    std::future::poll_fn(|context| {
        if pending == polls {
            return Poll::Ready(false);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => {
                pending += 1;
                if pending == polls {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_future_that_is_dropped_at_any_point_loses_no_invalidation() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let mut queued = 0;
    for polls in 0.. {
        read(&cacheops, 1).await;
        let change = async {
            let pending = cacheops.pending(posts_of(7));
            for _ in 0..3 {
                tokio::task::yield_now().await; // the statement runs
            }
            pending.send().await
        };
        // Never polled, the statement has not begun either.
        let ended = ends_within(change, polls + 1).await;
        cacheops.settled().await;
        assert_eq!(read(&cacheops, 2).await, 2, "dropped after {polls} polls");
        cacheops.invalidate(posts_of(7)).await.unwrap();
        if ended {
            assert!(polls > 3, "there were points to drop it at");
            break;
        }
        queued += 1;
        assert_eq!(cacheops.stats().invalidations_dropped, queued);
    }
}

#[tokio::test]
async fn an_invalidation_that_is_never_polled_is_not_lost() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    read(&cacheops, 1).await;

    drop(cacheops.invalidate(posts_of(7)));
    assert!(!cacheops.stats().available, "from this moment nothing is trusted");

    cacheops.settled().await;
    assert_eq!(read(&cacheops, 2).await, 2);
}

#[tokio::test]
async fn a_pending_invalidation_that_is_dropped_while_the_server_is_frozen_is_sent_later() {
    let server = Server::start();
    let cacheops = impatient(&server).await;
    read(&cacheops, 1).await;
    server.freeze();

    drop(cacheops.pending(posts_of(7)));
    cacheops.pending(posts_of(8)).cancel();
    assert_eq!(read(&cacheops, 2).await, 2);

    server.thaw();
    cacheops.settled().await;
    assert_eq!(read(&cacheops, 3).await, 3);
    assert_eq!(cacheops.stats().invalidations_dropped, 1);
}

#[tokio::test]
async fn a_fill_that_crosses_a_failed_invalidation_is_refused() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let load = || async { Ok::<_, Infallible>(0) };
    cacheops.get_or_load("other", ("post", author(1)), None, load).await.unwrap();

    let old = cacheops
        .read("k")
        .on("post", Condition::all().term("author", 7))
        .get_or_load(|| async {
            drop(cacheops.pending(posts_of(7)));
            cacheops.settled().await;
            Ok::<_, Infallible>(1)
        })
        .await;

    assert_eq!(old, Ok(1));
    assert_eq!(read(&cacheops, 2).await, 2);
    assert_eq!(cacheops.stats().stores_refused, 1);
}

#[tokio::test]
async fn what_always_takes_too_long_to_send_is_said_more_simply() {
    let server = Server::start();
    let timeout = Duration::from_millis(150);
    let cacheops = builder(&server)
        .response_timeout(timeout)
        .connect_timeout(timeout)
        .outbox(20_000, 1 << 30)
        .build()
        .await
        .unwrap();
    read(&cacheops, 1).await;

    let mut changes = posts_of(7);
    let long = "x".repeat(20_000);
    for id in 0..9_000 {
        let row = cacheops::Row::new().set("id", id).set("text", long.as_str());
        changes.add_row("post", &row);
    }
    let told = cacheops.invalidate(changes).await.unwrap();
    assert_eq!(told, Invalidated::Queued, "200 MB took longer than {timeout:?}");

    assert!(tokio::time::timeout(support::deadline(), cacheops.settled()).await.is_ok());
    assert_eq!(read(&cacheops, 2).await, 2);
    assert!(cacheops.stats().collapses > 0);
}
