//! SWAPDB: the entries of two databases change places, and so do their indexes. They die, unless told otherwise: what was
//! invalidated in a database was not told to the entries that come to it.

use support::{Server, Stream};

#[track_caller]
fn server_that_keeps() -> Server {
    Server::builder().arg("cacheops.on-swapdb", "keep").start()
}

#[test]
fn an_entry_that_missed_an_invalidation_is_no_hit_after_a_swap() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    one.store("q", "post author=7");
    zero.invalidate("post author=7");

    zero.ok("SWAPDB 0 1");

    assert!(!zero.hits("q"));
    zero.store("q", "post author=7");
    assert!(zero.hits("q"));
}

#[test]
fn entries_of_both_databases_are_dead_and_reclaimed_and_other_keys_stay() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q", "post author=7");
    zero.ok("SET plain v");
    one.store("p", "post author=8");

    zero.ok("SWAPDB 0 1");

    assert!(!one.hits("q") && !zero.hits("p"));
    zero.wait_for_empty_index();
    assert_eq!((zero.int("DBSIZE"), one.int("DBSIZE")), (0, 1));
}

#[test]
fn a_replica_discards_along_with_its_primary() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    let mut con = primary.connect();
    con.store("q", "post author=7");

    con.ok("SWAPDB 0 1");
    con.store("p", "post author=7");

    replica.catch_up_with(&primary);
    assert_eq!(replica.connect_to(1).hits_of(&["q", "p"]), [""; 0]);
    assert_eq!(replica.connect().hits_of(&["q", "p"]), ["p"]);
    con.wait_until_reclaimed();
    replica.catch_up_with(&primary);
    assert_eq!(replica.connect_to(1).int("DBSIZE"), 0);
}

#[test]
fn entries_stay_hits_and_stay_linked_in_the_other_database() {
    let server = server_that_keeps();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q", "post author=7");
    one.store("p", "post author=8");

    zero.ok("SWAPDB 0 1");

    assert!(one.hits("q") && zero.hits("p"));
    assert!(!zero.hits("q") && !one.hits("p"));
    assert_eq!(zero.invalidate("post author=7"), 0);
    assert_eq!(one.invalidate("post author=7"), 1);
    assert_eq!(zero.invalidate("post author=8"), 1);
    assert!(!one.hits("q") && !zero.hits("p"));
    zero.wait_for_empty_index();
}

#[test]
fn swapping_with_an_empty_database_and_back_changes_nothing() {
    let server = server_that_keeps();
    let mut zero = server.connect();
    zero.store("q", "post author=7");

    zero.ok("SWAPDB 0 9");
    assert!(!zero.hits("q"));
    zero.ok("SWAPDB 9 0");

    assert!(zero.hits("q"));
    assert_eq!(zero.invalidate("post author=7"), 1);
    assert!(!zero.hits("q"));
}

#[test]
fn swapping_a_database_with_itself_changes_nothing() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("SWAPDB 0 0");

    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
}

#[test]
fn tokens_of_both_databases_are_refused_afterwards() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    let (of_zero, of_one) = (zero.store("q", "post author=7"), one.store("q", "post author=7"));

    zero.ok("SWAPDB 0 1");

    for con in [&mut zero, &mut one] {
        for token in [of_zero, of_one] {
            assert_eq!(
                con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=1")),
                None
            );
        }
    }
}

#[test]
fn a_flush_after_a_swap_takes_the_right_index() {
    let server = server_that_keeps();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q", "post author=7");
    one.store("p", "post author=7");
    zero.ok("SWAPDB 0 1");

    zero.ok("FLUSHDB");

    assert!(one.hits("q"));
    assert_eq!(one.info("cacheops_entries"), 1);
    assert_eq!(one.invalidate("post author=7"), 1);
}

#[test]
fn the_dead_are_reclaimed_in_the_database_they_moved_to() {
    let server = server_that_keeps();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.pipeline((0..2000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    one.pipeline(
        (0..2000).map(|n| format!("CACHEOPS.STORE k:{n} \"value of k:{n}\" ON post author=8")),
    );
    let mut stream = Stream::attach(&server);
    zero.while_dead("post author=7", &["SWAPDB 0 1"]);

    zero.wait_until_reclaimed();

    assert_eq!(zero.int("DBSIZE"), 2000);
    assert_eq!(one.int("DBSIZE"), 0);
    assert!(zero.hits("k:0") && zero.hits("k:1999"));
    let commands = stream.read_all(&mut zero);
    let mut database = "0".to_owned();
    for words in &commands {
        match words[0].to_uppercase().as_str() {
            "SELECT" => database.clone_from(&words[1]),
            "UNLINK" | "DEL" => assert_eq!(database, "1", "{words:?}"),
            _ => {}
        }
    }
}
