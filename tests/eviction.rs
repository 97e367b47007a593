//! Eviction under every policy: what is evicted leaves the index, what stays is linked.

use support::{Client, Server, eventually};

const ENTRIES: usize = 6000;

#[test]
fn the_index_shrinks_with_the_keys_under_every_policy() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let server = Server::builder()
            .arg("maxmemory-policy", policy)
            .arg("cacheops.tombstones", "1024")
            .start();
        let mut con = server.connect();
        con.store("first", "post author=0");
        let limit = con.info("used_memory") + 1_500_000;
        con.ok(&format!("CONFIG SET maxmemory {limit}"));

        store_many(&mut con);

        assert!(con.info("evicted_keys") > 0, "{policy}");
        // Otherwise any command may evict.
        con.ok("CONFIG SET maxmemory 0");
        let keys = con.int("DBSIZE");
        assert!(keys < ENTRIES as i64, "{policy}");
        assert_eq!(con.info("cacheops_entries"), keys, "{policy}");
        let living: Vec<String> = (0..ENTRIES)
            .map(|n| format!("k:{n}"))
            .filter(|key| con.int(&format!("EXISTS {key}")) == 1)
            .collect();
        assert!(living.iter().all(|key| con.hits(key)), "{policy}: a key that exists is not a hit");
        // Every survivor is linked three times, and "first" once if it survived.
        let links = 3 * living.len() as i64 + (keys - living.len() as i64);
        assert_eq!(con.info("cacheops_links"), links, "{policy}");

        con.invalidate("user *");

        con.wait_until_reclaimed();
        assert_eq!(con.int("DBSIZE"), keys - living.len() as i64, "{policy}");
        con.ok("DEL first");
        con.assert_index_is_empty();
    }
}

#[test]
fn without_eviction_a_full_server_refuses_stores_and_goes_on_invalidating() {
    let server = Server::builder().arg("cacheops.tombstones", "1024").start();
    let mut con = server.connect();
    con.store("first", "post author=0");
    let limit = con.info("used_memory") + 1_000_000;
    con.ok(&format!("CONFIG SET maxmemory {limit}"));

    let mut stored = 0;
    while con.run(&line(stored)).is_ok() {
        stored += 1;
        assert!(stored < 100_000, "the limit is never reached");
    }
    assert!(stored > 100);
    assert!(con.error(&line(stored)).starts_with("OOM "));

    con.invalidate("user *");
    eventually("there is room again", || con.run(&line(0)).is_ok());
    assert!(con.hits("first") && con.hits("k:0"));
}

#[test]
fn eviction_of_dead_entries_is_no_accident() {
    let server = Server::builder()
        .arg("maxmemory-policy", "allkeys-random")
        .arg("cacheops.tombstones", "1024")
        .start();
    let mut con = server.connect();
    con.store("first", "post author=0");
    let limit = con.info("used_memory") + 1_500_000;
    con.ok(&format!("CONFIG SET maxmemory {limit}"));
    for round in 0..5 {
        store_many(&mut con);
        con.invalidate("user *");
        con.pipeline((0..200).map(|n| format!("CACHEOPS.STORE r:{n} {round} ON post author={n}")));
    }

    con.ok("CONFIG SET maxmemory 0");
    con.wait_until_reclaimed();

    assert_eq!(con.info("cacheops_entries"), con.int("DBSIZE"));
    con.invalidate("post *");
    con.wait_for_empty_index();
    assert_eq!(con.int("DBSIZE"), 0);
}

fn store_many(con: &mut Client) {
    con.pipeline((0..ENTRIES).map(line));
}

fn line(n: usize) -> String {
    format!(
        "CACHEOPS.STORE k:{n} \"value of k:{n}\" PX 600000 ON post author={n}|draft={} user *",
        n % 2
    )
}
