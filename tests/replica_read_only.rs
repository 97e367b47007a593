//! A replica answers clients only with what it may: reads, and READONLY.

use support::{Server, eventually};

#[test]
fn clients_cannot_change_a_replica() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    primary.connect().store("q", "post author=7");
    replica.catch_up_with(&primary);
    let mut copy = replica.connect();

    for line in [
        "CACHEOPS.STORE p v ON post author=7",
        "CACHEOPS.INVALIDATE ON post author=7",
        "CACHEOPS.INVALIDATE ON post *",
        "CACHEOPS.FLUSH",
    ] {
        assert!(copy.error(line).starts_with("READONLY"), "{line}");
        assert!(copy.hits("q"), "{line}");
    }
    copy.ok("MULTI");
    let _ = copy.run("CACHEOPS.INVALIDATE ON post author=7");
    let _ = copy.run("EXEC");
    let _ = copy.call([
        "EVAL",
        "return redis.call('CACHEOPS.INVALIDATE', 'ON', 'post', 'author=7')",
        "0",
    ]);
    assert!(copy.hits("q"));
}

#[test]
fn clients_can_read_everything_on_a_replica() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    for n in 0..16 {
        primary.connect().store(&format!("q:{n}"), "post author=7");
    }
    primary.connect().store("q", "post author=7");
    replica.catch_up_with(&primary);
    let mut copy = replica.connect();

    assert!(copy.hits("q"));
    assert_eq!(copy.list("CACHEOPS.MGET q absent").len(), 2);
    assert_eq!(support::as_text(&copy.map("CACHEOPS.EXPLAIN q")["state"]), "alive");
    assert_eq!(copy.list("CACHEOPS.TABLES").len(), 1);
    assert_eq!(copy.list("CACHEOPS.TOP").len(), 1);
    copy.ok("CACHEOPS.VERSION");
}

#[test]
fn a_dead_entry_is_a_miss_on_a_replica_before_its_primary_reclaims_it() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    let mut con = primary.connect();
    con.store("q", "post author=7");
    replica.catch_up_with(&primary);

    con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);

    let mut copy = replica.connect();
    eventually("the invalidation has arrived", || !copy.hits("q"));
    assert_eq!(copy.int("EXISTS q"), 1);
    assert_eq!(copy.list("CACHEOPS.MGET q"), [support::Value::Nil]);
    assert_eq!(support::as_text(&copy.map("CACHEOPS.EXPLAIN q")["state"]), "dead");
}

#[test]
fn an_expired_entry_is_a_miss_on_a_replica_before_its_primary_deletes_it() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    con.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    con.ok("CACHEOPS.STORE q v PX 1 ON post author=7");
    replica.catch_up_with(&primary);

    let mut copy = replica.connect();
    eventually("q is a miss", || copy.text("CACHEOPS.GET q").is_none());
    assert_eq!(copy.info("cacheops_entries"), 1);
}

#[test]
fn reaping_on_a_replica_changes_nothing() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    let mut con = primary.connect();
    con.store("q", "post author=7");
    replica.catch_up_with(&primary);
    con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);
    let mut copy = replica.connect();
    eventually("the invalidation has arrived", || !copy.hits("q"));

    let _ = copy.run("CACHEOPS.REAP");

    assert_eq!(copy.int("EXISTS q"), 1);
}
