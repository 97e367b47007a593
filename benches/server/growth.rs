//! Time of a store while a database grows from a thousand entries to ten million, and the worst single one on the way.
//!
//! The worst is the server's own figure (`INFO latencystats`, percentile 100), so it has whatever stopped the server in
//! that command: the growth of its hash table, of the index, a page fault, another process. Plain SET shows what of it is
//! not ours. Slow ones are listed with the number of the entry: growth strikes at the same number again, noise does not.

use serde_json::{Value, json};

use crate::conditions::{Condition, number_of, one_unique, three_shared, value};
use crate::entries::{set, store};
use crate::report::{Table, grouped, microseconds, surroundings, three_digits};
use crate::resp::{Connection, Reply};
use crate::server::Server;
use crate::{Options, Result};

const DEFAULT_MAX: u64 = 10_000_000;

/// Small values, so that ten million entries fit.
const VALUE_BYTES: usize = 16;

/// What is slower than this is listed, in microseconds.
const SLOW_US: &str = "500";

/// The goal for the worst single STORE, in microseconds.
const GOAL_US: f64 = 1000.0;

struct Series {
    title: &'static str,
    stat: &'static str,
    fill: fn(&mut Connection, first: u64, count: u64) -> Result<()>,
}

const PLAIN: Series = Series {
    title: "SET PX",
    stat: "set",
    fill: |con, first, count| set(con, "gr:", first, count, &value(VALUE_BYTES)),
};

const OURS: [Series; 2] = [
    Series {
        title: "STORE, 3 shared conjunctions",
        stat: "cacheops.store",
        fill: |con, first, count| fill(con, first, count, three_shared),
    },
    Series {
        title: "STORE, 1 conjunction of its own",
        stat: "cacheops.store",
        fill: |con, first, count| fill(con, first, count, one_unique),
    },
];

fn fill(con: &mut Connection, first: u64, count: u64, on: fn(u64) -> Condition) -> Result<()> {
    store(con, "gr:", first, count, &value(VALUE_BYTES), on)
}

pub fn run(options: &Options) -> Result<Value> {
    let max = options.max.unwrap_or(DEFAULT_MAX);
    let with_module = !options.without_module;
    let series = std::iter::once(&PLAIN).chain(OURS.iter().filter(|_| with_module));
    let mut surrounding = Value::Null;
    let mut results = vec![];
    for series in series {
        for round in 1..=options.rounds.unwrap_or(1) {
            let server = Server::start(with_module)?;
            let mut con = server.connect()?;
            if surrounding.is_null() {
                surrounding = surroundings(&mut con)?;
            }
            results.push(grow(&mut con, series, round, max)?);
        }
    }
    Ok(json!({ "measurement": "growth", "surroundings": surrounding, "series": results }))
}

fn grow(con: &mut Connection, series: &Series, round: u64, max: u64) -> Result<Value> {
    con.call(&["CONFIG", "SET", "slowlog-log-slower-than", SLOW_US, "slowlog-max-len", "1000"])?;
    let head = ["entries", "us a call in this span", "worst single call", "used memory"];
    let mut table = Table::new(format!("{}, round {round}", series.title), head);
    let (mut spans, mut worst_of_all, mut stored) = (vec![], 0.0_f64, 0);
    for milestone in milestones(max) {
        con.call(&["CONFIG", "RESETSTAT"])?;
        let span = milestone - stored;
        let (usec, _) = con.time_in_server(series.stat, |con| (series.fill)(con, stored, span))?;
        stored = milestone;
        let worst = worst_call(con, series.stat)?;
        worst_of_all = worst_of_all.max(worst);
        let memory = con.info_number("memory", "used_memory")?;
        table.row([
            grouped(milestone),
            three_digits(usec),
            microseconds(worst),
            format!("{} MB", grouped(memory / 1_000_000)),
        ]);
        spans.push(json!({ "entries": milestone, "usec": usec, "worst_usec": worst, "used_memory": memory }));
    }
    table.print();
    let slow = slow_calls(con)?;
    let list: Vec<_> = slow
        .iter()
        .take(8)
        .map(|(usec, number)| {
            format!("{} at entry {}", microseconds(*usec as f64), grouped(*number))
        })
        .collect();
    let list = if list.is_empty() { "none".into() } else { list.join(", ") };
    let verdict = if worst_of_all <= GOAL_US { "met" } else { "missed" };
    println!(
        "\nWorst {} (goal 1 ms: {verdict}). Slower than {SLOW_US} us: {}: {list}.",
        microseconds(worst_of_all),
        slow.len()
    );
    let slow: Vec<_> =
        slow.iter().map(|(usec, number)| json!({ "usec": usec, "entry": number })).collect();
    Ok(
        json!({ "title": series.title, "round": round, "spans": spans, "worst_usec": worst_of_all, "slow": slow }),
    )
}

/// Powers of ten from a thousand, with the halves of the last two decades, up to `max`.
fn milestones(max: u64) -> Vec<u64> {
    let mut milestones: Vec<_> =
        (3..).map(|power| 10_u64.pow(power)).take_while(|&number| number < max).collect();
    milestones.extend(
        [max / 4, max / 2, max / 4 * 3, max].into_iter().filter(|&number| number > max / 10),
    );
    milestones
}

fn worst_call(con: &mut Connection, command: &str) -> Result<f64> {
    let info = con.info("latencystats")?.to_lowercase();
    let prefix = format!("latency_percentiles_usec_{command}:p100=");
    let worst = info.lines().find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok());
    worst.ok_or_else(|| format!("INFO latencystats has no {command}").into())
}

/// The slow log's calls of a store as (microseconds, number of the entry), the slowest first.
fn slow_calls(con: &mut Connection) -> Result<Vec<(i64, u64)>> {
    let log = con.call(&["SLOWLOG", "GET", "1000"])?;
    let call = |entry: &Reply| {
        let [_, _, usec, args, ..] = entry.array() else { return None };
        Some((usec.integer()?, number_of(&args.array().get(1)?.text())?))
    };
    let mut calls: Vec<_> = log.array().iter().filter_map(call).collect();
    calls.sort_unstable_by_key(|&(usec, _)| std::cmp::Reverse(usec));
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::key;

    #[test]
    fn the_number_of_an_entry_can_be_read_from_its_key() {
        assert_eq!(key("gr:", 7_340_032).len(), 35);
        assert_eq!(number_of(&key("gr:", 7_340_032)), Some(7_340_032));
    }
}
