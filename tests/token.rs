//! `CACHEOPS.TOKEN`, and tokens that GET hands out: what a reader takes before it asks the database.

use support::{Server, Stream, Value};

#[test]
fn a_token_is_good_until_what_the_entry_depends_on_is_invalidated() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let early = con.int("CACHEOPS.TOKEN");
    con.invalidate("post id=1&author=7");
    let late = con.int("CACHEOPS.TOKEN some:key");

    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {early} ON post author=7")), None);
    assert!(con.text(&format!("CACHEOPS.STORE q fresh TOKEN {early} ON post author=8")).is_some());
    assert!(con.text(&format!("CACHEOPS.STORE q fresh TOKEN {late} ON post author=7")).is_some());
}

#[test]
fn tokens_are_positive_and_below_2_to_the_53_and_never_fall() {
    let server = Server::start();
    let mut con = server.connect();

    let first = con.int("CACHEOPS.TOKEN");
    con.invalidate("post *");
    let second = con.int("CACHEOPS.TOKEN");

    assert!((1..1 << 53).contains(&first) && (1..1 << 53).contains(&second));
    assert!(first < second, "{first} {second}");
}

#[test]
fn a_miss_answers_a_token_if_asked_for_one_and_a_hit_the_value() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let Value::Int(token) = con.ok("CACHEOPS.GET q TOKEN") else { panic!("a miss is a token") };

    let line = format!("CACHEOPS.STORE q \"value of q\" TOKEN {token} ON post author=7");
    assert!(con.text(&line).is_some());

    assert_eq!(con.text("CACHEOPS.GET q token").as_deref(), Some("value of q"));
}

#[test]
fn a_stale_fill_is_refused() {
    let server = Server::start();
    let (mut reader, mut writer) = (server.connect(), server.connect());
    reader.store("known", "post author=1");

    let Value::Int(token) = reader.ok("CACHEOPS.GET q TOKEN") else { panic!("a miss is a token") };
    // The reader queries the database here, and is overtaken.
    writer.invalidate("post id=3&author=7");

    let line = format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7");
    assert_eq!(reader.text(&line), None);
    assert!(!writer.hits("q"));
}

#[test]
fn ifnot_answers_the_version_and_the_value_only_if_it_is_another() {
    let server = Server::start();
    let mut con = server.connect();
    let version = con.store("q", "post author=7");
    let value = Value::BulkString(b"value of q".to_vec());

    assert_eq!(con.list("CACHEOPS.GET q IFNOT 0"), [Value::Int(version), value.clone()]);
    assert_eq!(
        con.list(&format!("CACHEOPS.GET q IFNOT {}", version + 1)),
        [Value::Int(version), value]
    );
    assert_eq!(
        con.list(&format!("CACHEOPS.GET q IFNOT {version}")),
        [Value::Int(version), Value::Nil]
    );
}

#[test]
fn ifnot_proves_nothing_of_an_entry_that_died() {
    let server = Server::start();
    let mut con = server.connect();
    let version = con.store("q", "post author=7");
    con.invalidate("post author=7");

    assert_eq!(con.ok(&format!("CACHEOPS.GET q IFNOT {version}")), Value::Nil);
    assert!(matches!(con.ok(&format!("CACHEOPS.GET q TOKEN IFNOT {version}")), Value::Int(_)));
    assert_ne!(con.store("q", "post author=7"), version);
    assert_ne!(con.list(&format!("CACHEOPS.GET q IFNOT {version}"))[1], Value::Nil);
}

#[test]
fn tokens_are_never_propagated() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);
    con.ok("CACHEOPS.TOKEN");
    con.ok("CACHEOPS.GET q TOKEN");
    con.ok("CACHEOPS.CHECK 5 ON post author=7");

    assert!(stream.read(&mut con).is_empty());
}

#[test]
fn a_replica_gives_no_token() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);

    assert_eq!(replica.connect().ok("CACHEOPS.GET q TOKEN"), Value::Nil);
}

#[test]
fn bad_options_are_refused() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    for (line, word) in [
        ("CACHEOPS.GET q IFNOT", "IFNOT"),
        ("CACHEOPS.GET q IFNOT -1", "IFNOT"),
        ("CACHEOPS.GET q IFNOT x", "IFNOT"),
        ("CACHEOPS.GET q IFNOT 1 IFNOT 1", "IFNOT"),
        ("CACHEOPS.GET q TOKEN TOKEN", "TOKEN"),
        ("CACHEOPS.TOKEN a b", "wrong number"),
    ] {
        let error = con.error(line);
        assert!(error.contains(word), "{line}: {error}");
    }
}
