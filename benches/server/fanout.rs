//! One invalidation against the number of entries that depend on it, and what another client notices meanwhile.
//!
//! The other client sends PING after PING from a thread of its own. Its worst answer counts from the moment of the
//! invalidation until no dead entry is left; beside it stands the worst of an idle spell of the same length, in which the
//! main thread asks for INFO just as often: what the machine and the measurement themselves cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::conditions::{key, value};
use crate::django::Scripts;
use crate::entries::{await_reaper, is_any, push_invalidate, store};
use crate::report::{Spread, Table, grouped, microseconds, surroundings};
use crate::resp::{Connection, Reply};
use crate::server::Server;
use crate::{Options, Result};

const DEFAULT_MAX: u64 = 1_000_000;
const DEFAULT_LUA_MAX: u64 = 100_000;
const DEFAULT_ROUNDS: u64 = 5;
const VALUE_BYTES: usize = 200;

/// Shortest spell in which pings count: a single invalidation is over before the second ping.
const SHORTEST_SPELL: Duration = Duration::from_millis(200);

/// Goals at the largest fan-out, in microseconds: of the command, and of another client's worst PING.
const GOAL_COMMAND_US: f64 = 100.0;
const GOAL_PING_US: f64 = 2000.0;

/// One invalidation: times in microseconds, but for the reaper's.
struct Sample {
    command: f64,
    worst_ping: f64,
    worst_idle_ping: f64,
    reclaimed_ms: f64,
}

pub fn run(options: &Options) -> Result<Value> {
    let server = Server::start(!options.without_module)?;
    let mut con = server.connect()?;
    let surroundings = surroundings(&mut con)?;
    let rounds = options.rounds.unwrap_or(DEFAULT_ROUNDS);
    let mut results = vec![];
    if server.has_module() {
        let max = options.max.unwrap_or(DEFAULT_MAX);
        let mut sample = |fan_out| ours(&server, &mut con, fan_out);
        results.push(series("CACHEOPS.INVALIDATE", "module", max, rounds, &mut sample)?);
    }
    let lua_max = options.lua_max.unwrap_or(DEFAULT_LUA_MAX);
    if lua_max > 0 {
        // The scripts get a server without the module.
        let server = Server::start(false)?;
        let mut con = server.connect()?;
        match Scripts::load(&mut con) {
            Ok(scripts) => {
                let mut sample = |fan_out| lua(&server, &mut con, &scripts, fan_out);
                results.push(series("Lua invalidate", "lua", lua_max, rounds, &mut sample)?);
            }
            Err(error) => println!("the rows of the Lua scripts are left out: {error}"),
        }
    }
    Ok(json!({ "measurement": "fanout", "surroundings": surroundings, "series": results }))
}

fn series(
    title: &str,
    id: &str,
    max: u64,
    rounds: u64,
    sample: &mut dyn FnMut(u64) -> Result<Sample>,
) -> Result<Value> {
    let head = [
        "fan-out",
        "time in the server",
        "max",
        "worst PING",
        "max",
        "worst idle PING",
        "reclaimed after",
    ];
    let mut table = Table::new(format!("{title}: medians of {rounds} rounds"), head);
    let mut points = vec![];
    let mut verdict = String::new();
    for fan_out in (0..).map(|power| 10_u64.pow(power)).take_while(|&fan_out| fan_out <= max) {
        let samples = (0..rounds).map(|_| sample(fan_out)).collect::<Result<Vec<_>>>()?;
        let spread =
            |of: fn(&Sample) -> f64| Spread::of(&samples.iter().map(of).collect::<Vec<_>>());
        let command = spread(|sample| sample.command);
        let ping = spread(|sample| sample.worst_ping);
        let idle = spread(|sample| sample.worst_idle_ping);
        let reclaimed = spread(|sample| sample.reclaimed_ms);
        table.row([
            grouped(fan_out),
            microseconds(command.median),
            microseconds(command.max),
            microseconds(ping.median),
            microseconds(ping.max),
            microseconds(idle.median),
            microseconds(reclaimed.median * 1e3),
        ]);
        let met = |good| if good { "met" } else { "missed" };
        verdict = format!(
            "At {}: command <= 0.1 ms {}, worst PING <= 2 ms {}.",
            grouped(fan_out),
            met(command.median <= GOAL_COMMAND_US),
            met(ping.median <= GOAL_PING_US)
        );
        points.push(json!({
            "fan_out": fan_out, "command_usec": command.json(), "worst_ping_usec": ping.json(),
            "worst_idle_ping_usec": idle.json(), "reclaimed_ms": reclaimed.json(),
        }));
    }
    table.print();
    if id == "module" {
        println!("\n{verdict}");
    }
    Ok(json!({ "id": id, "title": title, "points": points }))
}

fn ours(server: &Server, con: &mut Connection, fan_out: u64) -> Result<Sample> {
    let condition = |_| vec![("post", vec![vec![("author_id", 7)]])];
    store(con, "fo:", 0, fan_out, &value(VALUE_BYTES), condition)?;
    measure(server, con, "cacheops.invalidate", true, |con| {
        push_invalidate(con, "post", "id=1&author_id=7&category_id=3&status=1");
        con.flush()?;
        match con.receive()? {
            Reply::Integer(cut) if cut as u64 == fan_out => Ok(()),
            reply => Err(format!("fan-out {fan_out}, but INVALIDATE says {}", reply.text()).into()),
        }
    })
}

fn lua(server: &Server, con: &mut Connection, scripts: &Scripts, fan_out: u64) -> Result<Sample> {
    let (value, condition) = (value(VALUE_BYTES), vec![("post", vec![vec![("author_id", 7)]])]);
    let command = |con: &mut Connection, number: u64| {
        scripts.push_store(con, &key("fo:", number), &value, &condition);
    };
    con.pipeline(fan_out, command, is_any)?;
    measure(server, con, "evalsha", false, |con| {
        let row = vec![("id", 1), ("author_id", 7), ("category_id", 3), ("status", 1)];
        scripts.push_invalidate(con, "post", &row);
        con.flush()?;
        match con.receive()? {
            Reply::Error(text) => Err(text.into()),
            _ => Ok(()),
        }
    })
}

fn measure(
    server: &Server,
    con: &mut Connection,
    stat: &str,
    reaps: bool,
    invalidate: impl FnOnce(&mut Connection) -> Result<()>,
) -> Result<Sample> {
    let pings = Pings::start(server)?;
    let start = Instant::now();
    let (command, _) = con.time_in_server(stat, invalidate)?;
    if reaps {
        await_reaper(con)?;
    }
    let spell = start.elapsed();
    poll_until(con, start + SHORTEST_SPELL, reaps)?;
    let worst_ping = pings.worst_since(start)?;

    let pings = Pings::start(server)?;
    let idle_start = Instant::now();
    poll_until(con, idle_start + spell.max(SHORTEST_SPELL), reaps)?;
    let worst_idle_ping = pings.worst_since(idle_start)?;
    Ok(Sample { command, worst_ping, worst_idle_ping, reclaimed_ms: spell.as_secs_f64() * 1e3 })
}

/// Asks for INFO as often as the wait for the reaper does.
fn poll_until(con: &mut Connection, end: Instant, reaps: bool) -> Result<()> {
    while Instant::now() < end {
        if reaps {
            await_reaper(con)?;
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Pings of another client, from a thread of its own.
struct Pings {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<(Instant, Duration)>>>,
}

impl Pings {
    /// Returns once the first hundred are answered.
    fn start(server: &Server) -> Result<Self> {
        let mut con = server.connect()?;
        (0..100).try_for_each(|_| con.call(&["PING"]).map(drop))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut times = Vec::with_capacity(1 << 16);
            while !stopped.load(Ordering::Relaxed) {
                let sent = Instant::now();
                con.call(&["PING"])?;
                times.push((sent, sent.elapsed()));
            }
            Ok(times)
        });
        Ok(Self { stop, thread })
    }

    /// Stops, and returns the longest wait of those pings that were under way at `start` or sent later, in microseconds.
    fn worst_since(self, start: Instant) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let times = self.thread.join().map_err(|_| "the thread of pings panicked")??;
        let counted = times.iter().filter(|(sent, wait)| *sent + *wait >= start);
        let worst = counted.map(|(_, wait)| *wait).max().ok_or("no ping was answered")?;
        Ok(worst.as_secs_f64() * 1e6)
    }
}
