//! DUMP and RESTORE: born dead unless told otherwise, and no payload hurts.

use support::{Client, Dump, Random, Server, Value, eventually};

#[test]
fn a_restored_entry_is_born_dead() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let payload = dump(&mut con, "q");

    restore(&mut con, "p", &payload).expect("a valid payload");

    assert_eq!(con.text("CACHEOPS.GET p"), None);
    assert!(con.hits("q"));
    let _ = con.run("DEL p");
    assert_eq!(con.info("cacheops_entries"), 1);
}

#[test]
fn a_restored_entry_that_is_dead_leaves_memory_by_itself() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let payload = dump(&mut con, "q");
    con.ok("DEL q");

    restore(&mut con, "p", &payload).expect("a valid payload");

    eventually("p is reclaimed", || con.int("DBSIZE") == 0);
    con.assert_index_is_empty();
}

#[test]
fn a_restored_entry_is_a_linked_hit_if_told_so() {
    let server = Server::builder().arg("cacheops.on-restore", "keep").start();
    let mut con = server.connect();
    let before = con.store("p", "post author=7|draft=0 user *");
    let payload = dump(&mut con, "p");
    con.ok("DEL p");

    restore(&mut con, "p", &payload).expect("a valid payload");

    assert!(con.hits("p"));
    assert_eq!(con.info("cacheops_links"), 3);
    assert_eq!(support::as_text(&con.map("CACHEOPS.EXPLAIN p")["version"]), before.to_string());
    assert_eq!(con.invalidate("post author=1&draft=0"), 1);
    assert!(!con.hits("p"));
}

#[test]
fn a_dead_entry_is_not_restored_as_living() {
    let server = Server::builder().arg("cacheops.on-restore", "keep").start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let answers = con.while_dead("post author=7", &["DUMP q"]);
    let Value::BulkString(payload) = &answers[0] else { return };

    if restore(&mut con, "p", payload).is_ok() {
        assert_eq!(con.text("CACHEOPS.GET p"), None);
    }
}

#[test]
fn a_restore_on_a_primary_is_as_dead_on_its_replica() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut con = primary.connect();
    con.store("q", "post author=7");
    let payload = dump(&mut con, "q");
    restore(&mut con, "p", &payload).expect("a valid payload");
    replica.catch_up_with(&primary);

    let mut copy = replica.connect();
    assert!(copy.hits("q"));
    assert_eq!(copy.text("CACHEOPS.GET p"), None);
}

#[test]
fn an_entry_that_was_born_dead_stays_dead_when_the_append_only_file_is_replayed() {
    let mut server =
        Server::builder().arg("appendonly", "yes").arg("cacheops.on-restart", "keep").start();
    let mut con = server.connect();
    con.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    con.store("q", "post author=7");
    con.ok("SAVE");
    let payload = dump(&mut con, "q");
    con.invalidate("post author=7");
    con.ok("MULTI");
    let words = [b"RESTORE".as_slice(), b"p", b"0", &payload, b"REPLACE"];
    con.call(words).expect("queued");
    con.ok("CLIENT PAUSE 600000 WRITE");
    con.ok("EXEC");
    assert_eq!(con.text("CACHEOPS.GET p"), None);

    server.kill();
    server.relaunch();

    assert_eq!(server.connect().text("CACHEOPS.GET p"), None, "a stale entry came back");
}

#[test]
fn an_entry_that_migrated_is_born_dead() {
    let (from, to) = (Server::start(), Server::start());
    let mut con = from.connect();
    con.store("q", "post author=7");

    con.ok(&format!("MIGRATE 127.0.0.1 {} q 0 5000", to.port()));

    assert_eq!(to.connect().text("CACHEOPS.GET q"), None);
    con.assert_index_is_empty();
}

#[test]
fn every_changed_byte_is_an_error_or_harmless() {
    for policy in ["discard", "keep"] {
        let server = Server::builder().arg("cacheops.on-restore", policy).start();
        let mut con = server.connect();
        let original = small_dump(&mut con);
        for at in 0..original.value_len() {
            for change in [0x01, 0x02, 0x80, 0xff] {
                let mut changed = original.clone();
                changed.body[at] ^= change;
                try_payload(&mut con, &changed, policy);
            }
        }
        check_alive(&mut con);
    }
}

#[test]
fn every_shortened_or_lengthened_payload_is_an_error_or_harmless() {
    for policy in ["discard", "keep"] {
        let server = Server::builder().arg("cacheops.on-restore", policy).start();
        let mut con = server.connect();
        let original = small_dump(&mut con);
        for at in 0..original.value_len() {
            let mut without = original.clone();
            without.body.remove(at);
            try_payload(&mut con, &without, policy);

            let mut cut = original.clone();
            cut.body.drain(at..original.value_len());
            try_payload(&mut con, &cut, policy);

            for byte in [0x00, 0x40, 0x81, 0xff] {
                let mut with = original.clone();
                with.body.insert(at, byte);
                try_payload(&mut con, &with, policy);
            }
        }
        check_alive(&mut con);
    }
}

#[test]
fn payloads_of_random_damage_are_errors_or_harmless() {
    for policy in ["discard", "keep"] {
        let server = Server::builder().arg("cacheops.on-restore", policy).start();
        let mut con = server.connect();
        let original = small_dump(&mut con);
        let mut random = Random::from_seed(7);
        for _ in 0..3000 {
            let mut damaged = original.clone();
            // The first ten bytes name the type; without it another type's loader would be tested.
            for _ in 0..1 + random.below(6) {
                let at = 10 + random.below(damaged.value_len() - 10);
                match random.below(4) {
                    0 => damaged.body[at] = random.bits() as u8,
                    1 => damaged.body.insert(at, random.bits() as u8),
                    2 if damaged.value_len() > 20 => drop(damaged.body.remove(at)),
                    _ => {
                        // A length of 64 bits, as hostile as can be.
                        let size =
                            *random.pick(&[u64::MAX, 1 << 62, 1 << 40, 1 << 33, 100_000_000]);
                        damaged.body.insert(at, 0x81);
                        damaged.body.splice(at + 1..at + 1, size.to_be_bytes());
                    }
                }
            }
            try_payload(&mut con, &damaged, policy);
        }
        check_alive(&mut con);
    }
}

/// Restores a changed payload. An error is fine, and so is a value of somebody's making, so long as it is dead where
/// nothing is kept, and leaves the index with its key.
#[track_caller]
fn try_payload(con: &mut Client, payload: &Dump, policy: &str) {
    if restore(con, "hostile", &payload.signed()).is_ok() && policy == "discard" {
        if con.text("TYPE hostile").as_deref() == Some("cacheops1") {
            assert_eq!(con.text("CACHEOPS.GET hostile"), None);
        }
    } else {
        let _ = con.run("CACHEOPS.GET hostile");
        let _ = con.run("CACHEOPS.EXPLAIN hostile");
        let _ = con.run("DUMP hostile");
    }
}

#[track_caller]
fn check_alive(con: &mut Client) {
    con.store("q", "post author=7");
    assert_eq!(con.info("cacheops_panics"), 0);
    assert!(con.hits("q"));
    con.invalidate("post *");
    assert!(!con.hits("q"));
    con.ok("DEL q hostile");
    con.wait_for_empty_index();
}

fn small_dump(con: &mut Client) -> Dump {
    con.ok("CACHEOPS.STORE q value PX 1000000 ON post \"author=7&draft=0|id\" user * tag a=");
    let payload = dump(con, "q");
    con.ok("DEL q");
    Dump::from_payload(&payload)
}

fn dump(con: &mut Client, key: &str) -> Vec<u8> {
    match con.ok(&format!("DUMP {key}")) {
        Value::BulkString(payload) => payload,
        other => panic!("no payload: {other:?}"),
    }
}

fn restore(con: &mut Client, key: &str, payload: &[u8]) -> support::Reply {
    con.call([b"RESTORE".as_slice(), key.as_bytes(), b"0", payload, b"REPLACE"])
}
