//! Locks beside what else a server does: transactions, roles, flushes, limits.

use support::{Client, Server, Value, eventually};

use super::{ASK, ASK_AND_WAIT, lock, nothing_is_left, token, value, waiter};

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
        "a miss is answered with a token"
    );

    assert_eq!(other.info("cacheops_waits"), 0);
}

/// Valkey since 8.1.1 lets modules block no client that has subscribed.
#[test]
fn a_subscriber_with_resp3_waits_on_redis_and_is_answered_at_once_on_valkey() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect_resp3());
    let _pushes = other.pushes();
    let token = lock(&mut con, ASK);
    other.send("SUBSCRIBE channel");
    eventually("the client has subscribed", || con.info("pubsub_channels") == 1);
    other.send(ASK_AND_WAIT);
    let is_valkey = con.info_field("server_name").as_deref() == Some("valkey");
    if !is_valkey {
        eventually("the client waits", || con.info("cacheops_waiting") == 1);
        con.ok(&format!("CACHEOPS.STORE q stored TOKEN {token} ON post id=1"));
    }

    let expected = if is_valkey { Value::Nil } else { Value::BulkString(b"stored".to_vec()) };
    // The answer to SUBSCRIBE may come first.
    eventually("the client is answered", || other.receive().expect("an answer") == expected);

    assert_eq!(con.info("cacheops_waits"), i64::from(!is_valkey));
    assert_eq!(other.text("PING").as_deref(), Some("PONG"), "the connection goes on");
    con.int(&format!("CACHEOPS.RELEASE q {token}"));
    nothing_is_left(&mut con);
}

#[test]
fn a_script_takes_no_lock_since_no_connection_would_end_it() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect());
    let script = "return redis.call('CACHEOPS.GET', 'q', 'LOCK', 3600000)";

    let in_script = token(other.call(["EVAL", script, "1", "q"]).expect("an answer"));

    assert_eq!(con.info("cacheops_locks"), 0);
    assert_eq!(con.info("cacheops_locks_unlocked"), 1);
    lock(&mut con, ASK);
    assert_eq!(other.call(["EVAL", script, "1", "q"]), Ok(Value::Nil), "a lock is respected");
    let line = format!("CACHEOPS.STORE q v TOKEN {in_script} ON post author=7");
    assert!(other.text(&line).is_some(), "its token is as good as any");

    // In a transaction it is the connection itself that asks.
    other.ok("MULTI");
    other.ok("CACHEOPS.GET p LOCK 3600000");
    other.ok("EXEC");
    assert_eq!(con.info("cacheops_locks"), 1);
    drop(other);
    nothing_is_left(&mut con);
}

#[test]
fn a_key_that_could_not_be_stored_is_not_locked() {
    let server = Server::start();
    let mut con = server.connect();
    let before = con.info("used_memory");
    for number in 0..5 {
        let key = format!("{number}{}", "k".repeat(4_000_000));

        lock(&mut con, &format!("CACHEOPS.GET {key} LOCK 3600000 WAIT 1000"));
    }

    assert_eq!(con.info("cacheops_locks"), 0);
    assert_eq!(con.info("cacheops_lock_bytes"), 0);
    assert_eq!(con.info("cacheops_locks_unlocked"), 5);
    eventually("nothing is left", || con.info("used_memory") < before + 8_000_000);
}

#[test]
fn locks_and_waiters_of_all_databases_are_bounded_in_bytes() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-lock-bytes 20000");
    // Each keeps its locks until the end.
    let mut others = [0, 1, 2].map(|database| server.connect_to(database));
    for (database, other) in others.iter_mut().enumerate() {
        for number in 0..20 {
            let key = format!("{database}:{number}:{}", "k".repeat(900));
            lock(&mut con, &format!("CACHEOPS.GET {key} LOCK 60000"));
            lock(other, &format!("CACHEOPS.GET other:{key} LOCK 60000"));
        }
        assert!(con.info("cacheops_lock_bytes") <= 20_000);
        assert!((12..=20).contains(&con.info("cacheops_locks")));
    }
    assert!(con.info("cacheops_locks_unlocked") > 80);

    con.ok("CONFIG SET cacheops.max-lock-bytes 0");
    let line = format!("CACHEOPS.GET 0:0:{} LOCK 60000 WAIT 60000", "k".repeat(900));
    assert_eq!(server.connect().text(&line), None);
    assert_eq!(con.info("cacheops_waits_turned_away"), 1);
}

#[test]
fn values_on_their_way_to_who_waits_are_bounded_in_bytes() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-lock-bytes 1mb");
    for key in ["p", "q"] {
        lock(&mut con, &format!("CACHEOPS.GET {key} LOCK 60000"));
    }
    let mut waiters: Vec<Client> = (0..6)
        .map(|number| {
            let mut waiter = server.connect();
            let key = if number < 3 { "p" } else { "q" };
            waiter.send(&format!("CACHEOPS.GET {key} LOCK 60000 WAIT 60000"));
            waiter
        })
        .collect();
    eventually("all wait", || con.info("cacheops_waiting") == 6);

    // Of two megabytes one answer is enough for a slice, so that the value of `p` is still on its way at the second store.
    con.pipeline(
        ["p", "q"].map(|key| format!("CACHEOPS.STORE {key} {} ON post *", "v".repeat(2_000_000))),
    );

    for (number, waiter) in waiters.iter_mut().enumerate() {
        match waiter.receive().expect("an answer") {
            Value::Nil => assert!(number >= 3, "{number}"),
            value => assert!(number < 3 && support::as_text(&value).len() == 2_000_000),
        }
    }
    assert_eq!(con.info("cacheops_waits_turned_away"), 3);
    assert!(con.text("CACHEOPS.GET q").is_some());
    nothing_is_left(&mut con);
    assert_eq!(con.info("cacheops_lock_bytes"), 0);
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
