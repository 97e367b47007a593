//! Bytes of an entry beyond a plain key with the same value and time to live.
//!
//! `used_memory` of the server, before and after, over the number of entries; a fresh server for each, so that no
//! allocator remembers the one before. The scripts are compared with plain keys of their own number.

use serde_json::{Value, json};

use crate::conditions::{Condition, key, three_shared, three_shared_and, value};
use crate::django::Scripts;
use crate::entries::{is_any, set, store};
use crate::report::{Table, grouped, surroundings};
use crate::resp::Connection;
use crate::server::Server;
use crate::{Options, Result};

const DEFAULT_MAX: u64 = 1_000_000;
const DEFAULT_LUA_MAX: u64 = 100_000;
const VALUE_BYTES: usize = 200;

/// Goals in bytes: three shared conjunctions, and each conjunction that only one entry uses.
const GOAL_SHARED: f64 = 160.0;
const GOAL_UNIQUE: f64 = 110.0;

pub fn run(options: &Options) -> Result<Value> {
    let entries = options.max.unwrap_or(DEFAULT_MAX);
    let lua_entries = options.lua_max.unwrap_or(DEFAULT_LUA_MAX);
    let head = ["kept", "entries", "bytes each", "beyond plain", "index says", "goal", ""];
    let mut table = Table::new(format!("Memory, values of {VALUE_BYTES} bytes, keys of 35"), head);
    let mut results = vec![];
    let mut add = |title: &str,
                   entries: u64,
                   bytes: f64,
                   plain: f64,
                   index: Option<f64>,
                   goal: Option<f64>| {
        let beyond = bytes - plain;
        let verdict = |goal| if beyond <= goal { "met" } else { "missed" };
        table.row([
            title.into(),
            grouped(entries),
            format!("{bytes:.1}"),
            format!("{beyond:.1}"),
            index.map_or("-".into(), |bytes| format!("{bytes:.1}")),
            goal.map_or("-".into(), |goal| format!("<= {goal:.0}")),
            goal.map_or("", verdict).into(),
        ]);
        results.push(json!({
            "title": title, "entries": entries, "bytes": bytes, "beyond": beyond, "index_bytes": index, "goal": goal,
        }));
    };

    let value = value(VALUE_BYTES);
    let server = Server::start(!options.without_module)?;
    let mut con = server.connect()?;
    let surroundings = surroundings(&mut con)?;
    let plain = bytes_each(&mut con, entries, |con| set(con, "me:", 0, entries, &value))?;
    add("SET PX", entries, plain, plain, None, None);
    if server.has_module() {
        let titles =
            ["STORE, 3 shared", "and 1 of its own", "and 2 of its own", "and 3 of its own"];
        for (unique, title) in titles.into_iter().enumerate() {
            let server = Server::start(true)?;
            let mut con = server.connect()?;
            let condition = |number| three_shared_and(unique, number);
            let bytes = bytes_each(&mut con, entries, |con| {
                store(con, "me:", 0, entries, &value, condition)
            })?;
            let index =
                con.info_number("cacheops", "cacheops_index_bytes")? as f64 / entries as f64;
            let goal = GOAL_SHARED + unique as f64 * GOAL_UNIQUE;
            add(title, entries, bytes, plain, Some(index), Some(goal));
        }
    }
    if lua_entries > 0 {
        let server = Server::start(false)?;
        let mut con = server.connect()?;
        let plain =
            bytes_each(&mut con, lua_entries, |con| set(con, "me:", 0, lua_entries, &value))?;
        add("SET PX", lua_entries, plain, plain, None, None);
        type Push = fn(&Scripts, &mut Connection, &str, &str, &Condition);
        let kinds: [(&str, Push); 2] = [
            ("Lua store, 3 shared", Scripts::push_store),
            ("Lua insideout store, 3 shared", Scripts::push_store_insideout),
        ];
        for (title, push) in kinds {
            let server = Server::start(false)?;
            let mut con = server.connect()?;
            let scripts = match Scripts::load(&mut con) {
                Ok(scripts) => scripts,
                Err(error) => {
                    println!("the rows of the Lua scripts are left out: {error}");
                    break;
                }
            };
            let command = |con: &mut Connection, number: u64| {
                push(&scripts, con, &key("me:", number), &value, &three_shared(number));
            };
            let fill = |con: &mut Connection| con.pipeline(lua_entries, command, is_any);
            let bytes = bytes_each(&mut con, lua_entries, fill)?;
            add(title, lua_entries, bytes, plain, None, None);
        }
    }
    table.print();
    Ok(json!({ "measurement": "memory", "surroundings": surroundings, "rows": results }))
}

fn bytes_each(
    con: &mut Connection,
    entries: u64,
    fill: impl FnOnce(&mut Connection) -> Result<()>,
) -> Result<f64> {
    let before = con.info_number("memory", "used_memory")?;
    fill(con)?;
    let after = con.info_number("memory", "used_memory")?;
    Ok((after as f64 - before as f64) / entries as f64)
}
