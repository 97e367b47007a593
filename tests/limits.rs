//! What commands leave behind outside of the keyspace, where no eviction reaches it, is bounded.

use support::{Client, Server, Stream, eventually};

/// Conditions of sixteen fields of a thousand bytes, others for each number.
fn long_fields(number: usize) -> String {
    let fields: Vec<String> = (0..16).map(|field| format!("{number:04}-{field:0995}=1")).collect();
    fields.join("&")
}

#[track_caller]
fn reader(server: &Server, con: &mut Client) -> Client {
    con.ok("ACL SETUSER reader on >secret ~ro:* +cacheops.check +cacheops.get +cacheops.token");
    let mut reader = server.connect();
    reader.ok("AUTH reader secret");
    reader
}

#[test]
fn a_reader_cannot_fill_the_memory_with_what_it_checks() {
    let server = Server::start();
    let mut con = server.connect();
    con.pipeline((0..1000).map(|number| format!("SET plain:{number} {}", "v".repeat(1000))));
    con.ok("CONFIG SET maxmemory-policy allkeys-lru");
    let limit = con.info("used_memory") + 30_000_000;
    con.ok(&format!("CONFIG SET maxmemory {limit}"));
    let mut reader = reader(&server, &mut con);
    let token = reader.int("CACHEOPS.TOKEN");

    for first in (0..2400).step_by(100) {
        reader.pipeline((first..first + 100).map(|number| {
            format!("CACHEOPS.CHECK {token} ON table:{} {}", number / 9, long_fields(number))
        }));
    }

    assert_eq!(con.int("DBSIZE"), 1000, "no key of others was evicted");
    let catalog = con.info("cacheops_catalog_bytes");
    assert!((4 << 20..=8 << 20).contains(&catalog), "{catalog}");
    let index = con.info("cacheops_index_bytes");
    assert!(index < 12 << 20, "{index}");
}

#[test]
fn a_check_that_cannot_be_registered_is_answered_by_0() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-catalog-bytes 4096");
    con.store("q", "post author=1");
    let token = con.int("CACHEOPS.TOKEN");
    let before = (con.info("cacheops_tables"), con.info("cacheops_schemes"));

    for pair in [format!("post {}", long_fields(1)), format!("{} a=1", "t".repeat(1000))] {
        assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON {pair}")), 0);
    }

    assert_eq!((con.info("cacheops_tables"), con.info("cacheops_schemes")), before);
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=2")), 1);
}

#[test]
fn past_the_bound_a_new_table_is_refused_and_a_new_scheme_becomes_a_part_of_it() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-catalog-bytes 8192");
    con.store("q", "post author=7");
    let stores = |con: &mut Client, number: usize| {
        let line = format!("CACHEOPS.STORE t:{number} v ON {number}{} a=1", "t".repeat(1000));
        con.text(&line).is_some()
    };

    let stored = (0..10).filter(|&number| stores(&mut con, number)).count();
    let long = long_fields(1);
    let (_, fifteen) = long.split_once('&').expect("sixteen");
    con.store("r", &format!("post author=8&{fifteen}"));

    assert!((2..6).contains(&stored), "{stored}");
    assert_eq!(con.info("cacheops_stores_refused_limit"), 10 - stored as i64);
    assert_eq!(con.info("cacheops_collapsed_conjunctions"), 1);
    assert!(con.info("cacheops_catalog_bytes") <= 8192);
    assert_eq!(con.invalidate("post author=8&other=1"), 1);
    assert_eq!(con.hits_of(&["q", "r"]), ["q"]);
}

#[test]
fn the_databases_share_the_bound_of_the_catalog() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-catalog-bytes 19000");
    con.store("q", &format!("post {}", long_fields(1)));
    let mut other = server.connect_to(1);
    let line = format!("CACHEOPS.STORE q v ON {} a=1", "t".repeat(1000));

    assert_eq!(other.text(&line), None);
    con.ok("FLUSHDB");
    assert!(other.text(&line).is_some());
}

#[test]
fn what_nothing_uses_in_one_database_makes_room_for_another() {
    let server = Server::start();
    let (mut con, mut other) = (server.connect(), server.connect_to(1));
    con.ok("CONFIG SET cacheops.max-catalog-bytes 19000");
    con.store("q", &format!("post {}", long_fields(1)));
    con.ok("DEL q");
    let line = format!("CACHEOPS.STORE q v ON {} a=1", "t".repeat(1000));

    eventually("there is room", || other.text(&line).is_some());
}

#[test]
fn a_large_command_keeps_no_memory_when_it_has_ended() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let token = con.int("CACHEOPS.TOKEN");
    let before = con.info("cacheops_index_bytes");
    con.ok("CONFIG SET cacheops.max-condition-bytes 8mb");
    let long = "v".repeat(3_000_000);

    con.int(&format!("CACHEOPS.CHECK {token} ON post author={long}"));
    con.int(&format!("CACHEOPS.INVALIDATE DRYRUN ON post author={long}"));
    con.ok(&format!("CACHEOPS.STORE q v ON post author={long}"));
    con.invalidate(&format!("post author={long}"));
    con.wait_until_reclaimed();

    let after = con.info("cacheops_index_bytes");
    assert!(after < before + 200_000, "{before} -> {after}");
}

#[test]
fn rows_of_too_many_bytes_drop_their_table_which_is_what_replicas_are_sent() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-condition-bytes 1024");
    con.store("q", "post author=7");
    con.store("p", "user id=1");
    con.store("r", "tag id=1");
    let token = con.int("CACHEOPS.TOKEN");
    let mut stream = Stream::attach(&server);
    let rows: Vec<String> = (100..300).map(|author| format!("author={author}")).collect();
    let rows = rows.join("|");

    let dry = con.int(&format!("CACHEOPS.INVALIDATE DRYRUN ON tag id=2 post {rows} user id=2"));
    let cut = con.invalidate(&format!("tag id=2 post {rows} user id=2"));

    assert_eq!((dry, cut), (1, 1));
    assert_eq!(con.hits_of(&["q", "p", "r"]), ["p", "r"]);
    assert_eq!(con.info("cacheops_over_invalidations"), 1);
    assert_eq!(con.int(&format!("CACHEOPS.CHECK {token} ON post author=7")), 0);
    let sent = stream.read(&mut con);
    assert!(
        sent.contains(&"CACHEOPS.INVALIDATE SHARD ON tag id=2 post * user id=2".to_owned()),
        "{sent:?}"
    );
}

#[test]
fn no_limit_of_a_replica_changes_what_an_invalidation_of_its_primary_does() {
    let primary = Server::start();
    let replica = Server::builder()
        .arg("cacheops.max-condition-bytes", "1024")
        .arg("cacheops.max-probes", "100")
        .arg("cacheops.partial-scan", "0")
        .replica_of(&primary)
        .start();
    replica.catch_up_with(&primary);
    let (mut con, mut copy) = (primary.connect(), replica.connect());
    con.store("one", "post author=7&draft=0");
    con.store("two", "post author=8&draft=0");
    con.store("three", "post author=150&draft=0");
    let rows: Vec<String> = (100..300).map(|author| format!("author={author}")).collect();

    con.invalidate(&format!("post {}|author=7", rows.join("|")));
    replica.catch_up_with(&primary);

    assert_eq!(con.hits_of(&["one", "two", "three"]), ["two"]);
    assert_eq!(copy.hits_of(&["one", "two", "three"]), ["two"]);
}

#[test]
fn rows_of_a_table_that_nothing_depends_on_are_counted_and_must_be_well_formed() {
    let server = Server::start();
    let mut con = server.connect();
    let rows: Vec<String> = (0..200).map(|id| format!("id={id}&author=7")).collect();
    let rows = rows.join("|");

    assert_eq!(con.invalidate(&format!("post {rows}")), 0);
    assert!(con.error(&format!("CACHEOPS.INVALIDATE ON post {rows}&id=7")).contains("only once"));

    assert_eq!(con.info("cacheops_rows_invalidated"), 200);
}
