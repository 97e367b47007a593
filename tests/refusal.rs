//! A server that refuses writes goes on serving reads, so it must go on invalidating.

use support::{Client, Server, eventually};

#[test]
fn after_a_failed_save_stores_are_refused_and_invalidations_are_not() {
    let server = Server::builder().arg("save", "3600 1000000").start();
    let mut con = server.connect();
    store_three(&mut con);
    // A snapshot cannot replace a directory.
    std::fs::create_dir_all(server.dir().join("dump.rdb").join("in the way")).expect("a directory");
    con.ok("BGSAVE");
    eventually("the save has failed", || {
        con.info_field("rdb_last_bgsave_status").as_deref() == Some("err")
    });

    assert!(con.error("CACHEOPS.STORE q v ON post author=7").starts_with("MISCONF"));
    check_invalidations(&mut con);
}

#[test]
fn without_enough_replicas_stores_are_refused_and_invalidations_are_not() {
    let server = Server::start();
    let mut con = server.connect();
    store_three(&mut con);
    con.ok("CONFIG SET min-replicas-to-write 1");

    assert!(con.error("CACHEOPS.STORE q v ON post author=7").starts_with("NOREPLICAS"));
    check_invalidations(&mut con);
}

fn store_three(con: &mut Client) {
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");
    con.store("q:3", "post author=9");
}

fn check_invalidations(con: &mut Client) {
    assert_eq!(con.hits_of(&["q:1", "q:2", "q:3"]).len(), 3);

    assert_eq!(con.invalidate("post author=7"), 1);
    assert_eq!(con.hits_of(&["q:1", "q:2", "q:3"]), ["q:2", "q:3"]);

    con.ok("MULTI");
    con.ok("CACHEOPS.INVALIDATE ON post author=8");
    con.ok("EXEC");
    assert_eq!(con.hits_of(&["q:1", "q:2", "q:3"]), ["q:3"]);

    con.int("CACHEOPS.FLUSH");
    assert!(con.hits_of(&["q:1", "q:2", "q:3"]).is_empty());
}
