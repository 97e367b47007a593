//! `CACHEOPS.REAP`: reclaims dead entries now, and audits large conjunctions.

use support::{Client, Server, Value};

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
