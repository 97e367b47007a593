//! A cluster of three primaries: entries on their shards, invalidations on all of them.

use std::convert::Infallible;
use std::time::Duration;

use cacheops::{Builder, Cacheops, ErrorKind, Invalidated, Key, Token};
use support::{Server, deadline, eventually as wait_for};
use tokio::sync::oneshot;

use crate::{author, eventually, posts_of};

struct Cluster(Vec<Server>);

impl Cluster {
    fn start() -> Self {
        let servers: Vec<Server> = (0..3)
            .map(|_| {
                Server::builder()
                    .arg("cluster-enabled", "yes")
                    // A primary that is away does not end the cluster by itself.
                    .arg("cluster-node-timeout", "600000")
                    .start()
            })
            .collect();
        for (server, slots) in servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let mut con = server.connect();
            con.ok(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
            let first = &servers[0];
            con.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", first.port(), first.bus_port()));
        }
        for server in &servers {
            let mut con = server.connect();
            wait_for("the cluster is up", || {
                con.text("CLUSTER INFO").is_some_and(|info| {
                    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
                })
            });
        }
        Self(servers)
    }

    fn builder(&self) -> Builder {
        Builder::cluster(self.0.iter().map(|s| format!("redis://127.0.0.1:{}/", s.port())))
    }

    async fn handle(&self) -> Cacheops {
        let builder = self.builder().response_timeout(deadline()).connect_timeout(deadline());
        builder.build().await.unwrap()
    }
}

/// Keys of every shard.
const KEYS: i64 = 30;

async fn read(cacheops: &Cacheops, id: i64, value: u32) -> u32 {
    let load = || async { Ok::<_, Infallible>(value) };
    let key = Key::query("db", "SELECT").value(&id);
    cacheops.get_or_load(key, ("post", author(id % 2)), None, load).await.unwrap()
}

#[tokio::test]
async fn an_invalidation_reaches_every_shard() {
    let cluster = Cluster::start();
    let cacheops = cluster.handle().await;
    for id in 0..KEYS {
        assert_eq!(read(&cacheops, id, 1).await, 1);
    }
    for server in &cluster.0 {
        assert!(server.connect().info("cacheops_entries") > 0, "the keys are spread");
    }

    let told = cacheops.invalidate(posts_of(0)).await.unwrap();

    assert_eq!(told, Invalidated::Confirmed(KEYS as u64 / 2));
    for id in 0..KEYS {
        let expected = if id % 2 == 0 { 2 } else { 1 };
        assert_eq!(read(&cacheops, id, 2).await, expected);
    }
    cacheops.invalidate_all().await.unwrap();
    for id in 0..KEYS {
        assert_eq!(read(&cacheops, id, 3).await, 3);
    }
}

async fn locked(cacheops: Cacheops, id: i64, load: impl Future<Output = u32>) -> u32 {
    let key = Key::query("db", "SELECT").value(&id);
    let load = || async { Ok::<_, Infallible>(load.await) };
    cacheops.read(key).on("post", author(7)).lock(true).get_or_load(load).await.unwrap()
}

#[tokio::test]
async fn who_waits_for_a_lock_waits_at_the_shard_of_the_key() {
    let cluster = Cluster::start();
    let (one, two) = (cluster.handle().await, cluster.handle().await);
    let mut shards: Vec<_> = cluster.0.iter().map(Server::connect).collect();

    for id in 0..12 {
        let (end, ended) = oneshot::channel();
        let (began, begun) = oneshot::channel();
        let load = async {
            began.send(()).unwrap();
            ended.await.unwrap()
        };
        let owner = tokio::spawn(locked(one.clone(), id, load));
        begun.await.unwrap();
        let other = tokio::spawn(locked(two.clone(), id, async { 0 }));
        let mut blocked =
            || shards.iter_mut().map(|shard| shard.info("blocked_clients")).sum::<i64>();
        eventually("it waits", || blocked() == 1).await;

        end.send(7).unwrap();
        assert_eq!((owner.await.unwrap(), other.await.unwrap()), (7, 7));
    }

    assert_eq!((two.stats().waits, two.stats().hits, two.stats().misses), (12, 12, 0));
}

#[tokio::test]
async fn a_snapshot_has_a_token_of_every_shard() {
    let cluster = Cluster::start();
    let cacheops = cluster.handle().await;
    let read_in = async |snapshot: &cacheops::Snapshot, id: i64, value: u32| {
        cacheops
            .read(Key::query("db", "SELECT").value(&id))
            .on("post", author(id % 2))
            .snapshot(snapshot)
            .get_or_load(|| async { Ok::<_, Infallible>(value) })
            .await
            .unwrap()
    };
    let snapshot = cacheops.snapshot().await;
    for id in 0..KEYS {
        read_in(&snapshot, id, 1).await;
    }
    assert_eq!(cacheops.stats().stores, KEYS as u64);

    cacheops.invalidate(posts_of(0)).await.unwrap();

    for id in 0..KEYS {
        read_in(&snapshot, id, 2).await;
    }
    assert_eq!(cacheops.stats().stores_refused, KEYS as u64 / 2);
}

#[tokio::test]
async fn a_primary_that_does_not_answer_makes_an_invalidation_unconfirmed() {
    let cluster = Cluster::start();
    let timeout = Duration::from_millis(500);
    let cacheops =
        cluster.builder().response_timeout(timeout).connect_timeout(timeout).build().await.unwrap();
    for id in 0..KEYS {
        read(&cacheops, id, 1).await;
    }
    cluster.0[1].freeze();

    assert_eq!(cacheops.invalidate(posts_of(0)).await.unwrap(), Invalidated::Queued);
    for id in 0..KEYS {
        assert_eq!(read(&cacheops, id, 2).await, 2, "from the database, whatever the shard");
    }

    cluster.0[1].thaw();
    eventually("the handle has recovered", || cacheops.stats().available).await;
    for id in (0..KEYS).step_by(2) {
        assert_eq!(read(&cacheops, id, 3).await, 3);
    }
}

#[tokio::test]
async fn a_primary_that_is_dead_makes_an_invalidation_unconfirmed() {
    let mut cluster = Cluster::start();
    let timeout = Duration::from_millis(500);
    let cacheops =
        cluster.builder().response_timeout(timeout).connect_timeout(timeout).build().await.unwrap();
    for id in 0..KEYS {
        read(&cacheops, id, 1).await;
    }
    cluster.0[2].kill();

    assert_eq!(cacheops.invalidate(posts_of(0)).await.unwrap(), Invalidated::Queued);
    assert_eq!(read(&cacheops, 0, 2).await, 2);
    assert_eq!(read(&cacheops, 1, 2).await, 2);

    cluster.0[2].relaunch();
    eventually("the handle has recovered", || cacheops.stats().available).await;
    for id in (0..KEYS).step_by(2) {
        assert_eq!(read(&cacheops, id, 3).await, 3);
    }
}

#[tokio::test]
async fn a_primary_to_which_slots_are_just_moved_is_told_too() {
    let cluster = Cluster::start();
    let new = Server::builder().arg("cluster-enabled", "yes").start();
    let first = &cluster.0[0];
    new.connect().ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", first.port(), first.bus_port()));
    for server in cluster.0.iter().chain([&new]) {
        let mut con = server.connect();
        // Also that the new one serves: it refuses all questions until it has heard of every slot.
        wait_for("the new one is known", || {
            con.text("CLUSTER INFO").is_some_and(|info| {
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:4")
            })
        });
    }
    let (one, two) = (cluster.handle().await, cluster.handle().await);
    // The key's slot is on its way from its primary to the new one, which has no slot of its own yet.
    let key = "{a}k"; // slot 15495
    let (from, to) = (&cluster.0[2], &new);
    let id = |server: &Server| server.connect().text("CLUSTER MYID").unwrap();
    to.connect().ok(&format!("CLUSTER SETSLOT 15495 IMPORTING {}", id(from)));
    from.connect().ok(&format!("CLUSTER SETSLOT 15495 MIGRATING {}", id(to)));
    let read = async |cacheops: &Cacheops, value: u32| {
        let load = || async { Ok::<_, Infallible>(value) };
        cacheops.get_or_load(key, ("post", author(7)), None, load).await.unwrap()
    };
    assert_eq!(read(&two, 1).await, 1);
    assert_eq!(read(&two, 2).await, 1, "it is kept: {:?}", two.stats());
    assert_eq!(to.connect().info("cacheops_entries"), 1);

    let told = one.invalidate(posts_of(7)).await.unwrap();

    assert_eq!(told, Invalidated::Confirmed(1));
    assert_eq!(read(&two, 3).await, 3);

    // It is gone, and has not said so to anybody yet.
    new.freeze();
    let timeout = Duration::from_millis(200);
    let one =
        cluster.builder().response_timeout(timeout).connect_timeout(timeout).build().await.unwrap();
    assert_eq!(one.invalidate(posts_of(7)).await.unwrap(), Invalidated::Queued);
    new.thaw();
    one.settled().await;
    assert_eq!(read(&two, 4).await, 4);
}

#[tokio::test]
async fn a_value_kept_elsewhere_is_checked_on_the_shard_of_its_key() {
    let cluster = Cluster::start();
    let cacheops = cluster.handle().await;
    let client = cacheops.client().unwrap();

    for id in 0..KEYS {
        let key = format!("page:{id}");
        let deps = || ("post", author(id));
        let first = cacheops.token(&key).await.unwrap();
        // Makes the condition known to the shard.
        cacheops.check(&key, first, deps()).await;

        let number = cacheops.token(&key).await.unwrap().get();
        assert!(cacheops.check(&key, Token::new(number), deps()).await, "{key}");
        let check = client.check(Token::new(number)).key(&key).on("post", author(id));
        assert!(check.await.unwrap(), "{key}");
        cacheops.invalidate(posts_of(id)).await.unwrap();
        assert!(!cacheops.check(&key, Token::new(number), deps()).await, "{key}");
    }
    for server in &cluster.0 {
        assert!(server.connect().calls_of("cacheops.check") > 0, "the keys are spread");
    }
}

#[tokio::test]
async fn many_entries_are_read_from_all_shards_in_the_order_of_their_keys() {
    let cluster = Cluster::start();
    let client = cluster.handle().await.client().unwrap();
    let keys: Vec<String> = (0..KEYS).map(|id| format!("k{id}")).collect();
    for (id, key) in keys.iter().enumerate().filter(|(id, _)| id % 3 > 0) {
        client.store(key, &id.to_string()).on("post", author(7)).await.unwrap();
    }

    let values = client.get_many(&keys).await.unwrap();

    let expected = |id: i64| (id % 3 > 0).then(|| id.to_string().into_bytes());
    assert_eq!(values, (0..KEYS).map(expected).collect::<Vec<_>>());
    assert!(client.get_many::<&str>([]).await.unwrap().is_empty());
}

#[tokio::test]
async fn in_a_cluster_a_token_without_a_key_is_an_error() {
    let cluster = Cluster::start();
    let client = cluster.handle().await.client().unwrap();

    let error = client.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("token_for"), "{error}");

    let token = client.token_for("page").await.unwrap();
    let error = client.check(token).on("post", author(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("`key`"), "{error}");
}
