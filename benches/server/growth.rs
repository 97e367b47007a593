//! Time of a store while a database grows from a thousand entries to ten million, and the worst single one on the way.
//!
//! The worst is the server's own figure (`INFO latencystats`, percentile 100), so it has whatever stopped the server in
//! that command: the growth of its hash tables, of the index, a page fault, another process. Growth strikes at the same
//! entry in each round and noise does not, so the slow calls that recur count; from these goes what plain SET has at the
//! same entry, because the server gives back a table of 64 MB in one go when its hash table has doubled.

use serde_json::{Value, json};

use crate::conditions::{Condition, number_of, one_unique, three_shared, value};
use crate::entries::{set, store};
use crate::report::{Table, grouped, microseconds, surroundings, three_digits};
use crate::resp::{Connection, Reply};
use crate::server::Server;
use crate::{Options, Result};

const DEFAULT_MAX: u64 = 10_000_000;
const DEFAULT_ROUNDS: u64 = 3;

/// Small values, so that ten million entries fit.
const VALUE_BYTES: usize = 16;

/// What is slower than this is listed, in microseconds.
const SLOW_US: &str = "500";

/// The goal for the worst single STORE beyond plain SET, in microseconds.
const GOAL_US: u64 = 1000;

/// A call that the slow log has.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slow {
    usec: u64,
    /// Number of the entry that was stored.
    entry: u64,
}

impl Slow {
    /// Whether both are at the same entry of two rounds, within a thousandth.
    fn recurs_as(&self, other: &Self) -> bool {
        self.entry.abs_diff(other.entry) <= other.entry / 1000
    }

    /// Whether both may be the end of the same doubling of the server's table, within a twentieth: the timer and each
    /// look-up help to empty the old one, so it is given back earlier where commands take longer.
    fn ends_the_doubling_of(&self, plain: &Self) -> bool {
        self.entry.abs_diff(plain.entry) <= plain.entry / 20
    }
}

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
    let mut plain = vec![];
    for series in series {
        let mut rounds = vec![];
        for round in 1..=options.rounds.unwrap_or(DEFAULT_ROUNDS) {
            let server = Server::start(with_module)?;
            let mut con = server.connect()?;
            if surrounding.is_null() {
                surrounding = surroundings(&mut con)?;
            }
            let (result, slow) = grow(&mut con, series, round, max)?;
            results.push(result);
            rounds.push(slow);
        }
        let recurring = recurring(&rounds);
        print!("\n{}: slow in each round: {}.", series.title, list(&recurring));
        if series.stat == PLAIN.stat {
            println!(" The server's own: the table of keys, and that of times to live.");
            plain = recurring;
        } else {
            let worst = worst_beyond(&recurring, &plain);
            let verdict = if worst <= GOAL_US { "met" } else { "missed" };
            println!(
                " The worst beyond {}: {} us (goal {GOAL_US}: {verdict}).",
                PLAIN.title,
                grouped(worst)
            );
        }
    }
    Ok(json!({ "measurement": "growth", "surroundings": surrounding, "series": results }))
}

fn grow(con: &mut Connection, series: &Series, round: u64, max: u64) -> Result<(Value, Vec<Slow>)> {
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
    println!(
        "\nWorst {}. Slower than {SLOW_US} us: {}: {}.",
        microseconds(worst_of_all),
        slow.len(),
        list(&slow)
    );
    let slow_json: Vec<_> =
        slow.iter().map(|slow| json!({ "usec": slow.usec, "entry": slow.entry })).collect();
    let result = json!({
        "title": series.title, "round": round, "spans": spans, "worst_usec": worst_of_all, "slow": slow_json,
    });
    Ok((result, slow))
}

/// The slow calls that every round has at about the same entry, with the least of their times.
fn recurring(rounds: &[Vec<Slow>]) -> Vec<Slow> {
    let Some((first, others)) = rounds.split_first() else { return vec![] };
    let in_all = |slow: &Slow| {
        others.iter().try_fold(*slow, |least, round| {
            let usec = round.iter().find(|other| other.recurs_as(slow))?.usec;
            Some(Slow { usec: least.usec.min(usec), ..least })
        })
    };
    first.iter().filter_map(in_all).collect()
}

/// The longest time of a call, less that of a plain call at about the same entry.
fn worst_beyond(slow: &[Slow], plain: &[Slow]) -> u64 {
    let beyond = |slow: &Slow| {
        let plain = plain.iter().filter(|plain| slow.ends_the_doubling_of(plain));
        slow.usec.saturating_sub(plain.map(|plain| plain.usec).max().unwrap_or(0))
    };
    slow.iter().map(beyond).max().unwrap_or(0)
}

fn list(slow: &[Slow]) -> String {
    let call = |slow: &Slow| {
        format!("{} at entry {}", microseconds(slow.usec as f64), grouped(slow.entry))
    };
    let calls: Vec<_> = slow.iter().take(12).map(call).collect();
    if calls.is_empty() { "none".into() } else { calls.join(", ") }
}

/// Powers of ten from a thousand, with the halves of the last two decades, up to `max`.
fn milestones(max: u64) -> Vec<u64> {
    let mut milestones: Vec<_> =
        (3..).map(|power| 10_u64.pow(power)).take_while(|&number| number < max).collect();
    milestones.extend(
        [max / 4, max / 2, max / 4 * 3, max].into_iter().filter(|&number| number > max / 10),
    );
    milestones.sort_unstable();
    milestones.dedup();
    milestones
}

fn worst_call(con: &mut Connection, command: &str) -> Result<f64> {
    let info = con.info("latencystats")?.to_lowercase();
    let prefix = format!("latency_percentiles_usec_{command}:p100=");
    let worst = info.lines().find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok());
    worst.ok_or_else(|| format!("INFO latencystats has no {command}").into())
}

/// The stores in the slow log, the slowest first.
fn slow_calls(con: &mut Connection) -> Result<Vec<Slow>> {
    let log = con.call(&["SLOWLOG", "GET", "1000"])?;
    let call = |entry: &Reply| {
        let [_, _, usec, args, ..] = entry.array() else { return None };
        let entry = number_of(&args.array().get(1)?.text())?;
        Some(Slow { usec: usec.integer()?.try_into().ok()?, entry })
    };
    let mut calls: Vec<_> = log.array().iter().filter_map(call).collect();
    calls.sort_unstable_by_key(|slow| std::cmp::Reverse(slow.usec));
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

    #[test]
    fn what_recurs_at_an_entry_where_plain_is_fast_is_ours() {
        let slow = |usec, entry| Slow { usec, entry };
        let ours = recurring(&[
            vec![slow(5000, 1_000_000), slow(900, 2_000_000), slow(4000, 7_000_000)],
            vec![slow(4500, 1_000_900), slow(950, 2_000_100)],
        ]);

        assert_eq!(ours, [slow(4500, 1_000_000), slow(900, 2_000_000)]);
        assert_eq!(worst_beyond(&ours, &[slow(4200, 1_030_000)]), 900);
    }
}
