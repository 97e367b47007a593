//! Reads, fills and invalidations.

use std::convert::Infallible;
use std::time::Duration;

use cacheops::{Changes, Condition, Deps, Invalidated};
use support::Server;

use crate::{author, handle, post, posts_of};

type Never<T> = Result<T, Infallible>;

#[tokio::test]
async fn a_result_is_loaded_once_until_a_row_of_its_condition_changes() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let read = async |expected: u32| {
        let load = || async { Never::Ok(expected) };
        cacheops.get_or_load("posts:7", ("post", author(7)), None, load).await.unwrap()
    };

    assert_eq!(read(1).await, 1);
    assert_eq!(read(2).await, 1);

    let told = cacheops.invalidate_row("post", &post(1, 8)).await.unwrap();
    assert_eq!(told, Invalidated::Confirmed(0));
    assert_eq!(read(3).await, 1);

    let mut changes = Changes::new();
    changes.add_change("post", post(1, 7), post(1, 8));
    assert_eq!(cacheops.invalidate(changes).await.unwrap(), Invalidated::Confirmed(1));
    assert_eq!(read(4).await, 4);

    let stats = cacheops.stats();
    assert_eq!((stats.hits, stats.misses, stats.stores), (2, 2, 2));
    assert_eq!((stats.invalidations, stats.links_cut), (2, 1));
}

#[tokio::test]
async fn a_value_that_changed_while_it_was_loaded_is_not_stored() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    // The scheme and the table are known, so that only the change can be the reason.
    cacheops
        .get_or_load("other", ("post", author(9)), None, || async { Never::Ok(0) })
        .await
        .unwrap();

    let value = cacheops
        .get_or_load("posts:7", ("post", author(7)), None, || async {
            cacheops.invalidate(posts_of(7)).await.unwrap();
            Never::Ok("old".to_owned())
        })
        .await
        .unwrap();
    assert_eq!(value, "old");
    assert_eq!(cacheops.stats().stores_refused, 1);

    let load = || async { Never::Ok("new".to_owned()) };
    let value = cacheops.get_or_load("posts:7", ("post", author(7)), None, load).await.unwrap();
    assert_eq!(value, "new");
}

#[tokio::test]
async fn a_loader_may_say_itself_what_its_result_depends_on() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let read = async |value: i64| {
        cacheops
            .read("k")
            .timeout(Duration::from_secs(60))
            .get_or_load_with_deps(|| async { Never::Ok((value, Deps::on("post", author(value)))) })
            .await
            .unwrap()
    };

    assert_eq!(read(1).await, 1);
    assert_eq!(read(2).await, 1);
    cacheops.invalidate(posts_of(2)).await.unwrap();
    assert_eq!(read(3).await, 1);
    cacheops.invalidate(posts_of(1)).await.unwrap();
    assert_eq!(read(4).await, 4);
}

#[tokio::test]
async fn a_result_that_depends_on_nothing_is_not_stored() {
    let server = Server::start();
    let cacheops = handle(&server).await;

    for value in 1..3 {
        let load = || async { Never::Ok(value) };
        assert_eq!(cacheops.get_or_load("k", Deps::none(), None, load).await.unwrap(), value);
    }

    assert_eq!(cacheops.stats().stores, 0);
}

#[tokio::test]
async fn an_error_of_the_loader_is_the_callers_and_nothing_is_stored() {
    let server = Server::start();
    let cacheops = handle(&server).await;

    let load = || async { Err::<i64, _>("no such table") };
    let result = cacheops.get_or_load("k", ("post", author(7)), None, load).await;
    assert_eq!(result, Err("no such table"));

    let load = || async { Never::Ok(7) };
    assert_eq!(cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap(), 7);
    assert_eq!(cacheops.flights(), 0);
}

#[tokio::test]
async fn a_snapshot_guards_all_fills_of_its_transaction() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let read = async |snapshot, value: i64| {
        let read = cacheops.read("k").on("post", Condition::all());
        let read = match snapshot {
            Some(snapshot) => read.snapshot(snapshot),
            None => read,
        };
        read.get_or_load(|| async { Never::Ok(value) }).await.unwrap()
    };
    read(None, 0).await; // makes the scheme known

    let before = cacheops.snapshot().await;
    cacheops.invalidate_table("post").await.unwrap();
    assert_eq!(read(Some(&before), 1).await, 1, "what the transaction sees");
    assert_eq!(cacheops.stats().stores_refused, 1);
    assert_eq!(read(None, 2).await, 2);
    cacheops.invalidate_table("post").await.unwrap();

    let after = cacheops.snapshot().await;
    assert_eq!(read(Some(&after), 3).await, 3);
    assert_eq!(read(None, 4).await, 3);
}
