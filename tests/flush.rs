//! `CACHEOPS.FLUSH`: all entries of this database die at once, and nothing else.

use support::{Server, Stream};

#[test]
fn all_entries_of_this_database_die_and_nothing_else() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q:1", "post author=7");
    zero.store("q:2", "user *");
    zero.ok("SET foreign value");
    one.store("q:1", "post author=7");

    zero.int("CACHEOPS.FLUSH");

    assert!(zero.hits_of(&["q:1", "q:2"]).is_empty());
    assert!(one.hits("q:1"));
    assert_eq!(zero.text("GET foreign").as_deref(), Some("value"));
    assert_eq!(one.invalidate("post author=7"), 1);
    assert_eq!(zero.info("cacheops_flushes"), 1);
}

#[test]
fn the_flushed_leave_memory() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline((0..2000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author={n} user *")));

    con.int("CACHEOPS.FLUSH");

    con.wait_for_empty_index();
    assert_eq!(con.int("DBSIZE"), 0);
}

#[test]
fn tokens_from_before_are_refused() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("q", "post author=7");
    con.int("CACHEOPS.FLUSH");
    con.store("q", "post author=7");

    assert_eq!(con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=8")), None);
}

#[test]
fn an_entry_stored_right_after_survives_the_reclaiming() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline((0..2000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author={n}")));
    con.ok("MULTI");
    con.ok("CACHEOPS.FLUSH");
    con.ok("CACHEOPS.STORE k:7 \"value of k:7\" ON post author=7");
    con.ok("EXEC");

    con.wait_until_reclaimed();

    assert!(con.hits("k:7"));
    assert_eq!(con.int("DBSIZE"), 1);
    assert_eq!(con.invalidate("post author=7"), 1);
}

#[test]
fn it_is_propagated_and_shard_is_accepted() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);

    con.int("CACHEOPS.FLUSH");
    con.int("CACHEOPS.FLUSH SHARD");

    let commands = stream.read(&mut con);
    assert_eq!(
        commands.iter().filter(|line| line.starts_with("CACHEOPS.FLUSH")).count(),
        2,
        "{commands:?}"
    );
}
