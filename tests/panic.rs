//! A panic anywhere in the module leaves the server alive and turns every entry into a miss.
//!
//! Needs a module with the feature `panic-injection`, named by `CACHEOPS_PANIC_MODULE` (`make test` builds one).

use std::io::Write;

use support::{Client, Server, Stream, eventually};

#[test]
fn a_panic_in_a_command_is_an_error_and_a_fresh_epoch() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    let token = con.store("q", "post author=7");

    con.ok("CACHEOPS.PANIC command");
    let error = con.error("CACHEOPS.INVALIDATE ON post author=1");

    assert!(error.starts_with("ERR "), "{error}");
    check_discarded(&mut con, token);
}

#[test]
fn counters_do_not_fall_when_the_indexes_are_replaced() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.invalidate("post author=7");

    con.ok("CACHEOPS.PANIC command");
    con.error("CACHEOPS.INVALIDATE ON post author=1");

    assert_eq!(con.info("cacheops_stores"), 1);
    assert_eq!(con.info("cacheops_links_cut"), 1);
}

#[test]
fn a_panic_inside_the_index_is_an_error_and_a_fresh_epoch() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    let token = con.store("q", "post author=7");

    con.ok("CACHEOPS.PANIC index");
    con.error("CACHEOPS.STORE p v ON post author=8");

    check_discarded(&mut con, token);
}

#[test]
fn a_second_borrow_of_the_state_is_refused_without_touching_the_first() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    let token = con.store("q", "post author=7");

    assert_eq!(con.int("CACHEOPS.PANIC nested"), 1);

    // When the first borrow has ended the indexes are replaced, as after any panic.
    assert_eq!(con.info("cacheops_panics"), 1);
    check_discarded(&mut con, token);
}

#[test]
fn another_thread_does_not_reach_the_state() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.int("CACHEOPS.PANIC thread"), 1);

    assert!(con.hits("q"), "nothing of the state was touched");
    assert_eq!(con.info("cacheops_panics"), 0);
}

#[test]
fn a_panic_while_a_waiting_client_is_answered_is_an_error_for_it() {
    let Some(server) = server_that_panics() else { return };
    let (mut con, mut waiter) = (server.connect(), server.connect());
    con.int("CACHEOPS.GET q LOCK 60000");
    waiter.send("CACHEOPS.GET q LOCK 60000 WAIT 60000");
    eventually("the client waits", || con.info("cacheops_waiting") == 1);
    con.ok("CACHEOPS.PANIC reply");

    let token = con.store("q", "post author=7");

    let error = waiter.receive().expect_err("an error");
    assert!(error.to_string().contains("internal error"), "{error}");
    check_discarded(&mut con, token);
}

#[test]
fn a_panic_in_the_timer_is_survived() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    let token = con.store("q", "post author=7");
    con.store("p", "post author=8");
    con.ok("CACHEOPS.PANIC timer");
    con.invalidate("post author=8");

    eventually("the timer has panicked", || con.info("cacheops_panics") > 0);

    check_discarded(&mut con, token);
}

#[test]
fn a_panic_while_a_key_is_unlinked_is_survived() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    let token = con.store("q", "post author=7");
    con.store("p", "post author=8");
    con.ok("CACHEOPS.PANIC unlink");
    assert_eq!(con.int("DEL p"), 1);

    check_discarded(&mut con, token);
}

#[test]
fn a_panic_while_an_entry_is_saved_is_survived_by_the_server() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("CACHEOPS.PANIC save");
    let _ = con.run("SAVE");
    assert!(con.info("cacheops_panics") > 0);

    assert_eq!(con.text("PING").as_deref(), Some("PONG"));
    con.store("p", "post author=8");
    con.invalidate("post author=8");
    assert!(!con.hits("p"));
}

#[test]
fn a_panic_does_not_forget_who_waits() {
    let Some(server) = server_that_panics() else { return };
    let (mut con, mut other) = (server.connect(), server.connect());
    let old = con.int("CACHEOPS.GET q LOCK 60000");
    other.send("CACHEOPS.GET q LOCK 60000 WAIT 60000");
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    con.ok("CACHEOPS.PANIC lock");
    assert!(con.error("CACHEOPS.GET p LOCK 60000").starts_with("ERR "));

    assert_eq!(con.text(&format!("CACHEOPS.STORE q v TOKEN {old} ON post author=7")), None);
    assert!(matches!(other.receive(), Ok(support::Value::Int(_))), "the lock has passed on");
}

#[test]
fn the_discard_after_a_panic_reaches_the_replicas() {
    let Some(server) = server_that_panics() else { return };
    let mut con = server.connect();
    con.store("q", "post author=7");
    let mut stream = Stream::attach(&server);
    con.ok("CACHEOPS.PANIC command");
    con.error("CACHEOPS.INVALIDATE ON post author=1");

    let mut seen = Vec::new();
    eventually("a flush is propagated", || {
        seen.extend(stream.read(&mut con));
        seen.iter().any(|line| line.starts_with("CACHEOPS.FLUSH"))
    });
}

#[track_caller]
fn check_discarded(con: &mut Client, token: i64) {
    assert!(con.info("cacheops_panics") > 0);
    assert!(!con.hits("q"));
    con.store("known", "post author=1");
    assert_eq!(con.text(&format!("CACHEOPS.STORE p v TOKEN {token} ON post author=8")), None);
    assert!(con.hits("known"));
    con.invalidate("post author=1");
    assert!(!con.hits("known"));
    con.wait_for_empty_index();
    eventually("what was discarded leaves memory", || con.int("DBSIZE") == 0);
}

fn server_that_panics() -> Option<Server> {
    match std::env::var_os("CACHEOPS_PANIC_MODULE") {
        Some(path) => Some(Server::builder().module(path).start()),
        None => {
            // Past the capture of the test runner, so that it is seen.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: CACHEOPS_PANIC_MODULE names no module with panic-injection"
            );
            None
        }
    }
}
