//! `CACHEOPS.CHECK`: the stamp check for values that are kept elsewhere.

use support::Server;

#[test]
fn a_value_is_good_until_what_it_depends_on_is_invalidated() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1 user id=1");
    let token = con.int("CACHEOPS.TOKEN");
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=7 user id=3")), 1);

    con.invalidate("post id=1&author=8");
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=7 user id=3")), 1);

    con.invalidate("user id=3");
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=7 user id=3")), 0);
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} KEY some:key ON post author=7")), 1);
}

#[test]
fn an_unknown_token_is_not_good() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let token = con.int("CACHEOPS.TOKEN");

    for token in [1, token + 1000, (1 << 53) - 1] {
        assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=1")), 0, "{token}");
    }
}

#[test]
fn a_scheme_that_is_new_is_registered_for_the_next_time() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let before = con.int("CACHEOPS.TOKEN");
    con.invalidate("post author=99&rare=9");
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {before} ON post rare=1")), 0);
    let token = con.int("CACHEOPS.TOKEN");
    con.invalidate("post author=99&rare=2");

    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post rare=1")), 1);
}

#[test]
fn flushes_and_dropped_tables_are_noticed() {
    let server = Server::start();
    let mut con = server.connect();
    for line in [
        "CACHEOPS.INVALIDATE ON post *",
        "CACHEOPS.FLUSH",
        "FLUSHDB",
        "FLUSHALL ASYNC",
        "SWAPDB 0 1",
    ] {
        con.store("known", "post author=1");
        let token = con.int("CACHEOPS.TOKEN");
        con.ok(line);

        assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=1")), 0, "{line}");
    }
}

#[test]
fn bad_input_is_refused() {
    let server = Server::start();
    let mut con = server.connect();
    for (line, word) in [
        ("CACHEOPS.CHECK 5 ON post", "wrong number"),
        ("CACHEOPS.CHECK 0 ON post author=7", "token"),
        ("CACHEOPS.CHECK x ON post author=7", "token"),
        ("CACHEOPS.CHECK 5 KEY k KEY k ON post author=7", "KEY"),
        ("CACHEOPS.CHECK 5 FAST ON post author=7", "FAST"),
        ("CACHEOPS.CHECK 5 ON post author=%", "%"),
    ] {
        let error = con.error(line);
        assert!(error.contains(word), "{line}: {error}");
    }
    assert_eq!(con.info("cacheops_tables"), 0);
}

#[test]
fn it_is_refused_when_memory_is_full_for_it_would_register_what_is_new() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let token = con.int("CACHEOPS.TOKEN");
    con.ok("CONFIG SET maxmemory 1");
    let before = con.info("cacheops_schemes");

    let error = con.error(&format!("CACHEOPS.CHECK {token} ON post rare=1"));

    assert!(error.starts_with("OOM"), "{error}");
    assert_eq!(con.info("cacheops_schemes"), before);
    assert!(con.hits("known"));
    assert_eq!(con.invalidate("post author=1"), 1);
}

#[test]
fn names_that_no_database_has_are_refused() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("known", "post author=1");
    let before = (con.info("cacheops_tables"), con.info("cacheops_schemes"));
    let long = "f".repeat(1025);

    for pair in [format!("post {long}=1"), format!("{long} a=1"), format!("post a=1|b&{long}")] {
        let error = con.error(&format!("CACHEOPS.CHECK 5 ON {pair}"));
        assert_eq!(error, "ERR the name of a table or a field is longer than 1024 bytes");
        con.error(&format!("CACHEOPS.STORE q v ON {pair}"));
    }

    assert_eq!((con.info("cacheops_tables"), con.info("cacheops_schemes")), before);
}
