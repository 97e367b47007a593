//! FLUSHDB and FLUSHALL: the server frees the values elsewhere and tells nobody which.

use support::{Server, Stream};

#[test]
fn flushdb_empties_the_index_of_its_database_only() {
    for mode in ["", "SYNC", "ASYNC"] {
        let server = Server::start();
        let (mut zero, mut three) = (server.connect(), server.connect_to(3));
        for n in 0..500 {
            zero.store(&format!("q:{n}"), &format!("post author={n} user *"));
        }
        three.store("q:1", "post author=1");
        three.store("q:2", "post author=2");

        zero.ok(&format!("FLUSHDB {mode}"));

        assert_eq!(zero.info("cacheops_entries"), 2, "{mode}");
        assert_eq!(zero.info("cacheops_links"), 2, "{mode}");
        assert!(!zero.hits("q:1") && three.hits("q:1"), "{mode}");
        assert_eq!(zero.invalidate("post author=1"), 0, "{mode}");

        three.ok(&format!("FLUSHDB {mode}"));

        three.assert_index_is_empty();
    }
}

#[test]
fn flushall_empties_the_index_of_every_database() {
    for mode in ["", "SYNC", "ASYNC"] {
        let server = Server::start();
        let mut clients: Vec<_> = [0, 1, 7, 15].map(|database| server.connect_to(database)).into();
        for con in &mut clients {
            con.store("q", "post author=7 user *");
        }

        clients[1].ok(&format!("FLUSHALL {mode}"));

        clients[0].assert_index_is_empty();
        for con in &mut clients {
            assert_eq!(con.invalidate("post author=7"), 0, "{mode}");
            assert!(!con.hits("q"), "{mode}");
            con.store("q", "post author=7");
            assert!(con.hits("q"), "{mode}");
            assert_eq!(con.invalidate("post author=7"), 1, "{mode}");
            assert!(!con.hits("q"), "{mode}");
        }
    }
}

#[test]
fn the_same_key_can_be_stored_in_the_transaction_that_flushes() {
    for flush in
        ["FLUSHDB ASYNC", "FLUSHDB SYNC", "FLUSHALL ASYNC", "FLUSHALL SYNC", "CACHEOPS.FLUSH"]
    {
        let server = Server::start();
        let mut con = server.connect();
        con.store("q", "post author=7");
        con.ok("MULTI");
        con.ok(flush);
        con.ok("CACHEOPS.STORE q \"value of q\" ON post author=8");
        con.ok("EXEC");
        con.wait_until_reclaimed();

        assert!(con.hits("q"), "{flush}");
        assert_eq!(con.info("cacheops_links"), 1, "{flush}");
        assert_eq!(con.invalidate("post author=7"), 0, "{flush}");
        assert_eq!(con.invalidate("post author=8"), 1, "{flush}");
        assert!(!con.hits("q"), "{flush}");
    }
}

#[test]
fn tokens_from_before_a_flush_are_refused() {
    for flush in ["FLUSHDB ASYNC", "FLUSHDB SYNC", "FLUSHALL ASYNC", "FLUSHALL SYNC"] {
        let server = Server::start();
        let mut con = server.connect();
        let token = con.store("q", "post author=7");
        con.ok(flush);
        con.store("q", "post author=7");

        assert_eq!(
            con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=8")),
            None,
            "{flush}"
        );
    }
}

#[test]
fn dead_entries_that_wait_are_forgotten_by_a_flush() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline((0..2000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7 user id={n}")));
    con.while_dead("post author=7", &["FLUSHALL ASYNC", "SET k:5 plain"]);

    con.wait_for_empty_index();

    assert_eq!(con.text("GET k:5").as_deref(), Some("plain"));
    assert_eq!(con.info("cacheops_dead"), 0);
}

#[test]
fn the_server_propagates_its_own_flush_and_no_deletions() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline((0..100).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
    let mut stream = Stream::attach(&server);
    con.ok("FLUSHALL SYNC");

    let commands = stream.read(&mut con);

    assert!(
        commands.iter().any(|line| line.to_uppercase().starts_with("FLUSHALL")),
        "{commands:?}"
    );
    assert!(
        !commands.iter().any(|line| line.starts_with("UNLINK") || line.starts_with("DEL ")),
        "{commands:?}"
    );
}
