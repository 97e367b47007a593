//! Active defragmentation moves entries and packs the index. Only some servers are built with it: Redis 8.2 of the tests is.

use support::{Client, Server, eventually};

const ENTRIES: usize = 20_000;

#[test]
fn active_defragmentation_gives_the_memory_of_deleted_entries_back_and_changes_no_answer() {
    // Few tombstones: their memory comes with the invalidations.
    let server = Server::builder().arg("cacheops.tombstones", "1024").start();
    let mut con = server.connect();
    if con.run("CONFIG SET activedefrag yes").is_err() {
        return;
    }
    con.ok("CONFIG SET activedefrag no");
    con.pipeline((0..ENTRIES).map(|n| format!("CACHEOPS.STORE k:{n} value ON {}", conditions(n))));
    con.pipeline((0..ENTRIES).filter(|n| n % 8 != 0).map(|n| format!("DEL k:{n}")));
    let left: Vec<usize> = (0..ENTRIES).step_by(8).collect();
    let (doomed, lucky) = left.split_at(left.len() / 2);
    let before = con.info("cacheops_index_bytes");

    for setting in [
        "active-defrag-ignore-bytes 1",
        "active-defrag-threshold-lower 0",
        "active-defrag-threshold-upper 1",
        "active-defrag-cycle-min 50",
        "active-defrag-cycle-max 75",
        "activedefrag yes",
    ] {
        con.ok(&format!("CONFIG SET {setting}"));
    }
    // Meanwhile entries die, and new ones are given the numbers and places of the index that become free.
    for n in doomed {
        kill(&mut con, *n);
        con.ok(&format!("CACHEOPS.STORE new:{n} value ON {}", conditions(ENTRIES + n)));
    }
    eventually("the index has become smaller", || con.info("cacheops_index_bytes") < before / 2);

    for n in doomed {
        assert!(!is_hit(&mut con, &format!("k:{n}")), "{n}");
        assert!(is_hit(&mut con, &format!("new:{n}")), "{n}");
    }
    for n in lucky {
        assert!(is_hit(&mut con, &format!("k:{n}")), "{n}");
        kill(&mut con, *n);
        assert!(!is_hit(&mut con, &format!("k:{n}")), "{n}");
    }
    con.wait_until_reclaimed();
    assert_eq!(con.int("DBSIZE"), doomed.len() as i64);
    assert_eq!(con.info("cacheops_entries"), doomed.len() as i64);
    con.ok("FLUSHALL");
    con.wait_for_empty_index();
}

/// Some entries depend on one conjunction, some on several, and some share one with others.
fn conditions(n: usize) -> String {
    match n / 8 % 4 {
        0 => format!("post id={n}"),
        1 => format!("post id={n} user few={}", n / 64),
        2 => format!("post id={n}|draft={n} user few={} tag many={}", n / 64, n % 3),
        _ => format!("post id={n} user many={} tag a={n}|b={n}", n % 3),
    }
}

fn kill(con: &mut Client, n: usize) {
    assert_eq!(con.invalidate(&format!("post id={n}&draft=0")), 1, "k:{n}");
}

fn is_hit(con: &mut Client, key: &str) -> bool {
    con.text(&format!("CACHEOPS.GET {key}")).is_some_and(|value| value == "value")
}
