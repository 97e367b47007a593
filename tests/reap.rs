//! `CACHEOPS.REAP`: reclaims dead entries now, and audits large conjunctions.

use support::{Client, Server, Value, eventually};

#[test]
fn dead_entries_are_reclaimed_at_once() {
    let server = Server::start();
    let mut con = server.connect();
    // Fewer than the steps after which a slice looks whether its time is over.
    store_in_one_conjunction(&mut con, 50);

    let answers = con.while_dead("post author=7", &["DBSIZE", "CACHEOPS.REAP", "DBSIZE"]);

    assert_eq!(answers[0], Value::Int(50));
    let [examined, freed] = pair(&answers[1]);
    assert_eq!(freed, 50);
    assert!(examined >= freed);
    assert_eq!(answers[2], Value::Int(0));
    con.assert_index_is_empty();
}

#[test]
fn a_chunk_bounds_one_call() {
    let server = Server::start();
    let mut con = server.connect();
    store_in_one_conjunction(&mut con, 100);

    let answers = con.while_dead("post author=7", &["CACHEOPS.REAP 30", "DBSIZE"]);

    let [_, freed] = pair(&answers[0]);
    assert!((1..=30).contains(&freed), "{freed}");
    assert_eq!(answers[1], Value::Int(100 - freed));
}

#[test]
fn what_lives_is_examined_and_stays() {
    let server = Server::start();
    let mut con = server.connect();
    store_in_one_conjunction(&mut con, 100);

    let mut examined = 0;
    for _ in 0..20 {
        let [seen, freed] = pair(&con.ok("CACHEOPS.REAP 50 10"));
        assert!(seen <= 50, "{seen}");
        assert_eq!(freed, 0);
        examined += seen;
    }

    assert!(examined >= 100, "{examined}");
    assert_eq!(con.int("DBSIZE"), 100);
    assert_eq!(con.info("cacheops_entries"), 100);
}

#[test]
fn conjunctions_below_the_size_are_not_audited() {
    let server = Server::start();
    let mut con = server.connect();
    store_in_one_conjunction(&mut con, 100);

    let [examined, freed] = pair(&con.ok("CACHEOPS.REAP 1000 101"));

    assert!(examined < 100, "{examined}");
    assert_eq!(freed, 0);
}

#[test]
fn an_empty_index_has_nothing_to_reap() {
    let server = Server::start();

    assert_eq!(pair(&server.connect().ok("CACHEOPS.REAP 1000 1000")), [0, 0]);
}

fn store_in_one_conjunction(con: &mut Client, count: usize) {
    con.pipeline((0..count).map(|n| format!("CACHEOPS.STORE k:{n} v ON post author=7")));
}

fn pair(answer: &Value) -> [i64; 2] {
    match answer {
        Value::Array(items) => match items[..] {
            [Value::Int(examined), Value::Int(freed)] => [examined, freed],
            _ => panic!("not two integers: {items:?}"),
        },
        other => panic!("not an array: {other:?}"),
    }
}

#[test]
fn large_values_are_freed_in_another_thread_and_some_megabytes_a_slice() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CACHEOPS.STORE small v ON post author=7");
    let large = "v".repeat(1_000_000);
    con.pipeline(
        (0..40).map(|number| format!("CACHEOPS.STORE q:{number} {large} ON post author=7")),
    );
    let slices = con.info("cacheops_reap_slices");
    let freed = con.info("lazyfreed_objects");

    con.invalidate("post author=7");
    con.wait_for_empty_index();

    assert_eq!(con.int("DBSIZE"), 0);
    eventually("the large ones are freed", || con.info("lazyfreed_objects") - freed == 40);
    assert_eq!(con.info("cacheops_value_bytes"), 0);
    assert!(con.info("cacheops_reap_slices") - slices >= 3);
}

#[test]
fn a_command_that_reclaims_large_values_ends_with_its_slice() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.reap-inline 1000");
    let large = "v".repeat(4_000_000);
    con.pipeline((0..10).map(|number| format!("CACHEOPS.STORE q:{number} {large} ON post *")));

    con.ok("MULTI");
    con.ok("CACHEOPS.INVALIDATE ON post *");
    con.ok("DBSIZE");
    let answers = con.list("EXEC");

    let left = answers.last().map(support::as_text).and_then(|left| left.parse().ok());
    assert!(left.is_some_and(|left: u32| (4..10).contains(&left)), "{answers:?}");
    con.wait_until_reclaimed();
    assert_eq!(con.int("DBSIZE"), 0);
}
