//! The module is loaded into a server that runs, and stays there.

use support::{Server, module_path};

#[test]
fn it_is_loaded_into_a_running_primary() {
    let server = Server::builder().without_module().arg("enable-module-command", "yes").start();
    let mut con = server.connect();
    con.ok("SET foreign value");

    con.ok(&format!("MODULE LOAD {}", module_path().display()));

    con.store("q", "post author=7");
    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
    con.wait_for_empty_index();
    assert_eq!(con.int("DBSIZE"), 1);
}

#[test]
fn it_is_loaded_into_a_running_replica_that_stays_read_only() {
    let primary = Server::start();
    let replica = Server::builder()
        .without_module()
        .arg("enable-module-command", "yes")
        .replica_of(&primary)
        .start();
    replica.catch_up_with(&primary);
    let (mut con, mut copy) = (primary.connect(), replica.connect());

    copy.ok(&format!("MODULE LOAD {}", module_path().display()));

    assert!(copy.error("CACHEOPS.INVALIDATE ON post *").starts_with("READONLY"));
    con.store("q", "post author=7");
    con.store("p", "post author=8");
    con.invalidate("post author=7");
    con.wait_until_reclaimed();
    replica.catch_up_with(&primary);
    assert_eq!(copy.hits_of(&["q", "p"]), ["p"]);
    assert_eq!(copy.int("DBSIZE"), 1);
}

#[test]
fn arguments_of_loadmodule_are_refused_or_harmless() {
    let server = Server::builder().without_module().arg("enable-module-command", "yes").start();
    let mut con = server.connect();

    let _ = con.run(&format!("MODULE LOAD {} nonsense 1", module_path().display()));

    assert_eq!(con.text("PING").as_deref(), Some("PONG"));
}

#[test]
fn it_is_not_unloaded_from_under_its_entries() {
    let server = Server::builder().arg("enable-module-command", "yes").start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    con.error("MODULE UNLOAD cacheops");

    assert!(con.hits("q"));
}

#[test]
fn every_database_has_an_index_however_many_there_are() {
    let server = Server::builder().arg("databases", "300").start();
    let (mut first, mut last) = (server.connect(), server.connect_to(299));
    first.store("q", "post author=7");
    last.store("q", "post author=7");

    assert_eq!(last.invalidate("post author=7"), 1);

    assert!(first.hits("q") && !last.hits("q"));
    first.wait_until_reclaimed();
    assert_eq!(last.int("DBSIZE"), 0);
    first.ok("FLUSHALL");
    first.assert_index_is_empty();
}
