//! How a lock ends, and to whom it passes on.

use support::{Server, eventually};

use super::{ASK, ASK_AND_WAIT, lock, nothing_is_left, token, value, waiter};

#[test]
fn only_the_owner_of_that_very_token_releases() {
    let server = Server::start();
    let (mut owner, mut other) = (server.connect(), server.connect());
    let token = lock(&mut owner, ASK);

    assert_eq!(other.int(&format!("CACHEOPS.RELEASE q {}", token + 1)), 0);
    assert_eq!(other.int(&format!("CACHEOPS.RELEASE p {token}")), 0);
    assert_eq!(other.text(ASK), None);

    // The token is the proof, whatever connection it comes through.
    assert_eq!(other.int(&format!("CACHEOPS.RELEASE q {token}")), 1);
    assert_eq!(owner.int(&format!("CACHEOPS.RELEASE q {token}")), 0);
    let next = lock(&mut other, ASK);
    assert!(next > token);
    assert_eq!(owner.int(&format!("CACHEOPS.RELEASE q {token}")), 0, "the old owner cannot");
}

#[test]
fn a_released_lock_passes_on_to_the_first_who_waits() {
    let server = Server::start();
    let mut owner = server.connect();
    let old = lock(&mut owner, ASK);
    let mut second = waiter(&server, &mut owner);
    let mut third = waiter(&server, &mut owner);

    owner.int(&format!("CACHEOPS.RELEASE q {old}"));

    let new = token(second.receive().expect("an answer"));
    assert!(new > old);
    assert_eq!(owner.info("cacheops_waiting"), 1);
    assert!(second.text(&format!("CACHEOPS.STORE q fresh TOKEN {new} ON post author=7")).is_some());
    assert_eq!(value(third.receive()), "fresh");
    assert_eq!(owner.info("cacheops_locks_passed_on"), 1);
}

#[test]
fn a_lock_passes_on_when_its_time_is_over() {
    let server = Server::start();
    let mut owner = server.connect();
    let mut other = server.connect();
    lock(&mut owner, "CACHEOPS.GET q LOCK 20");

    // On a slow machine the time may be over before it asks.
    token(other.ok(ASK_AND_WAIT));
    assert_eq!(owner.info("cacheops_locks_expired"), 1);
    assert_eq!(owner.text(ASK), None, "the new owner holds it");
}

#[test]
fn a_lock_that_nobody_waits_for_ends_in_time() {
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, "CACHEOPS.GET q LOCK 20");

    nothing_is_left(&mut con);

    lock(&mut con, ASK);
}

#[test]
fn a_lock_passes_on_when_its_owner_is_refused() {
    let server = Server::start();
    let mut owner = server.connect();
    let old = lock(&mut owner, ASK);
    let mut other = waiter(&server, &mut owner);
    owner.invalidate("post author=7");

    assert_eq!(owner.text(&format!("CACHEOPS.STORE q stale TOKEN {old} ON post author=7")), None);

    let new = token(other.receive().expect("an answer"));
    assert!(other.text(&format!("CACHEOPS.STORE q fresh TOKEN {new} ON post author=7")).is_some());
    assert_eq!(owner.text(ASK).as_deref(), Some("fresh"));
}

#[test]
fn a_lock_passes_on_when_its_owner_disconnects_or_is_killed() {
    let server = Server::start();
    let mut con = server.connect();
    let mut owner = server.connect();
    lock(&mut owner, ASK);
    let mut second = waiter(&server, &mut con);
    let mut third = waiter(&server, &mut con);

    drop(owner);
    token(second.receive().expect("an answer"));
    let id = second.int("CLIENT ID");
    con.ok(&format!("CLIENT KILL ID {id}"));

    token(third.receive().expect("an answer"));
}

#[test]
fn a_waiter_that_goes_away_is_passed_over() {
    let server = Server::start();
    let mut con = server.connect();
    let old = lock(&mut con, ASK);
    let mut killed = server.connect();
    let id = killed.int("CLIENT ID");
    killed.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);
    let gone = waiter(&server, &mut con);
    let mut last = waiter(&server, &mut con);

    con.ok(&format!("CLIENT KILL ID {id}"));
    drop(gone);
    eventually("two are gone", || con.info("cacheops_waiting") == 1);

    con.int(&format!("CACHEOPS.RELEASE q {old}"));
    token(last.receive().expect("an answer"));
}

#[test]
fn who_disconnects_while_it_holds_one_lock_and_waits_for_another_leaves_both() {
    let server = Server::start();
    let mut con = server.connect();
    lock(&mut con, ASK);
    let mut both = server.connect();
    lock(&mut both, "CACHEOPS.GET p LOCK 60000");
    both.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    drop(both);

    eventually("one lock is left", || con.info("cacheops_locks") == 1);
    assert_eq!(con.info("cacheops_waiting"), 0);
    lock(&mut con, "CACHEOPS.GET p LOCK 60000");
}

#[test]
fn who_waits_for_a_lock_of_its_own_connection_does_not_inherit_it_when_it_is_gone() {
    let server = Server::start();
    let (mut con, mut owner) = (server.connect(), server.connect());
    lock(&mut owner, ASK);
    owner.send(ASK_AND_WAIT);
    eventually("the client waits", || con.info("cacheops_waiting") == 1);

    drop(owner);

    nothing_is_left(&mut con);
}
