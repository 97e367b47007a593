//! What a question with LOCK and WAIT is answered.

use redis::ProtocolVersion;
use support::{Client, Server, Value, eventually};

use super::{ASK, ASK_AND_WAIT, lock, nothing_is_left, value, waiter};

#[test]
fn one_asker_gets_the_token_and_the_others_nil() {
    let server = Server::start();
    let (mut first, mut second) = (server.connect(), server.connect());

    let token = lock(&mut first, ASK);

    assert_eq!(second.text(ASK), None);
    assert_eq!(
        first.text(ASK),
        None,
        "a connection is shared: its owner must not lock twice either"
    );
    assert!(
        lock(&mut second, "CACHEOPS.GET other LOCK 60000") > token,
        "another key, a number of its own"
    );
    assert!(
        matches!(second.ok("CACHEOPS.GET q TOKEN"), Value::Int(_)),
        "a token alone needs no lock"
    );
    assert_eq!(second.info("cacheops_locks"), 2);
    assert_eq!(second.info("cacheops_locks_granted"), 2);
}

#[test]
fn who_waits_receives_what_the_owner_stores() {
    let server = Server::start();
    let mut owner = server.connect();
    let token = lock(&mut owner, ASK);
    let mut waiters: Vec<Client> = (0..3).map(|_| waiter(&server, &mut owner)).collect();

    let version = owner.int(&format!("CACHEOPS.STORE q fresh TOKEN {token} ON post author=7"));

    assert!(version > token);
    for waiter in &mut waiters {
        assert_eq!(value(waiter.receive()), "fresh");
    }
    assert_eq!(owner.info("cacheops_waits_served"), 3);
    nothing_is_left(&mut owner);
}

#[test]
fn a_hit_locks_nothing() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.text(ASK_AND_WAIT).as_deref(), Some("value of q"));

    assert_eq!(con.info("cacheops_locks"), 0);
}

#[test]
fn a_dead_entry_is_fetched_by_one() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect());
    con.store("q", "post author=7");
    con.invalidate("post author=7");

    let token = lock(&mut con, ASK);

    assert_eq!(other.text(ASK), None);
    assert!(con.text(&format!("CACHEOPS.STORE q fresh TOKEN {token} ON post author=7")).is_some());
    assert_eq!(other.text(ASK).as_deref(), Some("fresh"));
}

#[test]
fn ifnot_shapes_what_a_waiter_receives() {
    let server = Server::start();
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let mut owner = server.connect();
        owner.ok("CACHEOPS.FLUSH");
        let ask = |version: i64| format!("CACHEOPS.GET q IFNOT {version} LOCK 60000 WAIT 60000");
        let token = lock(&mut owner, &ask(0));
        let mut waiter = if protocol == ProtocolVersion::RESP3 {
            server.connect_resp3()
        } else {
            server.connect()
        };
        waiter.send(&ask(0));
        eventually("the client waits", || owner.info("cacheops_waiting") == 1);

        let version = owner.int(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7"));

        let fresh = Value::Array(vec![Value::Int(version), Value::BulkString(b"v".to_vec())]);
        assert_eq!(waiter.receive(), Ok(fresh));
        let unchanged = Value::Array(vec![Value::Int(version), Value::Nil]);
        assert_eq!(waiter.ok(&ask(version)), unchanged);
    }
}

#[test]
fn who_knows_the_version_already_is_told_so_after_waiting() {
    let server = Server::start();
    let mut owner = server.connect();
    lock(&mut owner, ASK);
    let known = owner.int("CACHEOPS.STORE other v ON post author=7") + 1;
    let mut waiter = server.connect();
    waiter.send(&format!("CACHEOPS.GET q IFNOT {known} LOCK 60000 WAIT 60000"));
    eventually("the client waits", || owner.info("cacheops_waiting") == 1);

    assert_eq!(owner.int("CACHEOPS.STORE q v ON post author=7"), known);

    assert_eq!(waiter.receive(), Ok(Value::Array(vec![Value::Int(known), Value::Nil])));
}

#[test]
fn a_wait_ends_with_nil_at_its_deadline() {
    let server = Server::start();
    let (mut owner, mut other) = (server.connect(), server.connect());
    let token = lock(&mut owner, ASK);

    assert_eq!(other.text("CACHEOPS.GET q LOCK 60000 WAIT 20"), None);

    assert_eq!(other.info("cacheops_waits_given_up"), 1);
    assert_eq!(other.info("cacheops_waiting"), 0);
    assert_eq!(other.int(&format!("CACHEOPS.RELEASE q {token}")), 1, "the lock is held still");
}

/// Redis 7.0 never replies if its own deadline falls together with the module's answer.
#[test]
fn every_one_of_many_short_waits_is_answered() {
    let server = Server::start();
    let mut owner = server.connect();
    lock(&mut owner, ASK);
    let mut waiters: Vec<Client> = (0..20).map(|_| server.connect()).collect();

    for wait_ms in (1..4).cycle().take(60) {
        waiters
            .iter_mut()
            .for_each(|con| con.send(&format!("CACHEOPS.GET q LOCK 9 WAIT {wait_ms}")));
        waiters.iter_mut().for_each(|con| assert_eq!(con.receive(), Ok(Value::Nil)));
    }

    assert_eq!(owner.info("cacheops_waits_given_up"), 1200);
}

#[test]
fn bad_arguments_are_refused_by_name_and_lock_nothing() {
    let server = Server::start();
    let mut con = server.connect();
    let cases = [
        ("CACHEOPS.GET q LOCK", "ERR option LOCK needs a value"),
        (
            "CACHEOPS.GET q LOCK 0",
            "ERR invalid LOCK '0', it must be a whole number of milliseconds from 1 to 3600000",
        ),
        (
            "CACHEOPS.GET q LOCK 10 WAIT 3600001",
            "ERR invalid WAIT '3600001', it must be a whole number of milliseconds from 1 to 3600000",
        ),
        ("CACHEOPS.GET q WAIT 10", "ERR option WAIT needs LOCK"),
        ("CACHEOPS.GET q LOCK 10 LOCK 10", "ERR option LOCK is given twice"),
        (
            "CACHEOPS.GET q LOCKS 10",
            "ERR unknown option 'LOCKS', expected IFNOT, TOKEN, LOCK or WAIT",
        ),
        (
            "CACHEOPS.RELEASE q x",
            "ERR invalid token 'x', it must be a whole number from 1 to 9007199254740991 that this server gave",
        ),
    ];
    for (line, error) in cases {
        assert_eq!(con.error(line), error, "{line}");
    }
    assert!(con.error("CACHEOPS.RELEASE q").contains("wrong number of arguments"));
    assert!(con.error("CACHEOPS.RELEASE q 1 2").contains("wrong number of arguments"));

    assert_eq!(con.info("cacheops_locks"), 0);
}

#[test]
fn options_stand_in_any_order_and_letter_case() {
    let server = Server::start();
    let mut con = server.connect();

    lock(&mut con, "cacheops.get q wait 10 token lock 60000 ifnot 0");

    assert_eq!(con.text("CACHEOPS.GET q lock 60000"), None);
}
