//! `CACHEOPS.GET`: a value that is valid now, or nil.

use support::{Server, Stream, Value, eventually};

#[test]
fn a_key_that_does_not_exist_is_a_miss() {
    let server = Server::start();

    assert_eq!(server.connect().ok("CACHEOPS.GET q"), Value::Nil);
    assert_eq!(server.connect_resp3().ok("CACHEOPS.GET q"), Value::Nil);
}

#[test]
fn a_foreign_key_is_an_error() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("SET q value");

    assert!(con.error("CACHEOPS.GET q").starts_with("WRONGTYPE"));
}

#[test]
fn a_dead_entry_is_a_miss_before_it_is_reclaimed() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    let answers = con.while_dead("post author=7", &["EXISTS q", "CACHEOPS.GET q"]);

    assert_eq!(answers, [Value::Int(1), Value::Nil]);
}

#[test]
fn hits_and_misses_and_dead_misses_are_counted() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("CACHEOPS.GET q");
    con.ok("CACHEOPS.GET q");
    con.ok("CACHEOPS.GET absent");
    con.while_dead("post author=7", &["CACHEOPS.GET q"]);

    assert_eq!(con.info("cacheops_hits"), 2);
    assert_eq!(con.info("cacheops_misses_dead"), 1);
    // Whether a dead miss is a miss as well is not promised; the missing key is one.
    assert!((1..=2).contains(&con.info("cacheops_misses")));
}

#[test]
fn reading_never_propagates() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let mut stream = Stream::attach(&server);

    for key in ["q", "absent"] {
        con.ok(&format!("CACHEOPS.GET {key}"));
        con.ok(&format!("CACHEOPS.MGET {key} q"));
        con.ok(&format!("CACHEOPS.EXPLAIN {key}"));
    }

    assert!(stream.read(&mut con).is_empty());
}

#[test]
fn a_hit_counts_as_a_use_of_the_key() {
    let server = Server::builder().arg("maxmemory-policy", "allkeys-lfu").start();
    let mut con = server.connect();
    con.ok("CONFIG SET lfu-log-factor 0");
    con.store("q", "post author=7");
    let before = con.int("OBJECT FREQ q");

    for _ in 0..10 {
        con.hits("q");
    }

    assert!(con.int("OBJECT FREQ q") > before);
}

#[test]
fn an_entry_past_its_time_is_a_miss_even_where_expiry_is_switched_off() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    con.ok("CACHEOPS.STORE q value PX 1 ON post author=7");

    eventually("q is a miss", || con.text("CACHEOPS.GET q").is_none());
}

#[test]
fn databases_do_not_see_each_other() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q", "post author=7");

    assert!(!one.hits("q"));
    assert_eq!(one.invalidate("post author=7"), 0);
    assert!(zero.hits("q"));
}
