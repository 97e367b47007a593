//! `GET .. LOCK .. WAIT` and `CACHEOPS.RELEASE`: of all who miss a key one fetches it, and the others wait for what it stores.

use redis::ProtocolVersion;
use support::{Client, Reply, Server, Value, eventually};

const ASK: &str = "CACHEOPS.GET q LOCK 60000";
const ASK_AND_WAIT: &str = "CACHEOPS.GET q LOCK 60000 WAIT 60000";

/// The token of a lock that must be free.
#[track_caller]
fn lock(con: &mut Client, line: &str) -> i64 {
    match con.ok(line) {
        Value::Int(token) => token,
        other => panic!("{line}: not a token: {other:?}"),
    }
}

/// A client that waits for `q`.
#[track_caller]
fn waiter(server: &Server, watch: &mut Client) -> Client {
    let waiting = watch.info("cacheops_waiting");
    let mut con = server.connect();
    con.send(ASK_AND_WAIT);
    eventually("the client waits", || watch.info("cacheops_waiting") == waiting + 1);
    con
}

#[track_caller]
fn value(reply: Reply) -> String {
    support::as_text(&reply.expect("an answer"))
}

#[track_caller]
fn token(reply: Value) -> i64 {
    match reply {
        Value::Int(token) => token,
        other => panic!("not a token: {other:?}"),
    }
}

#[track_caller]
fn nothing_is_left(con: &mut Client) {
    for field in ["locks", "waiting"] {
        eventually(field, || con.info(&format!("cacheops_{field}")) == 0);
    }
}

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
fn only_the_owner_of_that_very_token_releases() {
    let server = Server::start();
    let (mut owner, mut other) = (server.connect(), server.connect());
    let token = lock(&mut owner, ASK);

    assert_eq!(other.int(&format!("CACHEOPS.RELEASE q {}", token + 1)), 0);
    assert_eq!(other.int(&format!("CACHEOPS.RELEASE p {token}")), 0);
    assert_eq!(other.text(ASK), None);

    // The token is the proof, whatever connection it comes through.
    assert_eq!(other.int(&format!("CACHEOPS.RELEASE q {token}")), 1);
    assert_eq!(owner.int(&format!("CACHEOPS.RELEASE q {token}")), 0);
    let next = lock(&mut other, ASK);
    assert!(next > token);
    assert_eq!(owner.int(&format!("CACHEOPS.RELEASE q {token}")), 0, "the old owner cannot");
}

#[test]
fn a_released_lock_passes_on_to_the_first_who_waits() {
    let server = Server::start();
    let mut owner = server.connect();
    let old = lock(&mut owner, ASK);
    let mut second = waiter(&server, &mut owner);
    let mut third = waiter(&server, &mut owner);

    owner.int(&format!("CACHEOPS.RELEASE q {old}"));

    let new = token(second.receive().expect("an answer"));
    assert!(new > old);
    assert_eq!(owner.info("cacheops_waiting"), 1);
    assert!(second.text(&format!("CACHEOPS.STORE q fresh TOKEN {new} ON post author=7")).is_some());
    assert_eq!(value(third.receive()), "fresh");
    assert_eq!(owner.info("cacheops_locks_passed_on"), 1);
}

#[test]
fn a_lock_passes_on_when_its_time_is_over() {
    let server = Server::start();
    let mut owner = server.connect();
    let mut other = server.connect();
    lock(&mut owner, "CACHEOPS.GET q LOCK 20");

    // On a slow machine the time may be over before it asks.
    token(other.ok(ASK_AND_WAIT));
    assert_eq!(owner.info("cacheops_locks_expired"), 1);
    assert_eq!(owner.text(ASK), None, "the new owner holds it");
}

#[test]
fn a_lock_that_nobody_waits_for_ends_in_time() {
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, "CACHEOPS.GET q LOCK 20");

    nothing_is_left(&mut con);

    lock(&mut con, ASK);
}

#[test]
fn a_lock_passes_on_when_its_owner_is_refused() {
    let server = Server::start();
    let mut owner = server.connect();
    let old = lock(&mut owner, ASK);
    let mut other = waiter(&server, &mut owner);
    owner.invalidate("post author=7");

    assert_eq!(owner.text(&format!("CACHEOPS.STORE q stale TOKEN {old} ON post author=7")), None);

    let new = token(other.receive().expect("an answer"));
    assert!(other.text(&format!("CACHEOPS.STORE q fresh TOKEN {new} ON post author=7")).is_some());
    assert_eq!(owner.text(ASK).as_deref(), Some("fresh"));
}

#[test]
fn a_lock_passes_on_when_its_owner_disconnects_or_is_killed() {
    let server = Server::start();
    let mut con = server.connect();
    let mut owner = server.connect();
    lock(&mut owner, ASK);
    let mut second = waiter(&server, &mut con);
    let mut third = waiter(&server, &mut con);

    drop(owner);
    token(second.receive().expect("an answer"));
    let id = second.int("CLIENT ID");
    con.ok(&format!("CLIENT KILL ID {id}"));

    token(third.receive().expect("an answer"));
}

#[test]
fn a_waiter_that_goes_away_is_passed_over() {
    let server = Server::start();
    let mut con = server.connect();
    let old = lock(&mut con, ASK);
    let mut killed = server.connect();
    let id = killed.int("CLIENT ID");
    killed.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);
    let gone = waiter(&server, &mut con);
    let mut last = waiter(&server, &mut con);

    con.ok(&format!("CLIENT KILL ID {id}"));
    drop(gone);
    eventually("two are gone", || con.info("cacheops_waiting") == 1);

    con.int(&format!("CACHEOPS.RELEASE q {old}"));
    token(last.receive().expect("an answer"));
}

#[test]
fn who_disconnects_while_it_holds_one_lock_and_waits_for_another_leaves_both() {
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, ASK);
    let mut both = server.connect();
    lock(&mut both, "CACHEOPS.GET p LOCK 60000");
    both.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    drop(both);

    eventually("one lock is left", || con.info("cacheops_locks") == 1);
    assert_eq!(con.info("cacheops_waiting"), 0);
    lock(&mut con, "CACHEOPS.GET p LOCK 60000");
}

#[test]
fn who_waits_for_a_lock_of_its_own_connection_does_not_inherit_it_when_it_is_gone() {
    let server = Server::start();
    let (mut con, mut owner) = (server.connect(), server.connect());
    lock(&mut owner, ASK);
    owner.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    drop(owner);

    nothing_is_left(&mut con);
}

#[test]
fn client_unblock_ends_a_wait() {
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, ASK);
    for (how, is_error) in [("TIMEOUT", false), ("ERROR", true)] {
        let mut waiter = server.connect();
        let id = waiter.int("CLIENT ID");
        waiter.send(ASK_AND_WAIT);
        eventually("the client waits", || con.info("cacheops_waiting") == 1);

        assert_eq!(con.int(&format!("CLIENT UNBLOCK {id} {how}")), 1);

        match waiter.receive() {
            Ok(Value::Nil) => assert!(!is_error),
            Err(error) => assert!(is_error && error.code() == Some("UNBLOCKED"), "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(con.info("cacheops_waiting"), 0);
        assert_eq!(waiter.text("PING").as_deref(), Some("PONG"), "the connection goes on");
    }
}

#[test]
fn transactions_and_scripts_are_answered_at_once() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect());
    lock(&mut con, ASK);

    other.ok("MULTI");
    other.ok(ASK_AND_WAIT);
    assert_eq!(other.list("EXEC"), [Value::Nil]);
    let script = "return redis.call('CACHEOPS.GET', 'q', 'LOCK', 60000, 'WAIT', 60000)";
    assert_eq!(other.call(["EVAL", script, "1", "q"]), Ok(Value::Nil));
    let script = "return redis.call('CACHEOPS.GET', 'p', 'LOCK', 60000, 'WAIT', 60000)";
    assert!(
        matches!(other.call(["EVAL", script, "1", "p"]), Ok(Value::Int(_))),
        "a free lock is given"
    );

    assert_eq!(other.info("cacheops_waits"), 0);
}

#[test]
fn a_replica_gives_no_lock_and_lets_nobody_wait() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = replica.connect();

    assert_eq!(con.text(ASK_AND_WAIT), None);
    assert_eq!(con.int("CACHEOPS.RELEASE q 12345"), 0);

    nothing_is_left(&mut con);
}

#[test]
fn who_waits_is_let_go_when_the_server_becomes_a_replica() {
    let primary = Server::start();
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, ASK);
    let mut waiter = waiter(&server, &mut con);

    con.ok(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));

    // The server itself breaks off all who are blocked, with an error of its own.
    match waiter.receive() {
        Ok(Value::Nil) => {}
        Err(error) => assert!(error.code() == Some("UNBLOCKED"), "{error}"),
        other => panic!("{other:?}"),
    }
    nothing_is_left(&mut con);
}

#[test]
fn whoever_stores_serves_those_who_wait() {
    let server = Server::start();
    let mut con = server.connect();
    let token = lock(&mut con, ASK);
    let mut waiter = waiter(&server, &mut con);

    server.connect().store("q", "post author=7");

    assert_eq!(value(waiter.receive()), "value of q");
    assert_eq!(
        con.int(&format!("CACHEOPS.RELEASE q {token}")),
        0,
        "there is nothing to hold any more"
    );
}

#[test]
fn a_value_that_is_invalidated_right_after_its_store_is_what_the_wait_ends_with() {
    let server = Server::start();
    let mut con = server.connect();
    let token = lock(&mut con, ASK);
    let mut waiter = waiter(&server, &mut con);

    con.pipeline([
        format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7"),
        "CACHEOPS.INVALIDATE ON post author=7".to_owned(),
    ]);

    // It asked before the invalidation, and the entry was alive then.
    assert_eq!(value(waiter.receive()), "v");
    assert!(!con.hits("q"));
}

#[test]
fn an_owner_that_was_too_slow_may_still_store_but_not_release() {
    let server = Server::start();
    let mut con = server.connect();
    let old = lock(&mut con, "CACHEOPS.GET q LOCK 20");
    nothing_is_left(&mut con);
    let mut other = server.connect();
    lock(&mut other, ASK);

    assert_eq!(con.int(&format!("CACHEOPS.RELEASE q {old}")), 0);

    // Nothing was invalidated since, so what it read is right, and all are served with it.
    assert!(con.text(&format!("CACHEOPS.STORE q v TOKEN {old} ON post author=7")).is_some());
    assert_eq!(other.text(ASK).as_deref(), Some("v"));
}

#[test]
fn after_a_flush_or_a_swap_the_owner_is_refused_and_the_lock_passes_on() {
    let server = Server::start();
    for command in ["CACHEOPS.FLUSH", "FLUSHDB", "FLUSHALL ASYNC", "SWAPDB 0 1"] {
        let mut con = server.connect();
        let old = lock(&mut con, ASK);
        let mut other = waiter(&server, &mut con);

        con.ok(command);
        assert_eq!(con.text(&format!("CACHEOPS.STORE q v TOKEN {old} ON post author=7")), None);

        let new = token(other.receive().expect("an answer"));
        assert!(
            other.text(&format!("CACHEOPS.STORE q v TOKEN {new} ON post author=7")).is_some(),
            "{command}"
        );
        con.ok("FLUSHALL");
        nothing_is_left(&mut con);
    }
}

#[test]
fn a_database_has_locks_of_its_own() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect_to(1));
    lock(&mut con, ASK);

    let token = lock(&mut other, ASK);

    assert_eq!(con.int(&format!("CACHEOPS.RELEASE q {token}")), 0);
    let mut waiter = waiter(&server, &mut con);
    other.store("q", "post author=7");
    con.store("q", "post author=8");
    assert_eq!(value(waiter.receive()), "value of q");
}

#[test]
fn beyond_the_limit_nobody_is_kept_waiting() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-waiting 1");
    lock(&mut con, ASK);
    let mut first = waiter(&server, &mut con);

    assert_eq!(con.text(ASK_AND_WAIT), None);

    assert_eq!(con.info("cacheops_waits_turned_away"), 1);
    con.store("q", "post author=7");
    assert_eq!(value(first.receive()), "value of q");
}

#[test]
fn beyond_the_limit_of_locks_everybody_gets_a_token() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-locks 1");
    lock(&mut con, ASK);

    let token = lock(&mut con, "CACHEOPS.GET p LOCK 60000 WAIT 60000");

    assert_eq!(con.info("cacheops_locks"), 1);
    assert_eq!(con.info("cacheops_locks_unlocked"), 1);
    assert!(con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=7")).is_some());
}

#[test]
fn a_thousand_who_wait_are_all_served() {
    const CLIENTS: usize = 1000;
    let server = Server::start();
    let mut con = server.connect();
    let token = lock(&mut con, ASK);
    let mut waiters: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut waiter = server.connect();
            waiter.send(ASK_AND_WAIT);
            waiter
        })
        .collect();
    eventually("all wait", || con.info("cacheops_waiting") == CLIENTS as i64);

    con.int(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7"));

    for waiter in &mut waiters {
        assert_eq!(value(waiter.receive()), "v");
    }
    assert_eq!(con.info("cacheops_waits_served"), CLIENTS as i64);
    nothing_is_left(&mut con);
}

#[test]
fn locks_of_a_connection_that_held_many_pass_on_in_slices() {
    let server = Server::start();
    let mut con = server.connect();
    let mut owner = server.connect();
    owner.pipeline((0..5000).map(|number| format!("CACHEOPS.GET q:{number} LOCK 3600000")));
    let mut other = server.connect();
    other.send("CACHEOPS.GET q:4999 LOCK 60000 WAIT 60000");
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    drop(owner);

    token(other.receive().expect("an answer"));
    eventually("one lock is left", || con.info("cacheops_locks") == 1);
}

#[test]
fn a_server_with_waiting_clients_shuts_down() {
    let mut server = Server::start();
    let mut con = server.connect();
    lock(&mut con, ASK);
    let _waiter = waiter(&server, &mut con);

    server.shut_down();

    assert!(!server.is_alive());
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
