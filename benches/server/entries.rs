//! The commands that several measurements send.

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::conditions::{Condition, PX, arguments};
use crate::resp::{Connection, Reply};

/// Longest wait for the reaper.
const REAP_DEADLINE: Duration = Duration::from_secs(300);

/// How often the reaper is asked whether it is done.
const REAP_POLL: Duration = Duration::from_millis(2);

pub fn is_ok(reply: &Reply) -> bool {
    *reply == Reply::Status("OK".into())
}

pub fn is_version(reply: &Reply) -> bool {
    reply.integer().is_some_and(|version| version > 0)
}

pub fn is_any(_: &Reply) -> bool {
    true
}

pub fn push_set(con: &mut Connection, key: &str, value: &str) {
    con.push(&["SET", key, value, "PX", PX]);
}

pub fn push_store(con: &mut Connection, key: &str, value: &str, on: &Condition) {
    let on = arguments(on);
    let mut args = vec!["CACHEOPS.STORE", key, value, "PX", PX, "ON"];
    args.extend(on.iter().map(String::as_str));
    con.push(&args);
}

pub fn push_invalidate(con: &mut Connection, table: &str, row: &str) {
    con.push(&["CACHEOPS.INVALIDATE", "ON", table, row]);
}

/// Sets `count` keys, numbered from `first`.
pub fn set(con: &mut Connection, tag: &str, first: u64, count: u64, value: &str) -> Result<()> {
    let key = |number| crate::conditions::key(tag, first + number);
    con.pipeline(count, |con, number| push_set(con, &key(number), value), is_ok)
}

/// Stores `count` entries, numbered from `first`.
pub fn store(
    con: &mut Connection,
    tag: &str,
    first: u64,
    count: u64,
    value: &str,
    condition: impl Fn(u64) -> Condition,
) -> Result<()> {
    let command = |con: &mut Connection, number: u64| {
        let number = first + number;
        push_store(con, &crate::conditions::key(tag, number), value, &condition(number));
    };
    con.pipeline(count, command, is_version)
}

/// Deletes `count` keys of any type, numbered from `first`.
pub fn delete(con: &mut Connection, tag: &str, first: u64, count: u64) -> Result<()> {
    let key = |number| crate::conditions::key(tag, first + number);
    con.pipeline(count, |con, number| con.push(&["DEL", &key(number)]), is_any)
}

/// Waits until no dead entry is left, and returns how long that took.
pub fn await_reaper(con: &mut Connection) -> Result<Duration> {
    let start = Instant::now();
    while con.info_number("cacheops", "cacheops_dead")? > 0 {
        if start.elapsed() > REAP_DEADLINE {
            return Err("dead entries are left after five minutes".into());
        }
        thread::sleep(REAP_POLL);
    }
    Ok(start.elapsed())
}
