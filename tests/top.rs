//! `CACHEOPS.TOP`: what costs most.

use std::collections::BTreeMap;

use support::{Client, Server, Value, as_map, as_text};

#[test]
fn the_conjunction_with_the_most_dependents_comes_first() {
    let server = Server::start();
    let mut con = server.connect();
    store_three_sizes(&mut con);

    let top = rows(&mut con, "CACHEOPS.TOP BY fanout COUNT 2");

    assert_eq!(top.len(), 2);
    assert_eq!(text(&top[0], "table"), "post");
    assert_eq!(text(&top[0], "conjunction"), "author=3");
    assert_eq!(text(&top[0], "fanout"), "300");
    assert_eq!(text(&top[1], "fanout"), "200");
}

#[test]
fn fanout_and_ten_are_the_defaults() {
    let server = Server::start();
    let mut con = server.connect();
    // Small conjunctions need not be listed.
    for n in 0..30 * 16 {
        con.store(&format!("q:{n}"), &format!("post author={}", n % 30));
    }
    con.store("q", "post author=5");

    let top = rows(&mut con, "CACHEOPS.TOP");

    assert_eq!(top.len(), 10);
    assert_eq!(text(&top[0], "conjunction"), "author=5");
    assert_eq!(text(&top[0], "fanout"), "17");
}

#[test]
fn every_order_is_descending() {
    let server = Server::start();
    let mut con = server.connect();
    store_three_sizes(&mut con);
    for _ in 0..3 {
        con.invalidate("post author=9");
        con.store("q", "post author=9");
    }

    for (order, field) in
        [("fanout", "fanout"), ("MEMORY", "bytes"), ("Invalidations", "invalidations")]
    {
        let top = rows(&mut con, &format!("CACHEOPS.TOP COUNT 100 BY {order}"));
        let costs: Vec<i64> =
            top.iter().map(|row| text(row, field).parse().expect("a number")).collect();

        assert!(!costs.is_empty(), "{order}");
        assert!(costs.is_sorted_by(|one, next| one >= next), "{order}: {costs:?}");
    }
}

#[test]
fn an_empty_index_has_no_top() {
    let server = Server::start();

    assert!(server.connect().list("CACHEOPS.TOP").is_empty());
}

#[test]
fn what_died_is_no_longer_at_the_top() {
    let server = Server::start();
    let mut con = server.connect();
    store_three_sizes(&mut con);
    con.invalidate("post author=3");
    con.wait_until_reclaimed();

    assert_eq!(text(&rows(&mut con, "CACHEOPS.TOP COUNT 1")[0], "conjunction"), "author=2");
}

fn store_three_sizes(con: &mut Client) {
    for author in 1..=3 {
        con.pipeline(
            (0..author * 100)
                .map(|n| format!("CACHEOPS.STORE k:{author}:{n} v ON post author={author}")),
        );
    }
}

fn rows(con: &mut Client, line: &str) -> Vec<BTreeMap<String, Value>> {
    con.list(line).iter().map(as_map).collect()
}

fn text(row: &BTreeMap<String, Value>, field: &str) -> String {
    as_text(&row[field])
}
