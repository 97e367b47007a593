//! `CACHEOPS.TABLES`: one row per table.

use std::collections::BTreeMap;

use support::{Client, Server, Value, as_map, as_text};

#[test]
fn each_table_tells_what_it_holds() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q:1", "post author=7|draft=0 user *");
    con.store("q:2", "post author=7");

    let tables = tables(&mut con);

    assert_eq!(tables.keys().collect::<Vec<_>>(), ["post", "user"]);
    assert_eq!(number(&tables["post"], "schemes"), 2);
    assert_eq!(number(&tables["post"], "entries"), 3);
    assert_eq!(number(&tables["post"], "conjunctions"), 2);
    assert_eq!(number(&tables["user"], "entries"), 1);
}

#[test]
fn invalidations_and_refused_fills_are_counted_per_table() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("q", "post author=7 user id=1");
    con.invalidate("post author=8");
    con.invalidate("post author=7");
    con.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7"));

    let tables = tables(&mut con);

    assert_eq!(number(&tables["post"], "invalidations"), 2);
    assert_eq!(number(&tables["post"], "refused"), 1);
    assert_eq!(number(&tables["user"], "invalidations"), 0);
    assert_eq!(number(&tables["user"], "refused"), 0);
}

#[test]
fn hits_are_counted_per_table() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.store("p", "user id=1");
    for _ in 0..3 {
        con.hits("q");
    }

    let tables = tables(&mut con);

    assert_eq!(number(&tables["post"], "hits"), 3);
    assert_eq!(number(&tables["user"], "hits"), 0);
}

#[test]
fn databases_have_tables_of_their_own() {
    let server = Server::start();
    server.connect_to(1).store("q", "post author=7");

    assert!(tables(&mut server.connect()).is_empty());
}

fn tables(con: &mut Client) -> BTreeMap<String, BTreeMap<String, Value>> {
    con.list("CACHEOPS.TABLES")
        .iter()
        .map(as_map)
        .map(|row| (as_text(&row["table"]), row))
        .collect()
}

fn number(row: &BTreeMap<String, Value>, field: &str) -> i64 {
    as_text(&row[field]).parse().expect("a number")
}
