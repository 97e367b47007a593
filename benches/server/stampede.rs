//! Many clients miss one key at the same moment: how often the database is asked, and when the last client has its value.
//!
//! Beside the module stands the lock of django-cacheops: `SET key LOCK NX`, and a list on which the others block with
//! `BRPOPLPUSH`, after which they read again. Its commands are sent as they are, without the script around the first, which
//! favours it a little. One thread drives all clients in both cases, and the query is a pause of known length.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::conditions::{arguments, key, three_shared, value};
use crate::django::Scripts;
use crate::report::{Spread, Table, microseconds, surroundings};
use crate::resp::{Connection, Reply};
use crate::server::Server;
use crate::{Options, Result};

const DEFAULT_CLIENTS: u64 = 1000;
const DEFAULT_ROUNDS: u64 = 11;
const VALUE_BYTES: usize = 200;
/// What the database takes.
const QUERY: Duration = Duration::from_millis(50);

/// One stampede: how many clients asked the database, and what it took.
struct Sample {
    queries: u64,
    /// From the first request until the last client waits or fetches.
    ask_us: f64,
    /// From the moment at which the query has its answer until the last client has the value.
    serve_us: f64,
}

type Stampede = fn(&mut [Connection], &Option<Scripts>, &str, u64) -> Result<Sample>;

pub fn run(options: &Options) -> Result<Value> {
    let clients = options.max.unwrap_or(DEFAULT_CLIENTS);
    let rounds = options.rounds.unwrap_or(DEFAULT_ROUNDS);
    let server = Server::start(!options.without_module)?;
    let mut con = server.connect()?;
    let surroundings = surroundings(&mut con)?;
    let scripts = match options.lua_max {
        Some(0) => None,
        _ => Some(Scripts::load(&mut con)?),
    };
    let mut cons = (0..clients).map(|_| server.connect()).collect::<Result<Vec<_>>>()?;

    let mut contestants: Vec<(&str, Stampede, Vec<Sample>)> = vec![];
    if server.has_module() {
        contestants.push(("GET .. LOCK .. WAIT", module, vec![]));
        contestants.push(("GET .. TOKEN, no lock", unlocked, vec![]));
    }
    if scripts.is_some() {
        contestants.push(("django-cacheops 7.2, lock=True", reference, vec![]));
    }
    let value = value(VALUE_BYTES);
    for round in 0..rounds {
        for (_, stampede, samples) in &mut contestants {
            samples.push(stampede(&mut cons, &scripts, &value, round)?);
            con.call(&["FLUSHALL"])?;
        }
    }

    let title = format!("{clients} clients miss one key, the query takes {} ms", QUERY.as_millis());
    let head = ["", "queries", "all have asked", "answer to last client", "worst of the rounds"];
    let mut table = Table::new(title, head);
    let mut results = vec![];
    for (title, _, samples) in &contestants {
        let of =
            |field: fn(&Sample) -> f64| Spread::of(&samples.iter().map(field).collect::<Vec<_>>());
        let (queries, ask, serve) = (
            of(|sample| sample.queries as f64),
            of(|sample| sample.ask_us),
            of(|sample| sample.serve_us),
        );
        table.row([
            (*title).into(),
            format!("{:.0}", queries.median),
            microseconds(ask.median),
            microseconds(serve.median),
            microseconds(serve.max),
        ]);
        results.push(json!({
            "title": title, "queries": queries.json(), "ask_us": ask.json(), "serve_us": serve.json(),
        }));
    }
    table.print();
    Ok(
        json!({ "surroundings": surroundings, "clients": clients, "rounds": rounds, "results": results }),
    )
}

fn module(cons: &mut [Connection], _: &Option<Scripts>, value: &str, round: u64) -> Result<Sample> {
    let key = key("sd:", round);
    let start = Instant::now();
    let (owner, others) = cons.split_first_mut().ok_or("no clients")?;
    // The first one has its token before the others come: which of them is first does not matter to them.
    let ask = ["CACHEOPS.GET", &key, "LOCK", "60000", "WAIT", "60000"];
    let token = owner.call(&ask)?.text();
    for con in others.iter_mut() {
        con.push(&ask);
        con.flush()?;
    }
    while owner.info_number("cacheops", "cacheops_waiting")? < others.len() as u64 {}
    let ask_us = micros(start);

    thread::sleep(QUERY);
    let start = Instant::now();
    store(owner, &key, value, &token)?;
    let mut queries = 1;
    for con in others {
        match con.receive()? {
            Reply::Bulk(_) => {}
            Reply::Integer(_) | Reply::Nil => queries += 1,
            other => return Err(other.text().into()),
        }
    }
    Ok(Sample { queries, ask_us, serve_us: micros(start) })
}

/// Everybody fetches: what a cache without a lock does.
fn unlocked(
    cons: &mut [Connection],
    _: &Option<Scripts>,
    value: &str,
    round: u64,
) -> Result<Sample> {
    let key = key("sd:", round);
    let start = Instant::now();
    for con in cons.iter_mut() {
        con.push(&["CACHEOPS.GET", &key, "TOKEN"]);
        con.flush()?;
    }
    let tokens =
        cons.iter_mut().map(|con| Ok(con.receive()?.text())).collect::<Result<Vec<_>>>()?;
    let ask_us = micros(start);

    thread::sleep(QUERY);
    let start = Instant::now();
    for (con, token) in cons.iter_mut().zip(&tokens) {
        push_store(con, &key, value, token);
        con.flush()?;
    }
    cons.iter_mut().try_for_each(|con| stored(con.receive()?))?;
    Ok(Sample { queries: tokens.len() as u64, ask_us, serve_us: micros(start) })
}

fn reference(
    cons: &mut [Connection],
    scripts: &Option<Scripts>,
    value: &str,
    round: u64,
) -> Result<Sample> {
    let scripts = scripts.as_ref().ok_or("no scripts")?;
    let key = key("sd:", round);
    let signal = format!("{key}:signal");
    let start = Instant::now();
    let to_all = |cons: &mut [Connection], command: &[&str]| -> Result<Vec<Reply>> {
        for con in cons.iter_mut() {
            con.push(command);
            con.flush()?;
        }
        cons.iter_mut().map(Connection::receive).collect()
    };
    to_all(cons, &["GET", &key])?;
    let locked = to_all(cons, &["SET", &key, "LOCK", "NX", "EX", "60"])?;
    let mut owner = None;
    for (number, (con, reply)) in cons.iter_mut().zip(locked).enumerate() {
        if reply == Reply::Nil {
            con.push(&["BRPOPLPUSH", &signal, &signal, "60"]);
            con.flush()?;
        } else {
            owner = Some(number);
        }
    }
    let owner = owner.ok_or("nobody has the lock")?;
    let waiting = cons.len() as u64 - 1;
    while cons[owner].info_number("clients", "blocked_clients")? < waiting {}
    let ask_us = micros(start);

    thread::sleep(QUERY);
    let start = Instant::now();
    scripts.push_store(&mut cons[owner], &key, value, &three_shared(0));
    cons[owner].push(&["LPUSH", &signal, "1"]);
    cons[owner].push(&["EXPIRE", &signal, "1"]);
    cons[owner].flush()?;
    for _ in 0..3 {
        if let Reply::Error(text) = cons[owner].receive()? {
            return Err(text.into());
        }
    }
    // Each reads again as soon as it is woken.
    for number in (0..cons.len()).filter(|&number| number != owner) {
        cons[number].receive()?;
        cons[number].push(&["GET", &key]);
        cons[number].flush()?;
    }
    for number in (0..cons.len()).filter(|&number| number != owner) {
        if cons[number].receive()? != Reply::Bulk(value.as_bytes().to_vec()) {
            return Err("woken, and there is no value".into());
        }
    }
    Ok(Sample { queries: 1, ask_us, serve_us: micros(start) })
}

fn push_store(con: &mut Connection, key: &str, value: &str, token: &str) {
    let on = arguments(&three_shared(0));
    let mut command =
        vec!["CACHEOPS.STORE", key, value, "PX", crate::conditions::PX, "TOKEN", token, "ON"];
    command.extend(on.iter().map(String::as_str));
    con.push(&command);
}

fn store(con: &mut Connection, key: &str, value: &str, token: &str) -> Result<()> {
    push_store(con, key, value, token);
    con.flush()?;
    stored(con.receive()?)
}

fn stored(reply: Reply) -> Result<()> {
    match reply {
        Reply::Integer(_) => Ok(()),
        other => Err(format!("not stored: {}", other.text()).into()),
    }
}

fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}
