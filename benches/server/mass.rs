//! Single invalidations that concern very many entries, for the measurement `rows`.

use serde_json::{Value, json};

use crate::Result;
use crate::bench::{Bench, lua_of, verdict};
use crate::conditions::{Condition, key};
use crate::entries::{await_reaper, is_any, push_invalidate, store};
use crate::report::{Spread, Table, grouped, microseconds};
use crate::resp::{Connection, Reply};

/// Samples of one mass invalidation, each of which needs its entries stored anew.
const ROUNDS: u64 = 3;

/// Invalidations of one conjunction, and of a whole table, on which very many entries depend.
pub fn invalidations(
    bench: &mut Bench,
    with_module: bool,
    max: u64,
    lua_max: u64,
) -> Result<Vec<Value>> {
    let head = ["operation", "median", "min - max", "goal", ""];
    let mut table = Table::new("Server time of one mass invalidation", head);
    let mut results = vec![];
    let mut add = |title: String, samples: &[f64], goal: Option<f64>| {
        let usec = Spread::of(samples);
        table.row([
            title.clone(),
            microseconds(usec.median),
            format!("{} - {}", microseconds(usec.min), microseconds(usec.max)),
            goal.map_or("-".into(), |goal| format!("<= {}", microseconds(goal))),
            verdict(usec.median, goal),
        ]);
        results.push(json!({ "title": title, "usec": usec.json(), "goal": goal }));
    };
    let sizes = [100_000, 1_000_000];
    for fan_out in sizes.into_iter().filter(|&size| with_module && size <= max) {
        let one = |_| vec![("mass", vec![vec![("author_id", 7)]])];
        let row = "id=1&author_id=7&category_id=3&status=1";
        let samples = one_invalidation(bench, fan_out, one, row)?;
        add(format!("INVALIDATE, fan-out {}", grouped(fan_out)), &samples, Some(100.0));
    }
    for entries in sizes.into_iter().filter(|&size| with_module && size <= max) {
        let spread = |number| vec![("mass", vec![vec![("author_id", number % 10_000)]])];
        let samples = one_invalidation(bench, entries, spread, "*")?;
        add(
            format!("INVALIDATE, whole table, {} entries", grouped(entries)),
            &samples,
            Some(100.0),
        );
    }
    let with_lua = bench.lua.is_some();
    for size in sizes.into_iter().filter(|&size| with_lua && size <= lua_max) {
        let usec = lua_fan_out(bench, size)?;
        add(format!("Lua invalidate, fan-out {}", grouped(size)), &[usec], None);
        let usec = lua_whole_table(bench, size)?;
        let title = format!(
            "django-cacheops whole table (KEYS, SUNION, UNLINK), {} entries",
            grouped(size)
        );
        add(title, &[usec], None);
    }
    if !results.is_empty() {
        table.print();
    }
    Ok(results)
}

fn one_invalidation(
    bench: &mut Bench,
    entries: u64,
    condition: fn(u64) -> Condition,
    row: &str,
) -> Result<Vec<f64>> {
    let mut sample = || {
        store(&mut bench.con, "ma:", 0, entries, &bench.value, condition)?;
        let (usec, _) = bench.con.time_in_server("cacheops.invalidate", |con| {
            push_invalidate(con, "mass", row);
            con.flush()?;
            match con.receive()? {
                Reply::Integer(cut) if cut as u64 >= entries || row == "*" && cut > 0 => Ok(()),
                reply => {
                    Err(format!("{entries} entries, but INVALIDATE says {}", reply.text()).into())
                }
            }
        })?;
        await_reaper(&mut bench.con)?;
        Ok(usec)
    };
    (0..ROUNDS).map(|_| sample()).collect()
}

fn lua_fan_out(bench: &mut Bench, entries: u64) -> Result<f64> {
    let (con, scripts, value) = lua_of(bench)?;
    con.call(&["FLUSHDB"])?;
    let condition = vec![("mass", vec![vec![("author_id", 7)]])];
    let command = |con: &mut Connection, number: u64| {
        scripts.push_store(con, &key("ma:", number), value, &condition);
    };
    con.pipeline(entries, command, is_any)?;
    let (usec, _) = con.time_in_server("evalsha", |con| {
        scripts.push_invalidate(con, "mass", &vec![("id", 1), ("author_id", 7)]);
        con.flush()?;
        con.receive().map(drop)
    })?;
    Ok(usec)
}

/// What `invalidate_model` sends: KEYS, SUNION, UNLINK; their times in the server, summed.
fn lua_whole_table(bench: &mut Bench, entries: u64) -> Result<f64> {
    let (con, scripts, value) = lua_of(bench)?;
    con.call(&["FLUSHDB"])?;
    let command = |con: &mut Connection, number: u64| {
        let condition = vec![("mass", vec![vec![("author_id", number % 10_000)]])];
        scripts.push_store(con, &key("ma:", number), value, &condition);
    };
    con.pipeline(entries, command, is_any)?;
    let strings = |reply: Reply| reply.array().iter().map(Reply::text).collect::<Vec<_>>();
    let (mut conjs, mut keys) = (vec![], vec![]);
    let (listed, _) = con.time_in_server("keys", |con| {
        conjs = strings(con.call(&["KEYS", "conj:mass:*"])?);
        Ok(())
    })?;
    let (united, _) = con.time_in_server("sunion", |con| {
        let args: Vec<_> =
            ["SUNION".to_string()].into_iter().chain(conjs.iter().cloned()).collect();
        keys = strings(con.call(&args)?);
        Ok(())
    })?;
    let (unlinked, _) = con.time_in_server("unlink", |con| {
        let args: Vec<_> = ["UNLINK".to_string()].into_iter().chain(keys).chain(conjs).collect();
        con.call(&args).map(drop)
    })?;
    Ok(listed + united + unlinked)
}
