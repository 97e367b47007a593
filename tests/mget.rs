//! `CACHEOPS.MGET`: what GET answers, for many keys.

use support::{Server, Value, as_text};

#[test]
fn each_key_gets_its_own_answer_in_order() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q:1", "post author=1");
    con.store("q:2", "post author=2");
    con.ok("SET foreign value");
    con.store("dead", "post author=3");
    con.invalidate("post author=3");

    let answers = con.list("CACHEOPS.MGET q:2 absent foreign dead q:1 q:2");

    assert_eq!(
        answers.iter().map(as_text).collect::<Vec<_>>(),
        ["value of q:2", "nil", "nil", "nil", "value of q:1", "value of q:2"]
    );
}

#[test]
fn a_dead_entry_is_nil_before_it_is_reclaimed() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    let answers = con.while_dead("post author=7", &["CACHEOPS.MGET q"]);

    assert_eq!(answers, [Value::Array(vec![Value::Nil])]);
}

#[test]
fn hits_and_misses_are_counted_per_key() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("CACHEOPS.MGET q q absent");

    assert_eq!(con.info("cacheops_hits"), 2);
    assert_eq!(con.info("cacheops_misses"), 1);
}
