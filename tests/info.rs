//! `INFO cacheops`: every field, and counters that agree with what happened.

use support::Server;

const FIELDS: [&str; 33] = [
    "entries",
    "dead",
    "tables",
    "schemes",
    "conjunctions",
    "links",
    "index_bytes",
    "catalog_bytes",
    "lock_bytes",
    "value_bytes",
    "index_bytes_per_entry",
    "stores",
    "stores_refused_token",
    "stores_refused_limit",
    "hits",
    "misses",
    "misses_dead",
    "invalidations",
    "rows_invalidated",
    "links_cut",
    "over_invalidations",
    "schemes_dropped",
    "tables_dropped",
    "collapsed_conjunctions",
    "flushes",
    "discards",
    "panics",
    "reclaimed",
    "sweeps",
    "reap_slices",
    "reap_postponed",
    "slowest_invalidation_us",
    "version",
];

#[test]
fn the_section_has_every_field() {
    let server = Server::start();
    let mut con = server.connect();
    let section = con.text("INFO cacheops").expect("a section");

    assert!(section.contains("# cacheops"), "{section}");
    for field in FIELDS {
        assert!(
            section.contains(&format!("\ncacheops_{field}:")),
            "no cacheops_{field} in {section}"
        );
    }
    assert!(section.contains("\ncacheops_slowest_invalidation_table:"), "{section}");
}

#[test]
fn an_empty_module_counts_nothing() {
    let server = Server::start();
    let mut con = server.connect();

    for field in FIELDS
        .iter()
        .filter(|field| !["version", "index_bytes", "flushes", "discards"].contains(field))
    {
        assert_eq!(con.info(&format!("cacheops_{field}")), 0, "{field}");
    }
}

#[test]
fn gauges_follow_the_entries() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok(&format!("CACHEOPS.STORE q:1 {} ON post author=7|draft=0 user *", "v".repeat(1000)));
    con.store("q:2", "post author=7");

    assert_eq!(con.info("cacheops_entries"), 2);
    assert_eq!(con.info("cacheops_tables"), 2);
    assert_eq!(con.info("cacheops_schemes"), 3);
    assert_eq!(con.info("cacheops_conjunctions"), 3);
    assert_eq!(con.info("cacheops_links"), 4);
    assert_eq!(con.info("cacheops_stores"), 2);
    assert!(con.info("cacheops_value_bytes") >= 1000);
    assert!(con.info("cacheops_index_bytes") > 0);
    assert!(con.info("cacheops_index_bytes_per_entry") > 0);

    con.ok("DEL q:1 q:2");

    con.assert_index_is_empty();
}

#[test]
fn entries_of_all_databases_are_added_up() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    server.connect_to(5).store("q", "post author=7");

    assert_eq!(con.info("cacheops_entries"), 2);
}

#[test]
fn the_index_is_part_of_the_memory_that_the_server_knows_of() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let (memory, index) = (con.info("used_memory"), con.info("cacheops_index_bytes"));
    con.pipeline((0..20_000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author={n}&draft=0")));
    let (memory, index) =
        (con.info("used_memory") - memory, con.info("cacheops_index_bytes") - index);

    assert!(index > 20_000 * 30, "{index}");
    assert!(memory > index, "{memory} bytes of memory, {index} of index");
}

#[test]
fn memory_usage_of_an_entry_includes_its_value() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok(&format!("CACHEOPS.STORE q {} ON post author=7", "v".repeat(10_000)));

    assert!(con.int("MEMORY USAGE q") > 10_000);
}

#[test]
fn the_slowest_invalidation_names_its_table() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.invalidate("post author=7");

    assert_eq!(con.info_field("cacheops_slowest_invalidation_table").as_deref(), Some("post"));
}
