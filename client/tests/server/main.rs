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
    Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .connect_timeout(support::deadline())
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
    Changes::row("post", &Row::new().set("author", author))
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
