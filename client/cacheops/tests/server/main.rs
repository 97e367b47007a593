//! The handle against real servers.

mod addresses;
mod away;
mod chaos;
#[cfg(feature = "cluster")]
mod cluster;
mod coalescing;
mod crowd;
mod edges;
mod functions;
mod lock;
mod reading;

use std::time::Duration;

use cacheops::{Builder, Cacheops, Changes, Condition, Row};
use support::Server;

/// A builder for a handle to this server, with timeouts for a slow machine.
fn builder(server: &Server) -> Builder {
    builder_for(format!("redis://127.0.0.1:{}/", server.port()))
}

fn builder_for(url: String) -> Builder {
    let deadline = support::deadline();
    Cacheops::builder(url).response_timeout(deadline).connect_timeout(deadline)
}

async fn handle(server: &Server) -> Cacheops {
    builder(server).build().await.unwrap()
}

fn author(id: i64) -> Condition {
    Condition::all().term("author", id)
}

/// A row of the table `post`.
fn post(id: i64, author: i64) -> Row {
    Row::new().set("id", id).set("author", author)
}

fn posts_of(author: i64) -> Changes {
    Changes::row("post", Row::new().set("author", author))
}

/// Waits until the server has answered so many questions, and the readers have seen the answers.
async fn asked(server: &Server, cacheops: &Cacheops, questions: i64) {
    let mut client = server.connect();
    eventually("the readers have asked", || client.calls_of("cacheops.get") >= questions).await;
    // Over the same connection, so this answer comes after theirs.
    cacheops.client().unwrap().token().await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Waits for a condition, as the tests of the module do, but lets other tasks run.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let deadline = support::deadline();
    assert!(
        tokio::time::timeout(deadline, waiting).await.is_ok(),
        "not within {deadline:?}: {what}"
    );
}
