//! `GET .. LOCK .. WAIT` and `CACHEOPS.RELEASE`: of all who miss a key one fetches it, and the others wait for what it stores.

mod asking;
mod passing;
mod server;

use support::{Client, Reply, Server, Value, eventually};

const ASK: &str = "CACHEOPS.GET q LOCK 60000";
const ASK_AND_WAIT: &str = "CACHEOPS.GET q LOCK 60000 WAIT 60000";

/// The token of a lock that must be free.
#[track_caller]
fn lock(con: &mut Client, line: &str) -> i64 {
    match con.ok(line) {
        Value::Int(token) => token,
        other => panic!("{line}: not a token: {other:?}"),
    }
}

/// A client that waits for `q`.
#[track_caller]
fn waiter(server: &Server, watch: &mut Client) -> Client {
    let waiting = watch.info("cacheops_waiting");
    let mut con = server.connect();
    con.send(ASK_AND_WAIT);
    eventually("the client waits", || watch.info("cacheops_waiting") == waiting + 1);
    con
}

#[track_caller]
fn value(reply: Reply) -> String {
    support::as_text(&reply.expect("an answer"))
}

#[track_caller]
fn token(reply: Value) -> i64 {
    match reply {
        Value::Int(token) => token,
        other => panic!("not a token: {other:?}"),
    }
}

#[track_caller]
fn nothing_is_left(con: &mut Client) {
    for field in ["locks", "waiting"] {
        eventually(field, || con.info(&format!("cacheops_{field}")) == 0);
    }
}
