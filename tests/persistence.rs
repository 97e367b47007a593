//! RDB and AOF: what a restart discards or keeps, and that the dead never come back.

use support::{Builder, Client, Server, eventually};

/// The two ways to write an append-only file: with a snapshot in front, or as commands alone.
const PREAMBLES: [&str; 2] = ["yes", "no"];

#[test]
fn entries_of_a_snapshot_are_misses_after_a_restart_by_default() {
    let mut server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("SET foreign value");
    con.ok("SAVE");

    server.restart();

    let mut con = server.connect();
    assert!(!con.hits("q"));
    assert_eq!(con.text("GET foreign").as_deref(), Some("value"));
    eventually("what was discarded leaves memory", || con.int("DBSIZE") == 1);
    con.wait_for_empty_index();
    con.store("q", "post author=7");
    assert!(con.hits("q"));
}

#[test]
fn entries_of_a_snapshot_are_hits_and_linked_if_they_are_kept() {
    let mut server = keeping().start();
    let mut con = server.connect();
    let version =
        con.int("CACHEOPS.STORE q:1 \"value of q:1\" PX 600000 ON post author=7|draft=0 user *");
    con.store("q:2", "post author=8&draft%26=");
    server.connect_to(3).store("q", "post author=7");
    let before = state(&mut con);
    con.ok("SAVE");

    server.restart();

    let mut con = server.connect();
    assert_eq!(state(&mut con), before);
    assert_eq!(con.hits_of(&["q:1", "q:2"]).len(), 2);
    assert!((1..=600_000).contains(&con.int("PTTL q:1")));
    assert_eq!(support::as_text(&con.map("CACHEOPS.EXPLAIN q:1")["version"]), version.to_string());
    // Links of the dead count until they are reclaimed.
    con.ok("CONFIG SET cacheops.reap-inline 2");
    assert_eq!(con.invalidate("post author=7&draft=1"), 1);
    assert_eq!(con.invalidate("post author=8&draft%26="), 1);
    assert!(con.hits_of(&["q:1", "q:2"]).is_empty());
    assert!(server.connect_to(3).hits("q"));
}

#[test]
fn tokens_from_before_a_restart_are_refused() {
    for policy in ["keep", "discard"] {
        let mut server = Server::builder().arg("cacheops.on-restart", policy).start();
        let mut con = server.connect();
        let token = con.store("q", "post author=7");
        con.ok("SAVE");

        server.restart();

        let mut con = server.connect();
        con.store("q", "post author=7");
        assert_eq!(
            con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=8")),
            None,
            "{policy}"
        );
    }
}

#[test]
fn entries_of_an_append_only_file_are_misses_after_a_restart_by_default() {
    for preamble in PREAMBLES {
        for rewrite in [false, true] {
            let mut server = appending(Server::builder(), preamble).start();
            let mut con = server.connect();
            con.store("q", "post author=7");
            con.ok("SET foreign value");
            if rewrite {
                rewrite_aof(&mut con);
            }

            server.restart();

            let mut con = server.connect();
            assert!(!con.hits("q"), "preamble {preamble}, rewritten {rewrite}");
            assert_eq!(con.text("GET foreign").as_deref(), Some("value"));
            con.wait_for_empty_index();
        }
    }
}

#[test]
fn entries_of_an_append_only_file_are_hits_and_linked_if_they_are_kept() {
    for preamble in PREAMBLES {
        for rewrite in [false, true] {
            let mut server = appending(keeping(), preamble).start();
            let mut con = server.connect();
            let version = con
                .int("CACHEOPS.STORE q:1 \"value of q:1\" PX 600000 ON post author=7|draft user *");
            con.store("q:2", "post author=8");
            con.store("q:3", "post author=9");
            con.ok("CONFIG SET cacheops.reap-inline 2");
            con.invalidate("post author=9&draft=1");
            let before = state(&mut con);
            if rewrite {
                rewrite_aof(&mut con);
            }

            server.restart();

            let mut con = server.connect();
            let place = format!("preamble {preamble}, rewritten {rewrite}");
            assert_eq!(con.hits_of(&["q:1", "q:2", "q:3"]), ["q:1", "q:2"], "{place}");
            assert_eq!(state(&mut con), before, "{place}");
            assert!((1..=600_000).contains(&con.int("PTTL q:1")), "{place}");
            assert_eq!(
                support::as_text(&con.map("CACHEOPS.EXPLAIN q:1")["version"]),
                version.to_string(),
                "{place}"
            );
            assert_eq!(con.invalidate("post author=7&draft=0"), 1, "{place}");
            assert_eq!(con.hits_of(&["q:1", "q:2"]), ["q:2"], "{place}");
        }
    }
}

#[test]
fn an_append_only_file_survives_a_killed_server() {
    let mut server = appending(keeping(), "yes").arg("appendfsync", "always").start();
    let mut con = server.connect();
    con.store("q:1", "post author=7");
    con.store("q:2", "post author=8");
    con.invalidate("post author=7");

    server.kill();
    server.relaunch();

    let mut con = server.connect();
    assert_eq!(con.hits_of(&["q:1", "q:2"]), ["q:2"]);
    assert_eq!(con.invalidate("post author=8"), 1);
}

#[test]
fn versions_go_on_growing_after_a_restart_that_keeps() {
    let mut server = keeping().start();
    let mut con = server.connect();
    let before = con.store("q", "post author=7");
    con.ok("SAVE");

    server.restart();

    let mut con = server.connect();
    assert!((1..1 << 53).contains(&con.store("p", "post author=7")));
    assert_ne!(con.store("q", "post author=7"), before);
}

#[test]
fn the_dead_are_not_saved_as_living() {
    for (save, appendonly) in [("SAVE", "no"), ("BGSAVE", "no"), ("BGREWRITEAOF", "yes")] {
        for preamble in PREAMBLES {
            let mut server = appending(keeping(), preamble).arg("appendonly", appendonly).start();
            let mut con = server.connect();
            con.pipeline((0..3000).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
            con.store("q", "post author=8");
            // The pause keeps the dead in memory, so that the save meets them.
            con.while_dead("post author=7", &["CLIENT PAUSE 600000 WRITE"]);
            assert!(con.info("cacheops_dead") > 0);
            con.ok(save);
            wait_for_children(&mut con);

            server.kill();
            server.relaunch();

            let mut con = server.connect();
            assert!(con.hits("q"), "{save} {preamble}");
            assert!(
                !con.hits("k:0") && !con.hits("k:2999"),
                "{save} {preamble}: a dead entry came back"
            );
            con.invalidate("post author=8");
            con.wait_for_empty_index();
            eventually("the dead leave memory", || con.int("DBSIZE") == 0);
        }
    }
}

#[test]
fn an_invalidation_during_a_rewrite_of_the_file_is_not_lost() {
    for preamble in PREAMBLES {
        let mut server = appending(keeping(), preamble).start();
        let mut con = server.connect();
        con.pipeline(
            (0..2000)
                .map(|n| format!("CACHEOPS.STORE k:{n} \"value of k:{n}\" ON post author={n}")),
        );
        con.ok("MULTI");
        con.ok("BGREWRITEAOF");
        con.ok("CACHEOPS.INVALIDATE ON post author=7");
        con.ok("EXEC");
        con.invalidate("post author=8");
        con.store("late", "post author=9");
        wait_for_children(&mut con);

        server.restart();

        let mut con = server.connect();
        assert_eq!(con.hits_of(&["k:6", "k:7", "k:8", "late"]), ["k:6", "late"], "{preamble}");
        assert_eq!(con.invalidate("post author=9"), 2, "{preamble}");
    }
}

#[test]
fn an_entry_that_expired_while_the_server_was_down_is_not_a_hit() {
    for preamble in PREAMBLES {
        let mut server = appending(keeping(), preamble).start();
        let mut con = server.connect();
        con.ok("CACHEOPS.STORE q v PX 300 ON post author=7");
        rewrite_aof(&mut con);
        server.kill();

        eventually("the time is over", {
            let end = std::time::Instant::now() + std::time::Duration::from_millis(350);
            move || std::time::Instant::now() > end
        });
        server.relaunch();

        let mut con = server.connect();
        assert_eq!(con.text("CACHEOPS.GET q"), None);
        eventually("q is deleted", || con.int("DBSIZE") == 0);
        con.assert_index_is_empty();
    }
}

#[test]
fn debug_reload_keeps_or_discards_and_never_leaves_an_entry_unlinked() {
    for (policy, hit) in [("keep", true), ("discard", false)] {
        for command in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
            let server = Server::builder()
                .arg("cacheops.on-restart", policy)
                .arg("appendonly", "yes")
                .start();
            let mut con = server.connect();
            con.pipeline(
                (0..200).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author={n}|draft=0")),
            );
            con.store("q", "post author=7");
            con.invalidate("post author=9");

            con.ok(command);

            assert_eq!(con.hits("q"), hit, "{command} {policy}");
            assert_eq!(con.invalidate("post author=7") > 0, hit, "{command} {policy}");
            assert!(!con.hits("q"), "{command} {policy}");
            assert_eq!(con.text("CACHEOPS.GET k:9"), None, "{command} {policy}");
            con.invalidate("post *");
            con.wait_for_empty_index();
            eventually("the dead leave memory", || con.int("DBSIZE") == 0);
        }
    }
}

#[test]
fn a_reload_without_flushing_first_replaces_the_entries() {
    let server = keeping().start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    con.ok("DEBUG RELOAD NOFLUSH MERGE");

    assert_eq!(con.info("cacheops_links"), 1);
    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn a_discarding_restart_leaves_nothing_in_the_append_only_file_to_come_back() {
    let mut server = appending(Server::builder(), "yes").start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    server.restart();
    let mut con = server.connect();
    assert!(!con.hits("q"));
    // By then the server has been able to propagate the discard.
    eventually("what was discarded leaves memory", || con.int("DBSIZE") == 0);

    server.set("cacheops.on-restart", "keep");
    server.restart();

    assert!(!server.connect().hits("q"), "a discarded entry came back");
}

#[test]
fn limits_of_clients_do_not_bind_what_a_file_brings() {
    for rewrite in [false, true] {
        let mut server = appending(keeping(), "no").start();
        let mut con = server.connect();
        con.store("long-key", "post a=1&b=2&c=3|d=4 user id=1");
        if rewrite {
            rewrite_aof(&mut con);
        }
        for (directive, limit) in
            [("value-bytes", "4"), ("key-bytes", "4"), ("terms", "1"), ("conjunctions", "1")]
        {
            server.set(&format!("cacheops.max-{directive}"), limit);
        }

        server.restart();

        let mut con = server.connect();
        assert!(con.hits("long-key"));
        assert_eq!(con.invalidate("user id=1"), 1);
        assert!(!con.hits("long-key"));
    }
}

#[test]
fn large_entries_survive_a_save() {
    let mut server = keeping().start();
    let mut con = server.connect();
    let conjunctions: Vec<String> =
        (0..1000).map(|n| format!("author={n}&draft={}", n % 7)).collect();
    con.ok(&format!(
        "CACHEOPS.STORE q {} ON post {}",
        "v".repeat(1_000_000),
        conjunctions.join("|")
    ));
    con.ok("SAVE");

    server.restart();

    let mut con = server.connect();
    assert_eq!(con.text("CACHEOPS.GET q").map(|value| value.len()), Some(1_000_000));
    assert_eq!(con.info("cacheops_links"), 1000);
    assert_eq!(con.invalidate("post author=999&draft=5"), 1);
    assert_eq!(con.text("CACHEOPS.GET q"), None);
}

fn keeping() -> Builder {
    Server::builder().arg("cacheops.on-restart", "keep")
}

fn appending(builder: Builder, preamble: &str) -> Builder {
    builder
        .arg("appendonly", "yes")
        .arg("aof-use-rdb-preamble", preamble)
        .arg("auto-aof-rewrite-percentage", "0")
}

fn rewrite_aof(con: &mut Client) {
    con.ok("BGREWRITEAOF");
    wait_for_children(con);
    assert_eq!(con.info_field("aof_last_bgrewrite_status").as_deref(), Some("ok"));
}

fn wait_for_children(con: &mut Client) {
    // First what is scheduled: it may begin between two questions.
    eventually("the child process is done", || {
        ["aof_rewrite_scheduled", "rdb_bgsave_in_progress", "aof_rewrite_in_progress"]
            .iter()
            .all(|f| con.info(f) == 0)
    });
}

fn state(con: &mut Client) -> Vec<i64> {
    ["entries", "conjunctions", "links", "value_bytes"]
        .iter()
        .map(|f| con.info(&format!("cacheops_{f}")))
        .collect()
}
