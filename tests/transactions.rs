//! MULTI and Lua: the commands do in them what they do outside.

use support::{Client, Server, Stream, Value, as_text};

#[test]
fn a_transaction_stores_reads_and_invalidates_in_order() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("MULTI");
    con.ok("CACHEOPS.STORE q v ON post author=7");
    con.ok("CACHEOPS.GET q");
    con.ok("CACHEOPS.INVALIDATE ON post author=7");
    con.ok("CACHEOPS.GET q");
    con.ok("CACHEOPS.STORE q w ON post author=7");
    con.ok("CACHEOPS.MGET q absent");
    let answers = con.list("EXEC");

    assert_eq!(as_text(&answers[1]), "v");
    assert_eq!(answers[2], Value::Int(1));
    assert_eq!(answers[3], Value::Nil);
    assert_eq!(answers[5], Value::Array(vec![Value::BulkString(b"w".to_vec()), Value::Nil]));
    con.wait_until_reclaimed();
    assert_eq!(con.text("CACHEOPS.GET q").as_deref(), Some("w"));
}

#[test]
fn a_discarded_transaction_changes_nothing() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("MULTI");
    con.ok("CACHEOPS.INVALIDATE ON post author=7");
    con.ok("DISCARD");

    assert!(con.hits("q"));
}

#[test]
fn an_error_in_a_transaction_leaves_the_other_commands_alone() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("MULTI");
    con.ok("CACHEOPS.INVALIDATE ON post author=7&author=8");
    con.ok("CACHEOPS.STORE p \"value of p\" ON post author=7");
    let _ = con.run("EXEC");

    assert_eq!(con.hits_of(&["q", "p"]).len(), 2);
}

#[test]
fn a_script_stores_reads_and_invalidates() {
    let server = Server::start();
    let mut con = server.connect();
    let script = "redis.call('CACHEOPS.STORE', KEYS[1], 'v', 'PX', 60000, 'ON', 'post', 'author=7') \
         local before = redis.call('CACHEOPS.GET', KEYS[1]) \
         local cut = redis.call('CACHEOPS.INVALIDATE', 'ON', 'post', 'author=7') \
         return {before, cut, redis.call('CACHEOPS.GET', KEYS[1])}";

    let answer = con.call(["EVAL", script, "1", "q"]).expect("the script runs");

    assert_eq!(
        answer,
        Value::Array(vec![Value::BulkString(b"v".to_vec()), Value::Int(1), Value::Nil])
    );
    con.wait_for_empty_index();
}

#[test]
fn a_read_only_script_reads_and_does_not_invalidate() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    let answer = con
        .call(["EVAL_RO", "return redis.call('CACHEOPS.GET', KEYS[1])", "1", "q"])
        .expect("read");
    assert_eq!(as_text(&answer), "value of q");

    con.error_of([
        "EVAL_RO",
        "return redis.call('CACHEOPS.INVALIDATE', 'ON', 'post', 'author=7')",
        "0",
    ]);
    assert!(con.hits("q"));
}

#[test]
fn errors_are_errors_in_a_script_too() {
    let server = Server::start();
    let mut con = server.connect();

    let error = con.error_of([
        "EVAL",
        "return redis.call('CACHEOPS.INVALIDATE', 'ON', 'post', 'author=%')",
        "0",
    ]);

    assert!(error.contains('%') || error.contains("escape"), "{error}");
}

#[test]
fn a_transaction_is_propagated_command_by_command_in_one_block() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);
    con.ok("MULTI");
    con.ok("CACHEOPS.STORE q v ON post author=7");
    con.ok("CACHEOPS.GET q");
    con.ok("CACHEOPS.INVALIDATE ON user id=1");
    con.ok("SET foreign value");
    con.ok("EXEC");

    let commands = stream.read_all(&mut con);

    let names: Vec<String> = commands
        .iter()
        .map(|words| words[0].to_uppercase())
        .filter(|name| name != "SELECT" && name != "PING")
        .collect();
    assert_eq!(names, ["MULTI", "CACHEOPS.STORE", "CACHEOPS.INVALIDATE", "SET", "EXEC"]);
}

#[test]
fn a_script_is_propagated_by_its_effects() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);
    let script = "redis.call('CACHEOPS.STORE', KEYS[1], 'v', 'PX', 60000, 'ON', 'post', 'author=7') \
         return redis.call('CACHEOPS.INVALIDATE', 'ON', 'user', 'id=1')";
    con.call(["EVAL", script, "1", "q"]).expect("the script runs");

    let commands = stream.read(&mut con);

    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(
        commands[0].starts_with("CACHEOPS.STORE q v ") && commands[0].contains("PXAT"),
        "{commands:?}"
    );
    assert_eq!(commands[1], "CACHEOPS.INVALIDATE ON user id=1");
}

#[test]
fn watch_sees_a_key_that_is_stored_again() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect());
    con.store("q", "post author=7");
    con.ok("WATCH q");
    other.store("q", "post author=8");
    con.ok("MULTI");
    con.ok("PING");

    assert_eq!(con.ok("EXEC"), Value::Nil);
}

#[test]
fn watch_sees_an_invalidated_entry_when_it_is_reclaimed_and_a_read_in_the_transaction_before() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect());
    con.store("q", "post author=7");
    con.ok("WATCH q");
    assert!(con.hits("q"));
    invalidate_and_pause(&mut other);

    con.ok("MULTI");
    con.ok("CACHEOPS.GET q");
    assert_eq!(con.list("EXEC"), [Value::Nil]);

    con.ok("WATCH q");
    other.ok("CLIENT UNPAUSE");
    other.wait_until_reclaimed();
    con.ok("MULTI");
    con.ok("PING");
    assert_eq!(con.ok("EXEC"), Value::Nil);
}

#[test]
fn watch_sees_an_invalidation_at_once_where_the_command_reclaims_the_entry() {
    let server = Server::builder().arg("cacheops.reap-inline", "10").start();
    let (mut con, mut other) = (server.connect(), server.connect());
    con.store("q", "post author=7");
    con.ok("WATCH q");
    invalidate_and_pause(&mut other);
    con.ok("MULTI");
    con.ok("PING");

    assert_eq!(con.ok("EXEC"), Value::Nil);
}

/// While writes are paused, no timer reclaims the dead.
fn invalidate_and_pause(con: &mut Client) {
    con.ok("MULTI");
    con.ok("CACHEOPS.INVALIDATE ON post author=7");
    con.ok("CLIENT PAUSE 600000 WRITE");
    con.ok("EXEC");
}
