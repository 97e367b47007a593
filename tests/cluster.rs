//! A cluster of one: INVALIDATE and FLUSH say that they are sent to every primary.

use std::time::{Duration, Instant};

use support::{Client, Server, Stream, eventually};

#[test]
fn invalidate_and_flush_require_shard() {
    let server = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = join(&server);
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");

    for line in [
        "CACHEOPS.INVALIDATE ON post author=7",
        "CACHEOPS.INVALIDATE DRYRUN ON post author=7",
        "CACHEOPS.FLUSH",
    ] {
        let error = con.error(line);
        assert!(error.contains("SHARD"), "{line}: {error}");
    }
    assert_eq!(con.hits_of(&["q:1", "q:2"]).len(), 2);

    assert_eq!(con.int("CACHEOPS.INVALIDATE SHARD ON post author=7"), 1);
    assert_eq!(con.hits_of(&["q:1", "q:2"]), ["q:2"]);

    con.int("CACHEOPS.FLUSH SHARD");
    assert!(con.hits_of(&["q:1", "q:2"]).is_empty());
    con.wait_for_empty_index();
}

#[test]
fn commands_that_name_a_key_only_to_choose_the_shard_are_redirected() {
    let server = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = server.connect();
    con.ok("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_for_cluster(&mut con);
    let elsewhere = Server::builder().arg("cluster-enabled", "yes").start();
    let mut second = elsewhere.connect();
    second.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", server.port(), server.bus_port()));
    eventually("the second knows who has the slots", || {
        second.text("CLUSTER INFO").is_some_and(|info| info.contains("cluster_state:ok"))
    });

    for line in [
        "CACHEOPS.GET k",
        "CACHEOPS.TOKEN k",
        "CACHEOPS.CHECK 5 KEY k ON post author=7",
        "CACHEOPS.CHECK 5 key k ON post author=7",
        "CACHEOPS.RELEASE k 5",
        "CACHEOPS.EXPLAIN k",
    ] {
        assert!(second.error(line).starts_with("MOVED 7629 "), "{line}");
    }
    // Without a key, and where KEY is a table, any shard will do.
    for line in ["CACHEOPS.TOKEN", "CACHEOPS.CHECK 5 ON key k", "CACHEOPS.CHECK 5 ON post a=1"] {
        assert!(second.int(line) >= 0, "{line}");
    }
    assert_eq!(con.int("CACHEOPS.CHECK 5 KEY k ON post author=7"), 0);
    let keys = con.list("COMMAND GETKEYS CACHEOPS.CHECK 5 KEY k ON post author=7");
    assert_eq!(keys.iter().map(support::as_text).collect::<Vec<_>>(), ["k"]);
}

#[test]
fn the_dead_are_unlinked_one_key_a_command() {
    let server = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = join(&server);
    con.pipeline((0..500).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    let mut stream = Stream::attach(&server);

    con.int("CACHEOPS.INVALIDATE SHARD ON post author=7");
    con.wait_for_empty_index();

    assert_eq!(con.int("DBSIZE"), 0);
    let unlinks: Vec<Vec<String>> = stream
        .read_all(&mut con)
        .into_iter()
        .filter(|words| words[0] == "UNLINK" || words[0] == "DEL")
        .collect();
    assert_eq!(unlinks.len(), 500);
    assert!(unlinks.iter().all(|words| words.len() == 2));
}

#[test]
fn a_replica_in_a_cluster_replays_what_its_primary_did() {
    let primary = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = join(&primary);
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");
    let replica = Server::builder().arg("cluster-enabled", "yes").start();
    let mut copy = replica.connect();
    let id = con.text("CLUSTER MYID").expect("an id");
    copy.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", primary.port(), primary.bus_port()));
    eventually("the replica knows its primary", || {
        copy.run(&format!("CLUSTER REPLICATE {id}")).is_ok()
    });
    replica.catch_up_with(&primary);
    wait_for_cluster(&mut copy);
    copy.ok("READONLY");
    assert_eq!(copy.hits_of(&["q:1", "q:2"]).len(), 2);

    con.int("CACHEOPS.INVALIDATE SHARD ON post author=7");
    replica.catch_up_with(&primary);

    assert_eq!(copy.hits_of(&["q:1", "q:2"]), ["q:2"]);
    assert!(copy.error("CACHEOPS.INVALIDATE SHARD ON post author=8").starts_with("READONLY"));
}

#[test]
fn a_manual_failover_with_dead_entries_waiting_is_survived_by_both() {
    let primary = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = join(&primary);
    let replica = Server::builder().arg("cluster-enabled", "yes").start();
    let mut copy = replica.connect();
    let id = con.text("CLUSTER MYID").expect("an id");
    copy.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", primary.port(), primary.bus_port()));
    eventually("the replica knows its primary", || {
        copy.run(&format!("CLUSTER REPLICATE {id}")).is_ok()
    });
    replica.catch_up_with(&primary);
    con.pipeline((0..50_000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    replica.catch_up_with(&primary);
    let is_known = format!("slave {id}");
    eventually("the primary knows its replica", || {
        con.text("CLUSTER NODES").is_some_and(|nodes| nodes.contains(&is_known))
    });

    con.int("CACHEOPS.INVALIDATE SHARD ON post author=7");
    // The replica gives it up after five seconds, its primary after ten; asked in between, it begins again.
    let mut asked: Option<Instant> = None;
    eventually("the replica is the primary", || {
        if asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(11))
            && copy.run("CLUSTER FAILOVER").is_ok()
        {
            asked = Some(Instant::now());
        }
        copy.info_field("role").as_deref() == Some("master")
    });
    eventually("the dead are reclaimed", || copy.int("DBSIZE") == 0);
    eventually("on the old primary too", || {
        con.info_field("role").as_deref() == Some("slave") && con.int("DBSIZE") == 0
    });
}

#[test]
fn an_atomic_slot_migration_is_refused_by_the_server() {
    let from = Server::builder().arg("cluster-enabled", "yes").start();
    let to = Server::builder().arg("cluster-enabled", "yes").start();
    let mut con = join(&from);
    con.store("q", "post author=7");
    if con.run("CLUSTER GETSLOTMIGRATIONS").is_err() {
        // Only Valkey 9 has it.
        return;
    }
    let mut other = to.connect();
    other.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", from.port(), from.bus_port()));
    let id = other.text("CLUSTER MYID").expect("an id");
    eventually("the servers know each other", || {
        con.text("CLUSTER NODES").is_some_and(|nodes| nodes.contains(&id))
    });

    let error = con.error(&format!("CLUSTER MIGRATESLOTS SLOTSRANGE 0 16383 NODE {id}"));

    assert!(error.to_lowercase().contains("module"), "{error}");
    assert!(con.hits("q"));
}

/// Gives all slots to a server that is alone, and waits until it serves them.
fn join(server: &Server) -> Client {
    let mut con = server.connect();
    con.ok("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_for_cluster(&mut con);
    con
}

fn wait_for_cluster(con: &mut Client) {
    eventually("the cluster is up", || {
        con.text("CLUSTER INFO").is_some_and(|info| info.contains("cluster_state:ok"))
    });
}
