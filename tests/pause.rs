//! CLIENT PAUSE and FAILOVER: while they last nothing may be propagated, or the server aborts.

use support::{Client, Server, eventually};

const DEAD: usize = 100_000;

#[test]
fn a_pause_of_writes_postpones_the_reclaiming() {
    let primary = Server::builder().arg("appendonly", "yes").start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let (mut con, mut other) = (primary.connect(), primary.connect());
    store_many(&mut con);
    con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);

    eventually("several slices are postponed", || other.info("cacheops_reap_postponed") > 5);
    assert!(other.info("cacheops_dead") > 0);
    assert_eq!(other.text("CACHEOPS.GET k:0"), None);
    assert_eq!(other.text("PING").as_deref(), Some("PONG"));

    other.ok("CLIENT UNPAUSE");
    eventually("the dead are reclaimed", || other.int("DBSIZE") == 0);
    replica.catch_up_with(&primary);
    assert_eq!(replica.connect().int("DBSIZE"), 0);
}

#[test]
fn a_pause_of_everything_is_survived() {
    let mut primary = Server::builder().arg("appendonly", "yes").start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    store_many(&mut con);
    con.while_dead("post author=7", &["CLIENT PAUSE 500 ALL"]);

    // Answered when the pause is over.
    con.ok("PING");

    eventually("the dead are reclaimed", || con.int("DBSIZE") == 0);
    assert!(primary.is_alive());
}

#[test]
fn a_failover_with_dead_entries_waiting_is_survived_by_both() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    store_many(&mut con);
    con.store("q", "user id=1");
    replica.catch_up_with(&primary);

    con.invalidate("post author=7");
    con.ok("FAILOVER");

    eventually("the roles have changed", || {
        role(&mut con) == "slave"
            && role(&mut copy) == "master"
            && con.info_field("master_link_status").as_deref() == Some("up")
    });
    // The new primary vouches for nothing, reclaims all, and the old one follows.
    assert!(!copy.hits("q"));
    eventually("the dead are reclaimed", || copy.int("DBSIZE") == 0);
    primary.catch_up_with(&replica);
    assert_eq!(con.int("DBSIZE"), 0);
    copy.store("p", "post author=7");
    primary.catch_up_with(&replica);
    assert!(con.hits("p"));
    copy.invalidate("post author=7");
    primary.catch_up_with(&replica);
    assert!(!con.hits("p"));
}

#[test]
fn a_failover_that_is_given_up_is_survived() {
    let mut primary = Server::start();
    let mut replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    store_many(&mut con);
    replica.catch_up_with(&primary);
    // A replica that cannot answer keeps the primary waiting, paused.
    replica.freeze();

    con.invalidate("post author=7");
    let _ = con.run(&format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 200", replica.port()));

    eventually("the failover has ended", || {
        con.info_field("master_failover_state").as_deref() == Some("no-failover")
    });
    replica.thaw();
    assert!(primary.is_alive() && replica.is_alive());
    assert_eq!(role(&mut con), "master");
    eventually("the dead are reclaimed", || con.int("DBSIZE") == 0);
}

fn store_many(con: &mut Client) {
    con.pipeline((0..DEAD).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
}

fn role(con: &mut Client) -> String {
    con.info_field("role").unwrap_or_default()
}
