//! What other commands do to an entry: it leaves the index in the same moment, or it stays linked.

use support::{Client, Server, eventually};

#[test]
fn deletion_by_any_command_empties_the_index_at_once() {
    for lazy in ["no", "yes"] {
        let server = Server::builder()
            .arg("lazyfree-lazy-user-del", lazy)
            .arg("lazyfree-lazy-server-del", lazy)
            .arg("lazyfree-lazy-expire", lazy)
            .start();
        let mut con = server.connect();
        for line in [
            "DEL q",
            "UNLINK q",
            "EXPIRE q -1",
            "PEXPIREAT q 1",
            "SET q plain",
            "RENAME other q",
            "RESTORE q 0 \"\" REPLACE",
            "COPY other q REPLACE",
            "SORT list STORE q",
            "SUNIONSTORE q set",
            "BITOP NOT q other",
        ] {
            con.ok("FLUSHALL");
            con.ok("SET other plain");
            con.ok("RPUSH list 1");
            con.ok("SADD set 1");
            store_large(&mut con, "q");
            assert_eq!(con.info("cacheops_links"), 102);

            if line.starts_with("RESTORE") {
                let payload = con.call(["DUMP", "other"]).expect("a payload");
                let support::Value::BulkString(payload) = payload else { panic!("{payload:?}") };
                con.call([b"RESTORE".as_slice(), b"q", b"0", &payload, b"REPLACE"])
                    .expect("restored");
            } else {
                con.ok(line);
            }

            con.assert_index_is_empty();
        }
    }
}

#[test]
fn an_entry_that_expires_is_unlinked_by_the_servers_own_cycle() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline(
        (0..500)
            .map(|n| format!("CACHEOPS.STORE k:{n} v PX {} ON post author={n} user *", 1 + n % 50)),
    );

    eventually("all have expired", || con.int("DBSIZE") == 0);

    con.assert_index_is_empty();
}

#[test]
fn an_entry_that_expires_while_it_is_read_is_unlinked() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    con.ok("CACHEOPS.STORE q v PX 1 ON post author=7");

    eventually("q is a miss", || con.text("CACHEOPS.GET q").is_none());
    con.ok("EXISTS q");

    con.assert_index_is_empty();
}

#[test]
fn changing_the_time_to_live_keeps_an_entry_linked() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    for line in ["EXPIRE q 1000", "PERSIST q", "TOUCH q", "OBJECT ENCODING q", "DEBUG OBJECT q"] {
        let _ = con.run(line);
        assert!(con.hits("q"), "{line}");
    }

    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn a_renamed_entry_leaves_the_index_and_then_memory() {
    let server = Server::start();
    let mut con = server.connect();
    for line in ["RENAME q p", "RENAMENX q p"] {
        con.store("q", "post author=7");
        con.ok(line);
        assert_eq!(con.info("cacheops_entries"), 0, "{line}");
        eventually("what cannot be a hit leaves memory", || con.int("DBSIZE") == 0);
        con.wait_for_empty_index();
    }
}

#[test]
fn a_moved_entry_leaves_memory_on_the_primary_and_on_its_replica() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    con.store("q", "post author=7");
    assert_eq!(con.int("MOVE q 3"), 1);
    con.store("q", "post author=7");
    con.ok("RENAME q p");
    con.ok("RENAME p r");

    for server in [&primary, &replica] {
        let mut con = server.connect();
        eventually("both keys are deleted", || con.info_field("db0").is_none());
        eventually("both keys are deleted", || con.info_field("db3").is_none());
        con.assert_index_is_empty();
    }
}

#[test]
fn only_renamed_entries_have_the_keyspace_searched() {
    let server = Server::builder().arg("lazyfree-lazy-user-del", "yes").start();
    let mut con = server.connect();
    for round in 1..=3 {
        for _ in 0..100 {
            store_large(&mut con, "q");
            con.ok("UNLINK q");
        }
        con.store("q", "post author=7");
        con.ok("RENAME q p");

        eventually("p is reclaimed", || con.int("DBSIZE") == 0);
        eventually("the search is over", || con.info("cacheops_sweeps") == round);
    }
}

#[test]
fn a_renamed_entry_is_a_miss_under_both_names() {
    let server = Server::start();
    let mut con = server.connect();
    for line in ["RENAME q p", "RENAMENX q p"] {
        con.store("q", "post author=7");
        con.ok(line);

        assert_eq!(con.text("CACHEOPS.GET p"), None, "{line}");
        assert_eq!(con.info("cacheops_links"), 0, "{line}");
        assert_eq!(con.text("CACHEOPS.GET q"), None, "{line}");
        con.ok("DEL p");
        con.wait_for_empty_index();
    }
}

#[test]
fn renaming_onto_an_entry_unlinks_it() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.store("p", "post author=8");
    con.ok("RENAME q p");

    assert_eq!(con.invalidate("post author=8"), 0);
    assert_eq!(con.text("CACHEOPS.GET p"), None);
    con.ok("DEL p");
    con.wait_for_empty_index();
}

#[test]
fn a_name_can_be_stored_again_after_its_entry_was_renamed() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("RENAME q p");
    con.store("q", "post author=7");
    con.ok("DEL p");

    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn a_moved_entry_is_a_miss_in_the_other_database() {
    let server = Server::start();
    let (mut zero, mut one) = (server.connect(), server.connect_to(1));
    zero.store("q", "post author=7");
    assert_eq!(zero.int("MOVE q 1"), 1);

    assert_eq!(one.text("CACHEOPS.GET q"), None);
    assert_eq!(zero.text("CACHEOPS.GET q"), None);
    assert_eq!(zero.invalidate("post author=7"), 0);
    one.ok("DEL q");
    one.wait_for_empty_index();
}

#[test]
fn a_copy_is_never_a_hit_without_links() {
    let server = Server::start();
    let mut con = server.connect();
    let mut other = server.connect_to(1);
    con.store("q", "post author=7");
    assert_eq!(con.int("COPY q p"), 1);
    assert_eq!(con.int("COPY q q DB 1"), 1);
    assert!(con.hits("q"));

    con.invalidate("post author=7");
    other.invalidate("post author=7");

    assert_eq!(con.text("CACHEOPS.GET p"), None);
    assert_eq!(con.text("CACHEOPS.GET q"), None);
    assert_eq!(other.text("CACHEOPS.GET q"), None);
    con.ok("FLUSHALL");
    con.wait_for_empty_index();
}

#[test]
fn scanning_by_type_finds_the_entries() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("SET foreign value");

    let answer = con.list("SCAN 0 COUNT 1000 TYPE cacheops1");

    let support::Value::Array(keys) = &answer[1] else { panic!("{answer:?}") };
    assert_eq!(keys.iter().map(support::as_text).collect::<Vec<_>>(), ["q"]);
}

#[test]
fn a_tracking_client_hears_of_a_reclaimed_key() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect_resp3(), server.connect());
    let pushes = con.pushes();
    con.store("q", "post author=7");
    con.ok("CLIENT TRACKING ON");
    assert!(con.hits("q"));

    other.invalidate("post author=7");

    eventually("the client is told", || {
        con.ok("PING");
        pushes.try_iter().any(|push| format!("{push:?}").contains("Invalidate"))
    });
}

#[test]
fn an_index_that_was_filled_and_emptied_many_times_does_not_grow() {
    let server = Server::start();
    let mut con = server.connect();
    let mut fill_and_empty =
        |round: usize| {
            con.pipeline((0..2000).map(|n| {
                format!("CACHEOPS.STORE k:{n} v ON post author={}&draft=0", n * 31 + round)
            }));
            con.pipeline((0..2000).map(|n| format!("DEL k:{n}")));
            con.info("cacheops_index_bytes")
        };
    let first: i64 = (0..3).map(&mut fill_and_empty).max().expect("three rounds");
    let last = (3..15).map(&mut fill_and_empty).last().expect("more rounds");

    assert!(last <= first + first / 10, "{first} bytes became {last}");
    con.assert_index_is_empty();
}

/// An entry large enough to be freed in another thread, with a hundred and two links.
fn store_large(con: &mut Client, key: &str) {
    let conjunctions: Vec<String> = (0..101).map(|author| format!("author={author}")).collect();
    con.ok(&format!(
        "CACHEOPS.STORE {key} {} ON post {} user *",
        "v".repeat(100_000),
        conjunctions.join("|")
    ));
}

#[test]
fn renaming_a_key_that_is_no_entry_is_nobodys_business() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("SET plain value");

    con.ok("RENAME plain other");
    con.int("MOVE other 1");

    assert_eq!(con.info("cacheops_dead"), 0);
    assert_eq!(con.info("cacheops_reclaimed"), 0);
    assert!(con.hits("q"));
}

#[test]
fn a_database_beyond_those_that_can_have_an_index_caches_nothing() {
    const INDEXES: usize = 65_535;
    let server = Server::builder().arg("databases", "65540").start();
    let mut con = server.connect();
    // Each of these makes the index of its database.
    for first in (0..INDEXES).step_by(5000) {
        let databases = first..INDEXES.min(first + 5000);
        con.pipeline(
            databases
                .flat_map(|database| [format!("SELECT {database}"), "CACHEOPS.TOKEN".to_owned()]),
        );
    }
    con.store("last", "post author=7");
    let payload = con.call(["DUMP", "last"]).expect("a payload");
    let support::Value::BulkString(payload) = payload else { panic!("{payload:?}") };
    let stores = con.info("cacheops_stores");

    for database in [INDEXES, INDEXES + 1] {
        con.ok(&format!("SELECT {database}"));
        let token = con.int("CACHEOPS.TOKEN");
        assert_eq!(con.text("CACHEOPS.STORE q v ON post author=7"), None);
        assert_eq!(con.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7")), None);
        assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=7")), 0);
        assert_eq!(con.text("CACHEOPS.GET q"), None);
        assert_eq!(con.invalidate("post author=7"), 0);
        assert_eq!(con.int("CACHEOPS.FLUSH"), 0);
        assert_eq!(con.int("EXISTS q"), 0);
        assert!(con.int("CACHEOPS.GET q LOCK 60000") > 0, "a token without a lock");
        con.call([b"RESTORE".as_slice(), b"r", b"0", &payload]).expect("restored");
        assert_eq!(con.text("CACHEOPS.GET r"), None);
        eventually("what cannot be a hit leaves memory", || con.int("DBSIZE") == 0);
        let before = con.info("cacheops_index_bytes");
        con.pipeline((0..1000).map(|_| "CACHEOPS.FLUSH".to_owned()));
        assert!(con.info("cacheops_index_bytes") <= before, "nothing is left behind");
    }
    assert_eq!(con.info("cacheops_locks"), 0);

    assert_eq!(con.info("cacheops_stores"), stores);
    assert_eq!(con.info("cacheops_stores_refused_limit"), 4);
    con.ok(&format!("SELECT {}", INDEXES - 1));
    assert!(con.hits("last"));
    con.ok("DEL last");
    con.assert_index_is_empty();
}

#[test]
fn what_is_kept_depends_on_the_databases_in_use_and_not_on_their_numbers() {
    let server =
        Server::builder().arg("databases", "60000").arg("cacheops.tombstones", "1024").start();
    let mut con = server.connect_to(59_999);

    let token = con.int("CACHEOPS.TOKEN");
    con.int("CACHEOPS.GET p LOCK 60000");
    con.ok(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7"));
    con.ok("SWAPDB 59999 300");
    con.ok("SWAPDB 300 3");

    assert!(con.info("cacheops_index_bytes") < 1_000_000, "{}", con.info("cacheops_index_bytes"));
    con.ok("SELECT 3");
    assert_eq!(con.text("CACHEOPS.GET q"), None);
    con.wait_until_reclaimed();
    assert_eq!(con.int("DBSIZE"), 0);
    con.store("q", "post author=7");
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
    con.wait_for_empty_index();
}
