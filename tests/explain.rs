//! `CACHEOPS.EXPLAIN`: alive or dead, and why.

use std::collections::BTreeMap;

use support::{Server, Value, as_map, as_text};

#[test]
fn a_missing_key_is_nil() {
    let server = Server::start();

    assert_eq!(server.connect().ok("CACHEOPS.EXPLAIN q"), Value::Nil);
}

#[test]
fn an_entry_tells_its_conditions_in_canonical_form() {
    let server = Server::start();
    let mut con = server.connect();
    let version =
        con.int("CACHEOPS.STORE q value PX 60000 ON post \"draft=0&author=a%7cb\" user *");

    let answer = con.map("CACHEOPS.EXPLAIN q");

    assert_eq!(as_text(&answer["state"]), "alive");
    assert_eq!(as_text(&answer["version"]), version.to_string());
    let ttl: i64 = as_text(&answer["ttl"]).parse().expect("milliseconds");
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    let bytes: i64 = as_text(&answer["bytes"]).parse().expect("a size");
    assert!(bytes >= 5, "{bytes}");
    let conditions = conditions(&answer);
    assert_eq!(conditions["user"], "*");
    let post = conditions["post"].to_lowercase();
    assert!(["author=a%7cb&draft=0", "draft=0&author=a%7cb"].contains(&post.as_str()), "{post}");
}

#[test]
fn an_entry_without_a_time_to_live_has_minus_one() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(as_text(&con.map("CACHEOPS.EXPLAIN q")["ttl"]), "-1");
}

#[test]
fn a_dead_entry_tells_which_conjunction_was_invalidated_and_when() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7|draft=0 user id=1");
    con.ok("MULTI");
    con.ok("TIME");
    con.ok("CACHEOPS.INVALIDATE ON post id=3&author=7&draft=1");
    con.ok("CACHEOPS.EXPLAIN q");
    let answers = con.list("EXEC");

    let answer = as_map(&answers[2]);

    assert_eq!(as_text(&answer["state"]), "dead");
    assert_eq!(as_text(&answer["reason"]), "invalidated");
    assert_eq!(as_text(&answer["table"]), "post");
    assert_eq!(as_text(&answer["conjunction"]), "author=7");
    assert!(matches!(answer["sequence"], Value::Int(1..)), "{:?}", answer["sequence"]);
    let Value::Array(time) = &answers[0] else { panic!("TIME") };
    let seconds: i64 = as_text(&time[0]).parse().expect("seconds");
    let died: i64 = as_text(&answer["time"]).parse().expect("milliseconds");
    assert!((died / 1000 - seconds).abs() <= 5, "{died} is not about {seconds} s");
}

#[test]
fn a_dropped_table_and_a_flush_are_told_apart() {
    let server = Server::start();
    let mut con = server.connect();
    for (command, reason) in
        [("CACHEOPS.INVALIDATE ON post *", "dropped"), ("CACHEOPS.FLUSH", "flushed")]
    {
        con.store("q", "post author=7");
        con.ok("MULTI");
        con.ok(command);
        con.ok("CACHEOPS.EXPLAIN q");

        let answer = as_map(&con.list("EXEC")[1]);

        assert_eq!(as_text(&answer["state"]), "dead", "{command}");
        assert_eq!(as_text(&answer["reason"]), reason, "{command}");
    }
}

#[test]
fn a_moved_entry_is_dead_because_it_is_unlinked() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("MULTI");
    con.ok("RENAME q p");
    con.ok("CACHEOPS.EXPLAIN p");

    let answer = as_map(&con.list("EXEC")[1]);

    assert_eq!(as_text(&answer["state"]), "dead");
    assert_eq!(as_text(&answer["reason"]), "unlinked");
}

#[test]
fn a_key_of_another_type_is_foreign() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("SET q value");

    assert_eq!(as_text(&con.map("CACHEOPS.EXPLAIN q")["state"]), "foreign");
}

#[test]
fn resp3_gets_a_map() {
    let server = Server::start();
    let mut con = server.connect_resp3();
    con.store("q", "post author=7");

    assert!(matches!(con.ok("CACHEOPS.EXPLAIN q"), Value::Map(_)));
}

fn conditions(answer: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    as_map(&answer["conditions"])
        .into_iter()
        .map(|(table, condition)| (table, as_text(&condition)))
        .collect()
}
