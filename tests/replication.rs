//! A replica that replays the stream holds the same entries; a promoted one vouches for none.

use support::{Client, Server, Stream, eventually};

#[test]
fn a_full_synchronisation_brings_entries_that_are_hits_and_linked() {
    for diskless in ["yes", "no"] {
        let primary = Server::builder().arg("repl-diskless-sync", diskless).start();
        let mut con = primary.connect();
        con.ok("CACHEOPS.STORE q:1 \"value of q:1\" PX 600000 ON post author=7|draft=0 user *");
        con.store("q:2", "post author=8");
        primary.connect_to(4).store("q", "post author=7");

        let replica = Server::builder().replica_of(&primary).start();
        replica.catch_up_with(&primary);

        let mut copy = replica.connect();
        assert_eq!(copy.hits_of(&["q:1", "q:2"]).len(), 2);
        assert!(replica.connect_to(4).hits("q"));
        wait_for_equal_gauges(&mut copy, &mut con);

        con.invalidate("post author=7&draft=1");
        replica.catch_up_with(&primary);

        assert_eq!(copy.hits_of(&["q:1", "q:2"]), ["q:2"]);
        assert!(replica.connect_to(4).hits("q"));
    }
}

#[test]
fn a_second_full_synchronisation_replaces_what_the_replica_held() {
    for load in ["disabled", "swapdb", "on-empty-db"] {
        let primary = Server::start();
        let replica =
            Server::builder().arg("repl-diskless-load", load).replica_of(&primary).start();
        replica.catch_up_with(&primary);
        let (mut con, mut copy) = (primary.connect(), replica.connect());
        con.store("q:1", "post author=7");
        con.store("q:2", "post author=8");
        replica.catch_up_with(&primary);

        // Under another name of the stream nothing is resumed.
        con.ok("MULTI");
        con.ok("DEBUG CHANGE-REPL-ID");
        con.ok("CLIENT KILL TYPE replica");
        con.ok("CACHEOPS.INVALIDATE ON post author=7");
        con.ok("DEL q:2");
        con.ok("CACHEOPS.STORE q:3 \"value of q:3\" ON post author=9");
        con.ok("EXEC");
        con.wait_until_reclaimed();
        eventually("the replica synchronises", || con.info("sync_full") == 2);
        replica.catch_up_with(&primary);

        assert_eq!(copy.hits_of(&["q:1", "q:2", "q:3"]), ["q:3"], "{load}");
        wait_for_equal_gauges(&mut copy, &mut con);
        con.invalidate("post author=9");
        replica.catch_up_with(&primary);
        assert!(!copy.hits("q:3"), "{load}");
        con.wait_until_reclaimed();
        replica.catch_up_with(&primary);
        copy.assert_index_is_empty();
    }
}

#[test]
fn a_replica_that_attaches_while_the_dead_wait_gets_them_as_dead() {
    let primary = Server::start();
    let mut con = primary.connect();
    con.pipeline((0..1000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    con.store("q", "post author=8");
    con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);

    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);

    let mut copy = replica.connect();
    assert_eq!(copy.int("DBSIZE"), 1001);
    assert!(copy.hits("q") && !copy.hits("k:0") && !copy.hits("k:999"));
    con.ok("CLIENT UNPAUSE");
    eventually("the dead leave both servers", || con.int("DBSIZE") == 1 && copy.int("DBSIZE") == 1);
    assert!(copy.hits("q"));
}

#[test]
fn a_replica_that_is_promoted_while_the_dead_wait_reclaims_them() {
    for policy in ["keep", "discard"] {
        let mut primary = Server::start();
        let replica =
            Server::builder().arg("cacheops.on-promotion", policy).replica_of(&primary).start();
        let mut con = primary.connect();
        con.pipeline((0..1000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
        con.store("q", "post author=8");
        replica.catch_up_with(&primary);
        con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);
        let mut copy = replica.connect();
        eventually("the invalidation has arrived", || copy.text("CACHEOPS.GET k:0").is_none());
        primary.kill();

        copy.ok("REPLICAOF NO ONE");

        let left = i64::from(policy == "keep");
        assert_eq!(i64::from(copy.hits("q")), left, "{policy}");
        eventually("the dead leave memory", || copy.int("DBSIZE") == left);
        assert_eq!(copy.info("cacheops_entries"), left, "{policy}");
    }
}

#[test]
fn the_stream_brings_stores_and_invalidations_and_deletions() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.ok("CACHEOPS.STORE q:1 \"value of q:1\" PX 600000 ON post author=7|draft=0 user *");
    let version = con.store("q:2", "post author=8");
    con.store("q:3", "post author=9");
    replica.catch_up_with(&primary);
    assert_eq!(copy.hits_of(&["q:1", "q:2", "q:3"]).len(), 3);
    assert!((1..=600_000).contains(&copy.int("PTTL q:1")));
    assert_eq!(support::as_text(&copy.map("CACHEOPS.EXPLAIN q:2")["version"]), version.to_string());

    con.invalidate("post author=7&draft=1");
    con.ok("DEL q:3");
    con.wait_until_reclaimed();
    replica.catch_up_with(&primary);

    assert_eq!(copy.hits_of(&["q:1", "q:2", "q:3"]), ["q:2"]);
    assert_eq!(copy.int("DBSIZE"), 1);
    wait_for_equal_gauges(&mut copy, &mut con);

    con.ok("CACHEOPS.FLUSH");
    con.wait_for_empty_index();
    replica.catch_up_with(&primary);
    copy.assert_index_is_empty();
}

#[test]
fn nothing_is_refused_on_a_replica_that_the_primary_accepted() {
    let primary = Server::start();
    let replica = Server::builder()
        .arg("cacheops.max-value-bytes", "10")
        .arg("cacheops.max-terms", "1")
        .arg("cacheops.max-conjunctions", "1")
        .arg("cacheops.max-key-bytes", "1")
        .arg("cacheops.max-tables", "1")
        .arg("cacheops.max-schemes", "1")
        .replica_of(&primary)
        .start();
    replica.catch_up_with(&primary);
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.store("long-key:1", "post a=1&b=2|c=3 user id=1");
    con.store("long-key:2", "post d=4 tag id=1");
    replica.catch_up_with(&primary);

    assert_eq!(copy.int("DBSIZE"), 2);
    // An entry that the replica cannot track as finely may be a miss there, but never a stale hit.
    con.invalidate("post a=1&b=2 tag id=1");
    replica.catch_up_with(&primary);
    assert!(copy.hits_of(&["long-key:1", "long-key:2"]).is_empty());
}

#[test]
fn past_the_limit_of_schemes_a_replica_tracks_what_its_primary_tracks() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.ok("CONFIG SET cacheops.max-schemes 4");
    for number in 0..30 {
        con.store(&format!("q:{number}"), &format!("post author={number}&f{number}=1 user *"));
    }
    assert!(con.info("cacheops_collapsed_conjunctions") > 20);

    replica.catch_up_with(&primary);

    wait_for_equal_gauges(&mut copy, &mut con);
    assert_eq!(copy.info("cacheops_schemes"), con.info("cacheops_schemes"));
    con.invalidate("post author=29&f0=2&f1=2&f2=2");
    replica.catch_up_with(&primary);
    assert!(!copy.hits("q:29") && copy.hits("q:28"));
}

#[test]
fn a_replica_forgets_schemes_that_no_entry_uses_any_more() {
    let primary = Server::start();
    let replica = Server::builder().arg("cacheops.max-schemes", "4").replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    for number in 0..50 {
        con.store("q", &format!("post f{number}=1"));
    }

    replica.catch_up_with(&primary);

    assert!(replica.connect().info("cacheops_schemes") <= 5);
    assert!(con.info("cacheops_schemes") == 50);
}

#[test]
fn an_expired_entry_in_the_stream_ends_as_an_expired_key() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.ok("CACHEOPS.STORE q v PX 1 ON post author=7");
    con.ok("CACHEOPS.STORE p v PXAT 1000 ON post author=7");

    eventually("both are deleted", || con.int("DBSIZE") == 0);
    replica.catch_up_with(&primary);

    assert_eq!(copy.int("DBSIZE"), 0);
    copy.assert_index_is_empty();
    assert_eq!(copy.text("CACHEOPS.GET p"), None);
}

#[test]
fn evictions_and_expiry_reach_the_index_of_a_replica() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.ok("CONFIG SET maxmemory-policy allkeys-random");
    con.pipeline(
        (0..3000).map(|n| format!("CACHEOPS.STORE k:{n} v PX {} ON post author={n}", 1 + n % 40)),
    );
    con.pipeline(
        (0..3000).map(|n| format!("CACHEOPS.STORE p:{n} {} ON post author={n}", "v".repeat(300))),
    );
    let mut limit = con.info("used_memory");
    eventually("something is evicted", || {
        limit -= 50_000;
        con.ok(&format!("CONFIG SET maxmemory {limit}"));
        let _ = con.run("CACHEOPS.STORE one v ON post author=1");
        con.info("evicted_keys") > 0
    });
    con.ok("CONFIG SET maxmemory 0");
    eventually("all of k:* have expired", || {
        con.info_field("db0").is_some_and(|db| db.contains("expires=0"))
    });
    replica.catch_up_with(&primary);

    wait_for_equal_gauges(&mut copy, &mut con);
    assert_eq!(copy.info("cacheops_entries"), copy.int("DBSIZE"));
}

#[test]
fn a_replica_never_reclaims_by_itself() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.pipeline((0..500).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    replica.catch_up_with(&primary);
    con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);
    eventually("the replica has the invalidation", || copy.text("CACHEOPS.GET k:0").is_none());

    // The primary's timer has run several times meanwhile, and so has what the replica has of one.
    eventually("the primary postpones", || con.info("cacheops_reap_postponed") > 3);
    assert_eq!(copy.int("DBSIZE"), 500);
    assert_eq!(copy.int("EXISTS k:0"), 1);
    assert_eq!(copy.text("CACHEOPS.GET k:0"), None);

    con.ok("CLIENT UNPAUSE");
    eventually("the dead leave both servers", || con.int("DBSIZE") == 0 && copy.int("DBSIZE") == 0);
    copy.wait_for_empty_index();
}

#[test]
fn a_replica_that_comes_back_gets_the_moment_of_expiry_and_the_version_of_what_it_missed() {
    let server = Server::start();
    let mut con = server.connect();
    let stream = Stream::attach(&server);
    let offset = con.info("master_repl_offset");
    drop(stream);
    // Long enough for a server that looks about once a second to notice that nobody listens.
    let started = con.info("uptime_in_seconds");
    eventually("seconds pass", || con.info("uptime_in_seconds") >= started + 3);
    let version = con.int("CACHEOPS.STORE q v PX 60000 ON post author=7");

    let missed = Stream::resume(&server, &mut con, offset).read(&mut con);

    let [store] = &missed[..] else { panic!("{missed:?}") };
    assert!(store.contains("PXAT") && store.contains(&format!("VERSION {version}")), "{store}");
}

#[test]
fn replicas_of_replicas_hold_the_same() {
    let (primary, replica) = pair();
    let last = Server::builder().replica_of(&replica).start();
    last.catch_up_with(&primary);
    let mut con = primary.connect();
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");
    con.invalidate("post author=7");
    con.wait_until_reclaimed();
    last.catch_up_with(&primary);

    let mut copy = last.connect();
    assert_eq!(copy.hits_of(&["q:1", "q:2"]), ["q:2"]);
    wait_for_equal_gauges(&mut copy, &mut con);
}

#[test]
fn a_promoted_replica_vouches_for_nothing_by_default() {
    let (mut primary, replica) = pair();
    let mut con = primary.connect();
    let token = con.store("q", "post author=7");
    replica.catch_up_with(&primary);
    primary.kill();
    let mut copy = replica.connect();
    assert!(copy.hits("q"));

    copy.ok("REPLICAOF NO ONE");

    assert!(!copy.hits("q"));
    eventually("what was discarded leaves memory", || copy.int("DBSIZE") == 0);
    copy.wait_for_empty_index();
    copy.store("p", "post author=7");
    assert_eq!(copy.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=8")), None);
}

#[test]
fn a_promoted_replica_keeps_its_entries_if_told_so() {
    let primary = Server::start();
    let replica =
        Server::builder().replica_of(&primary).arg("cacheops.on-promotion", "keep").start();
    let mut con = primary.connect();
    let token = con.store("q", "post author=7");
    con.store("p", "post author=8");
    replica.catch_up_with(&primary);

    let mut copy = replica.connect();
    copy.ok("REPLICAOF NO ONE");

    assert_eq!(copy.hits_of(&["q", "p"]).len(), 2);
    assert_eq!(copy.invalidate("post author=7"), 1);
    assert_eq!(copy.hits_of(&["q", "p"]), ["p"]);
    // The epoch is new all the same.
    assert_eq!(copy.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=9")), None);
}

#[test]
fn a_promotion_tells_the_replicas_below() {
    let (mut primary, replica) = pair();
    let last = Server::builder().replica_of(&replica).start();
    last.catch_up_with(&primary);
    primary.connect().store("q", "post author=7");
    last.catch_up_with(&primary);
    assert!(last.connect().hits("q"));
    primary.kill();

    replica.connect().ok("REPLICAOF NO ONE");

    let mut copy = last.connect();
    eventually("the last replica has discarded too", || !copy.hits("q"));
    eventually("and reclaimed", || copy.int("DBSIZE") == 0);
}

#[test]
fn a_demoted_primary_takes_over_what_its_new_primary_holds() {
    let one = Server::start();
    let two = Server::start();
    one.connect().store("q", "post author=7");
    two.connect().store("p", "post author=8");

    two.connect().ok(&format!("REPLICAOF 127.0.0.1 {}", one.port()));
    two.catch_up_with(&one);

    let mut con = two.connect();
    assert!(con.hits("q") && !con.hits("p"));
    assert_eq!(con.info("cacheops_entries"), 1);
}

#[test]
fn a_restarted_primary_that_resumes_the_stream_makes_its_replica_forget() {
    let mut primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    con.store("q", "post author=7");
    con.ok("SET foreign value");
    replica.catch_up_with(&primary);
    assert!(replica.connect().hits("q"));

    primary.shut_down_saving();
    primary.relaunch();
    assert!(!primary.connect().hits("q"));

    let mut copy = replica.connect();
    let mut con = primary.connect();
    eventually("the replica is attached again", || con.info("connected_slaves") == 1);
    eventually("the replica has discarded too", || !copy.hits("q"));
    eventually("and reclaimed", || copy.int("DBSIZE") == 1);
    con.store("q", "post author=7");
    replica.catch_up_with(&primary);
    assert!(copy.hits("q"));
    con.invalidate("post author=7");
    replica.catch_up_with(&primary);
    assert!(!copy.hits("q"));
}

#[test]
fn a_replica_that_was_cut_off_catches_up_without_a_stale_hit() {
    let (primary, replica) = pair();
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");
    replica.catch_up_with(&primary);

    for _ in 0..5 {
        con.ok("CLIENT KILL TYPE replica");
        con.invalidate("post author=7");
        replica.catch_up_with(&primary);
        assert_eq!(copy.hits_of(&["q:1", "q:2"]), ["q:2"]);
        con.store("q:1", "post author=7");
    }
    replica.catch_up_with(&primary);
    assert_eq!(copy.hits_of(&["q:1", "q:2"]).len(), 2);
}

#[test]
fn a_replica_that_restarts_has_no_stale_hit_and_follows_its_primary() {
    let primary = Server::start();
    let mut replica = Server::builder().replica_of(&primary).start();
    primary.connect().store("q", "post author=7");
    replica.catch_up_with(&primary);
    replica.connect().ok("SAVE");

    replica.shut_down();
    primary.connect().invalidate("post author=7");
    primary.connect().store("p", "post author=7");
    replica.relaunch();
    replica.catch_up_with(&primary);

    let (mut con, mut copy) = (primary.connect(), replica.connect());
    assert!(!copy.hits("q") && copy.hits("p"));
    con.invalidate("post author=7");
    replica.catch_up_with(&primary);
    assert!(!copy.hits("p"));
    con.wait_until_reclaimed();
    replica.catch_up_with(&primary);
    assert_eq!(copy.int("DBSIZE"), 0);
}

#[test]
fn reclaiming_is_propagated_key_by_key_in_the_database_of_the_keys() {
    let server = Server::start();
    let mut five = server.connect_to(5);
    let keys: Vec<String> = (0..300).map(|n| format!("k:{n}")).collect();
    five.pipeline(keys.iter().map(|key| format!("CACHEOPS.STORE {key} v ON post author=7")));
    let mut stream = Stream::attach(&server);
    five.invalidate("post author=7");
    five.wait_until_reclaimed();

    let mut database = String::new();
    let mut unlinked = Vec::new();
    for words in stream.read_all(&mut five) {
        match words[0].to_uppercase().as_str() {
            "SELECT" => database.clone_from(&words[1]),
            "UNLINK" | "DEL" => {
                assert_eq!(database, "5");
                unlinked.extend_from_slice(&words[1..]);
            }
            _ => {}
        }
    }
    unlinked.sort();
    let mut keys = keys;
    keys.sort();
    assert_eq!(unlinked, keys);
}

fn pair() -> (Server, Server) {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    (primary, replica)
}

/// The replica holds what its primary holds. Not at once: the server may free old values in another thread.
fn wait_for_equal_gauges(copy: &mut Client, con: &mut Client) {
    eventually("the replica holds what its primary holds", || gauges(copy) == gauges(con));
}

fn gauges(con: &mut Client) -> Vec<i64> {
    ["entries", "tables", "conjunctions", "links", "value_bytes"]
        .iter()
        .map(|field| con.info(&format!("cacheops_{field}")))
        .collect()
}

#[test]
fn an_append_only_file_that_is_loaded_again_leaves_no_dead_key_on_a_replica() {
    for (preamble, policy) in
        [("yes", "discard"), ("no", "discard"), ("yes", "keep"), ("no", "keep")]
    {
        let (primary, replica) = appending_pair(preamble, policy);
        let mut con = primary.connect();
        fill(&mut con);

        con.ok("DEBUG LOADAOF");

        check_restart(&primary, &replica, policy, &format!("preamble {preamble}, {policy}"));
    }
}

#[test]
fn an_entry_that_is_dead_when_the_append_only_file_is_rewritten_is_deleted_on_a_replica_too() {
    for (preamble, policy) in
        [("yes", "discard"), ("no", "discard"), ("yes", "keep"), ("no", "keep")]
    {
        let case = format!("preamble {preamble}, {policy}");
        let (primary, replica) = appending_pair(preamble, policy);
        let mut con = primary.connect();
        con.store("dead", "post author=7");
        con.ok("CACHEOPS.STORE dead:t v EX 1000 ON post author=7");
        con.store("alive", "post author=8");
        replica.catch_up_with(&primary);
        // The pause keeps the dead in memory, so that the rewrite meets them.
        con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);
        assert_eq!(con.int("DBSIZE"), 3);
        con.ok("BGREWRITEAOF");
        eventually("the file is rewritten", || con.info("aof_rewrite_in_progress") == 0);

        con.ok("DEBUG LOADAOF");

        let mut copy = replica.connect();
        let kept = i64::from(policy == "keep");
        for server in [&mut con, &mut copy] {
            assert!(server.hits_of(&["dead", "dead:t"]).is_empty(), "{case}");
        }
        assert_eq!(i64::from(con.hits("alive")), kept, "{case}");
        con.ok("CLIENT UNPAUSE");
        for server in [&mut con, &mut copy] {
            eventually(&format!("{case}: dead keys are deleted"), || server.int("DBSIZE") == kept);
        }
        // What the replica does not hold cannot make a later command have another effect there.
        con.ok("SETNX dead plain");
        replica.catch_up_with(&primary);
        assert_eq!(copy.text("GET dead").as_deref(), Some("plain"), "{case}");
        assert_eq!(gauges(&mut copy), gauges(&mut con), "{case}");
    }
}

#[test]
fn a_primary_that_restarts_from_its_append_only_file_leaves_no_dead_key_on_its_replica() {
    for (preamble, policy) in
        [("yes", "discard"), ("no", "discard"), ("yes", "keep"), ("no", "keep")]
    {
        let (mut primary, replica) = appending_pair(preamble, policy);
        fill(&mut primary.connect());
        replica.catch_up_with(&primary);

        primary.restart();

        check_restart(&primary, &replica, policy, &format!("preamble {preamble}, {policy}"));
    }
}

fn appending_pair(preamble: &str, policy: &str) -> (Server, Server) {
    let primary = Server::builder()
        .arg("appendonly", "yes")
        .arg("aof-use-rdb-preamble", preamble)
        .arg("cacheops.on-restart", policy)
        .start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    (primary, replica)
}

/// Entries of two databases, some before the file is rewritten and some after, some dead; and plain keys.
fn fill(con: &mut Client) {
    for when in ["before", "after"] {
        con.ok(&format!("SET plain:{when} value"));
        for database in [0, 1] {
            con.ok(&format!("SELECT {database}"));
            con.store(&format!("q:{when}"), "post author=7");
            con.store(&format!("p:{when}"), "post author=8");
            con.ok(&format!("CACHEOPS.STORE t:{when} v EX 1000 ON post author=8"));
        }
        con.ok("SELECT 0");
        if when == "before" {
            con.ok("BGREWRITEAOF");
            eventually("the file is rewritten", || con.info("aof_rewrite_in_progress") == 0);
        }
    }
    con.invalidate("post author=7");
}

fn check_restart(primary: &Server, replica: &Server, policy: &str, case: &str) {
    let mut con = primary.connect();
    con.wait_until_reclaimed();
    let entries = if policy == "keep" { 4 } else { 0 };
    for server in [primary, replica] {
        let mut con = server.connect();
        eventually(&format!("{case}: dead keys are deleted"), || con.int("DBSIZE") == 2 + entries);
        for when in ["before", "after"] {
            assert_eq!(con.text(&format!("GET plain:{when}")).as_deref(), Some("value"), "{case}");
            assert_eq!(con.hits(&format!("p:{when}")), policy == "keep", "{case}");
            assert!(!con.hits(&format!("q:{when}")), "{case}");
        }
        let mut other = server.connect_to(1);
        eventually(&format!("{case}: dead keys are deleted"), || {
            other.int("DBSIZE") == if policy == "keep" { 6 } else { 0 }
        });
    }
    con.store("new", "post author=9");
    replica.catch_up_with(primary);
    let mut copy = replica.connect();
    assert!(copy.hits("new"), "{case}");
    assert_eq!(gauges(&mut copy), gauges(&mut con), "{case}");
    con.invalidate("post author=9");
    con.wait_until_reclaimed();
    replica.catch_up_with(primary);
    assert_eq!(copy.int("EXISTS new"), 0, "{case}");
}
