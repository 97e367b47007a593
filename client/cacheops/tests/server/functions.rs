//! What stands around the reads: functions, simple values, near values, profiles, hooks, errors.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cacheops::{
    Cacheops, Changes, Condition, Deps, ErrorKind, Invalidated, Ops, Profile, ReadOutcome,
    StoreOutcome,
};
use support::Server;

use crate::{author, builder, eventually, handle, posts_of};

type Never<T> = Result<T, Infallible>;

#[tokio::test]
async fn a_function_is_kept_by_name_extras_and_rows() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let call = async |lang: &str, category: i64, value: u32| {
        cacheops
            .cached_as("menu", [("post", author(category))])
            .extra(lang)
            .extra(&(1, "x"))
            .timeout(Duration::from_secs(60))
            .get_or_load(|| async { Never::Ok(value) })
            .await
            .unwrap()
    };

    assert_eq!((call("en", 7, 1).await, call("it", 7, 2).await, call("en", 8, 3).await), (1, 2, 3));
    assert_eq!((call("en", 7, 9).await, call("it", 7, 9).await, call("en", 8, 9).await), (1, 2, 3));
    cacheops.invalidate(posts_of(7)).await.unwrap();
    assert_eq!((call("en", 7, 4).await, call("it", 7, 5).await, call("en", 8, 9).await), (4, 5, 3));

    let this = || cacheops.cached_as("menu", [("post", author(8))]).extra("en").extra(&(1, "x"));
    assert!(this().invalidate().await.unwrap());
    assert!(!this().invalidate().await.unwrap());
    assert_eq!(call("en", 8, 6).await, 6);
}

#[tokio::test]
async fn two_functions_of_one_type_and_time_share_nothing() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let hour = Duration::from_secs(3600);
    let (a, b) = (|| cacheops.cached("a", hour), || cacheops.cached("b", hour));
    let (c, d) = (
        || cacheops.cached_as("c", ("post", author(7))),
        || cacheops.cached_as("d", ("post", author(7))),
    );

    for _ in 0..2 {
        assert_eq!(
            (
                a().get_or_load(async || Never::Ok(1)).await.unwrap(),
                b().get_or_load(async || Never::Ok(2)).await.unwrap()
            ),
            (1, 2)
        );
        assert_eq!(
            (
                c().get_or_load(async || Never::Ok(3)).await.unwrap(),
                d().get_or_load(async || Never::Ok(4)).await.unwrap()
            ),
            (3, 4)
        );
    }
    assert_eq!(cacheops.stats().hits, 4);

    assert!(a().invalidate().await.unwrap());
    assert_eq!(
        (
            a().get_or_load(async || Never::Ok(5)).await.unwrap(),
            b().get_or_load(async || Never::Ok(6)).await.unwrap()
        ),
        (5, 2)
    );
}

#[tokio::test]
async fn a_function_kept_by_time_ends_with_it_or_with_everything() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let call = async |timeout: Duration, value: u32| {
        cacheops.cached("top", timeout).get_or_load(|| async { Never::Ok(value) }).await.unwrap()
    };

    let moment = Duration::from_millis(1);
    assert_eq!(call(moment, 1).await, 1);
    let mut con = server.connect();
    eventually("it has expired", || con.int("DBSIZE") == 0).await;
    let hour = Duration::from_secs(3600);
    assert_eq!((call(hour, 2).await, call(hour, 3).await), (2, 2));
    cacheops.invalidate_all().await.unwrap();
    assert_eq!(call(hour, 4).await, 4);
}

#[tokio::test]
async fn simple_values_are_set_got_and_deleted() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let cache = cacheops.cache();

    assert_eq!(cache.get::<u32>("k").await.unwrap(), None);
    cache.set("k", &7_u32, Duration::from_secs(60)).await.unwrap();
    assert_eq!(cache.get::<u32>("k").await.unwrap(), Some(7));
    assert_eq!(cache.get::<String>("k").await.unwrap(), None, "of another type");
    assert_eq!(cacheops.stats().undecodable, 1);
    assert!(cache.delete("k").await.unwrap());
    assert!(!cache.delete("k").await.unwrap());

    cache.set("k", &8_u32, None).await.unwrap();
    cacheops.invalidate_all().await.unwrap();
    assert_eq!(cache.get::<u32>("k").await.unwrap(), None);
}

#[cfg(feature = "moka")]
#[tokio::test]
async fn a_near_value_is_proven_by_the_server_each_time() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let read = async |value: &str| {
        let read = cacheops.read("k").on("post", author(7)).local(true);
        read.get_or_load(|| async { Never::Ok(value.to_owned()) }).await.unwrap()
    };

    assert_eq!(read("a").await, "a");
    assert_eq!(read("b").await, "a");
    assert_eq!(cacheops.stats().near_hits, 1, "what was stored is kept here too");
    cacheops.invalidate(posts_of(7)).await.unwrap();
    assert_eq!(read("c").await, "c");

    // Somebody else replaces it: the version differs, and the new value comes along.
    let other = handle(&server).await;
    other.invalidate(posts_of(7)).await.unwrap();
    let load = || async { Never::Ok("d".to_owned()) };
    other.get_or_load("k", ("post", author(7)), None, load).await.unwrap();
    assert_eq!(read("e").await, "d");
    assert_eq!(read("e").await, "d");
    assert_eq!((cacheops.stats().near_hits, cacheops.stats().hits), (2, 3));
}

#[tokio::test]
async fn a_profile_says_which_reads_ask() {
    let server = Server::start();
    let cacheops = builder(&server)
        .tables(["post", "tag", "audit"])
        .defaults(Profile::new().timeout(Duration::from_secs(60)))
        .profile("post", Profile::new().ops(Ops::GET | Ops::FETCH))
        .profile("*", Profile::new())
        .forbid("audit")
        .build()
        .await
        .unwrap();
    let asks = async |table: &str, op: Ops| {
        let before = cacheops.stats();
        let profile = cacheops.profile(table).unwrap();
        let read = cacheops.read(op.name()).on(table, Condition::all()).profile(profile, op);
        read.get_or_load(|| async { Never::Ok(1) }).await.unwrap();
        cacheops.stats().bypasses == before.bypasses
    };

    assert!(asks("post", Ops::GET).await && asks("post", Ops::FETCH).await);
    assert!(!asks("post", Ops::COUNT).await && !asks("tag", Ops::GET).await);
    assert!(cacheops.profile("audit").is_none());
    let ttl = server.connect().int("PTTL cacheops:get");
    assert!((1..=60_000).contains(&ttl), "{ttl}");

    let error = builder(&server).tables(["post"]).forbid("pots").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
}

#[tokio::test]
async fn namespace_and_prefix_keep_keys_apart() {
    let server = Server::start();
    let shop = builder(&server).namespace("shop").build().await.unwrap();
    let blog = builder(&server)
        .namespace("blog")
        .prefix(|deps| format!("t{}/", deps.len()))
        .build()
        .await
        .unwrap();
    for (cacheops, value) in [(&shop, 1), (&blog, 2)] {
        let load = || async { Never::Ok(value) };
        let read = cacheops.get_or_load("k", ("post", author(7)), None, load).await;
        assert_eq!(read.unwrap(), value);
    }

    let mut con = server.connect();
    assert_eq!((con.int("EXISTS shop:k"), con.int("EXISTS t1/blog:k")), (1, 1));
}

#[tokio::test]
async fn an_entry_of_another_type_or_format_is_a_miss_and_is_replaced() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let dep = || Deps::on("post", author(7));
    cacheops.get_or_load("k", dep(), None, || async { Never::Ok(7_i64) }).await.unwrap();

    let text = cacheops.get_or_load("k", dep(), None, || async { Never::Ok("7".to_owned()) }).await;
    assert_eq!(text.unwrap(), "7");
    let text = cacheops.get_or_load("k", dep(), None, || async { Never::Ok("8".to_owned()) }).await;
    assert_eq!(text.unwrap(), "7");

    let stats = cacheops.stats();
    assert_eq!((stats.undecodable, stats.stores, stats.hits), (1, 2, 1));
}

#[tokio::test]
async fn an_entry_of_another_version_is_a_miss_and_is_replaced_under_the_same_key() {
    let server = Server::start();
    let old = builder(&server).version("1").build().await.unwrap();
    let new = builder(&server).version("2").build().await.unwrap();
    let read = async |cacheops: &Cacheops, value: u32| {
        let load = || async { Never::Ok(value) };
        cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap()
    };

    assert_eq!((read(&old, 1).await, read(&new, 2).await, read(&new, 3).await), (1, 2, 2));
    assert_eq!((read(&old, 4).await, read(&old, 5).await), (4, 4));
    assert_eq!(server.connect().int("DBSIZE"), 1);

    old.cache().set("s", &1, None).await.unwrap();
    assert_eq!(new.cache().get::<i32>("s").await.unwrap(), None);
    assert!(new.cache().delete("s").await.unwrap());
}

#[tokio::test]
async fn a_value_that_serde_would_change_is_loaded_each_time_and_counted() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Item {
        #[serde(skip_deserializing)]
        id: i32,
    }
    let server = Server::start();
    let unencodable = Arc::new(Mutex::new(0));
    let heard = Arc::clone(&unencodable);
    let cacheops = builder(&server)
        .on_store(move |event| {
            assert!(matches!(event.outcome, StoreOutcome::Unencodable(_)));
            *heard.lock().unwrap() += 1;
        })
        .build()
        .await
        .unwrap();

    for _ in 0..2 {
        let load = || async { Never::Ok(vec![Item { id: 7 }]) };
        let items = cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap();
        assert_eq!(items[0].id, 7);
    }

    let stats = cacheops.stats();
    assert_eq!((stats.unencodable, stats.stores, stats.misses), (2, 0, 2));
    assert_eq!(*unencodable.lock().unwrap(), 2);
    let error = cacheops.cache().set("k", &Item { id: 7 }, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn another_serialisation_is_a_setting() {
    let server = Server::start();
    let json = builder(&server).format(cacheops::Format::Json).build().await.unwrap();
    let other = handle(&server).await;
    let read = async |cacheops: &Cacheops| {
        let load = || async { Never::Ok(vec!["one".to_owned()]) };
        cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap()
    };

    read(&json).await;
    let bytes = json.client().unwrap().get("cacheops:k").await.unwrap().unwrap();
    assert!(bytes.ends_with(b"[\"one\"]"));
    // A program with another serialiser misses, and never sees it.
    assert_eq!(read(&other).await, ["one"]);

    assert_eq!((other.stats().undecodable, other.stats().misses, json.stats().hits), (1, 1, 0));
}

#[tokio::test]
async fn no_invalidation_is_of_one_task_or_one_handle() {
    let server = Server::start();
    let cacheops = handle(&server).await;
    let load = || async { Never::Ok(1) };
    cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap();

    cacheops
        .no_invalidation(async {
            assert!(!cacheops.invalidates());
            let told = cacheops.invalidate(posts_of(7)).await.unwrap();
            assert_eq!(told, Invalidated::Skipped);
            drop(cacheops.pending(posts_of(7)));
            let (other, row) = (cacheops.clone(), posts_of(8));
            let told = tokio::spawn(async move { other.invalidate(row).await }).await.unwrap();
            assert_eq!(told.unwrap(), Invalidated::Confirmed(0), "another task");
        })
        .await;
    let silent = cacheops.without_invalidation();
    assert_eq!(silent.clone().invalidate(posts_of(7)).await.unwrap(), Invalidated::Skipped);
    assert_eq!((cacheops.stats().invalidations, cacheops.stats().invalidations_skipped), (1, 2));
    assert!(server.connect().int("EXISTS cacheops:k") == 1);

    assert_eq!(cacheops.invalidate(posts_of(7)).await.unwrap(), Invalidated::Confirmed(1));
}

#[tokio::test]
async fn hooks_hear_of_every_read_and_invalidation() {
    let server = Server::start();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (reads, invalidations) = (Arc::clone(&heard), Arc::clone(&heard));
    let cacheops = builder(&server)
        .on_read(move |event| {
            assert_eq!((event.key, event.deps.len()), (b"cacheops:k".as_slice(), 1));
            reads.lock().unwrap().push(format!("{} {:?}", event.op, event.outcome));
        })
        .on_invalidate(move |event| {
            let tables: Vec<_> = event.changes.tables().map(String::from_utf8_lossy).collect();
            invalidations.lock().unwrap().push(format!("{tables:?} {:?}", event.outcome));
        })
        .build()
        .await
        .unwrap();
    let read = async || {
        let read = cacheops.read("k").on("post", author(7)).op("fetch");
        read.get_or_load(|| async { Never::Ok(1) }).await.unwrap()
    };

    read().await;
    read().await;
    cacheops.invalidate(posts_of(7)).await.unwrap();
    let _ = cacheops.invalidate(Changes::new()).await;

    let expected = ["fetch Miss", "fetch Hit", "[\"post\"] Confirmed(1)"];
    assert_eq!(*heard.lock().unwrap(), expected);
    assert_eq!(ReadOutcome::Hit, ReadOutcome::Hit);
}

#[tokio::test]
async fn a_handle_that_is_off_connects_to_nothing() {
    let cacheops = Cacheops::builder("redis://127.0.0.1:1/")
        .enabled(false)
        .strict(true)
        .build()
        .await
        .unwrap();

    let load = || async { Never::Ok(1) };
    assert_eq!(cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap(), 1);
    assert_eq!(cacheops.invalidate(posts_of(7)).await.unwrap(), Invalidated::Skipped);
    drop(cacheops.pending(posts_of(7)));
    cacheops.cache().set("k", &1, None).await.unwrap();
    assert_eq!(cacheops.cache().get::<i32>("k").await.unwrap(), None);
    cacheops.settled().await;
    assert_eq!(cacheops.stats().outbox, 0);
}

#[tokio::test]
async fn what_cannot_be_used_is_told_when_it_is_built() {
    let without = Server::builder().without_module().start();
    let error = builder(&without).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ModuleMissing);
    assert!(error.to_string().contains("loadmodule libcacheops.so"), "{error}");

    let server = Server::start();
    server.connect().ok("ACL SETUSER someone on >secret ~* +@all");
    let url = format!("redis://someone:wrong@127.0.0.1:{}/", server.port());
    let error = Cacheops::builder(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let text = error.to_string();
    let name = format!("redis://127.0.0.1:{}/0: ", server.port());
    assert!(text.starts_with(&name) && !text.contains("wrong@"), "{text}");
    server.connect().ok("CONFIG SET requirepass secret");
    let error = builder(&server).build().await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("{name}NOAUTH Authentication required: ")), "{text}");
    assert!(text.contains("redis://user:password@host:port/database"), "{text}");
    let url = format!("redis://127.0.0.1:{}/", server.port());
    assert!(cacheops::Client::connect(url).await.unwrap_err().to_string().starts_with(&name));

    for url in ["", "http://127.0.0.1/", "redis://127.0.0.1:port/"] {
        let error = Cacheops::builder(url).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}: {error}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_is_loaded_each_time_and_counted() {
    let server = Server::builder().arg("cacheops.max-value-bytes", "100").start();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&outcomes);
    let cacheops = builder(&server)
        .on_store(move |event| {
            assert_eq!((event.key, event.deps.len()), (b"cacheops:k".as_slice(), 1));
            let rejected = match event.outcome {
                StoreOutcome::Rejected(error) => Some(error.kind()),
                _ => None,
            };
            heard.lock().unwrap().push(rejected);
        })
        .build()
        .await
        .unwrap();
    let large = "x".repeat(200);

    for _ in 0..2 {
        let load = || async { Never::Ok(large.clone()) };
        let value = cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap();
        assert_eq!(value, large);
    }

    let stats = cacheops.stats();
    assert_eq!((stats.store_errors, stats.misses, stats.breaks), (2, 2, 0));
    assert_eq!((stats.stores_rejected, stats.stores), (2, 0));
    assert_eq!(*outcomes.lock().unwrap(), [Some(ErrorKind::ValueTooLarge); 2]);
    let error = cacheops.cache().set("k", &large, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
    assert!(error.to_string().contains("cacheops.max-value-bytes"), "{error}");
}

#[tokio::test]
async fn a_replica_is_read_and_never_filled_and_refuses_invalidations() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let cacheops = builder(&replica).strict(true).build().await.unwrap();

    let load = || async { Never::Ok(1) };
    assert_eq!(cacheops.get_or_load("k", ("post", author(7)), None, load).await.unwrap(), 1);
    assert_eq!(cacheops.stats().stores + cacheops.stats().store_errors, 0);

    let error = cacheops.invalidate(posts_of(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("primary"), "{error}");
    assert!(!cacheops.stats().available, "what it holds may be stale");
}

#[tokio::test]
async fn a_value_kept_elsewhere_is_good_until_its_rows_change_or_the_server_is_unsure() {
    let mut server = Server::start();
    let cacheops = handle(&server).await;
    let deps = || ("post", author(7));
    let first = cacheops.token("page").await.unwrap();
    cacheops.check("page", first, deps()).await;
    let token = cacheops.token("page").await.unwrap();

    assert!(cacheops.check("page", token, deps()).await);
    cacheops.invalidate(posts_of(8)).await.unwrap();
    assert!(cacheops.check("page", token, deps()).await, "other rows");
    assert!(!cacheops.check("page", token, Deps::none()).await, "it depends on nothing");
    cacheops.invalidate(posts_of(7)).await.unwrap();
    assert!(!cacheops.check("page", token, deps()).await);

    let token = cacheops.token("page").await.unwrap();
    assert!(cacheops.check("page", token, deps()).await);
    server.kill();
    assert_eq!(cacheops.invalidate(posts_of(7)).await.unwrap(), Invalidated::Queued);
    assert!(!cacheops.check("page", token, deps()).await);
    assert_eq!(cacheops.token("page").await, None);
    assert!(!cacheops.check("page", token, deps()).await, "the server does not know of it yet");
}
