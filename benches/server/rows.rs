//! Server time per call of each operation, beside its rival's in the same round on the same server.
//!
//! All contestants take turns, round after round, so that the machine's drift meets all of them; a ratio is the median of
//! the ratios of each round. Each works in a database that already holds its like, so that no hash table is tiny.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use serde_json::{Value, json};

use crate::bench::{Bench, Lua, lua_of, verdict};
use crate::conditions::{
    Condition, Fields, conjunction_text, eight_of_four, key, one_shared, one_unique, scatter,
    three_shared, value,
};
use crate::django::{self, Scripts};
use crate::entries::{
    await_reaper, delete, is_any, is_version, push_invalidate, push_store, set, store,
};
use crate::report::{Spread, Table, surroundings, three_digits};
use crate::resp::{Connection, DEPTH, Reply};
use crate::server::Server;
use crate::{Options, Result, mass};

/// Entries and plain keys that exist throughout. With those of one contestant they stay below 2^18, where the server's
/// hash table would double under whoever comes along.
const RESIDENT: u64 = 90_000;

/// Residents with eight conjunctions.
const RESIDENT_WIDE: u64 = 12_000;

/// Calls of one contestant in one round.
const CALLS: u64 = 20_000;

/// The same for the scripts, which take longer.
const LUA_CALLS: u64 = 4_000;

/// Bytes of a value.
const VALUE_BYTES: usize = 200;

const DEFAULT_ROUNDS: u64 = 11;
const DEFAULT_MAX: u64 = 1_000_000;
const DEFAULT_LUA_MAX: u64 = 100_000;

/// One operation, who it is compared with, and by which factor it may be slower.
struct Contestant {
    id: &'static str,
    title: &'static str,
    rivals: &'static [(&'static str, Option<f64>)],
    /// Runs `CALLS` calls of a round, numbered from the second argument; microseconds a call.
    run: fn(&mut Bench, u64) -> Result<f64>,
}

/// `SET` and friends: the rivals.
const PLAIN: &[Contestant] = &[
    Contestant {
        id: "set",
        title: "SET PX, new key",
        rivals: &[],
        run: |bench, first| {
            let value = &bench.value;
            let (usec, _) =
                bench.con.time_in_server("set", |con| set(con, "st:", first, CALLS, value))?;
            delete(&mut bench.con, "st:", first, CALLS)?;
            Ok(usec)
        },
    },
    Contestant {
        id: "overwrite",
        title: "SET PX, existing key",
        rivals: &[],
        run: |bench, first| {
            let value = &bench.value;
            let (usec, _) = bench
                .con
                .time_in_server("set", |con| set(con, "pl:", first % RESIDENT, CALLS, value))?;
            Ok(usec)
        },
    },
    Contestant {
        id: "get",
        title: "GET, hit",
        rivals: &[],
        run: |bench, first| read(bench, "get", "GET", "pl:", first),
    },
    Contestant {
        id: "del",
        title: "DEL, existing key",
        rivals: &[],
        run: |bench, first| {
            set(&mut bench.con, "dl:", first, CALLS, &bench.value)?;
            let (usec, _) =
                bench.con.time_in_server("del", |con| delete(con, "dl:", first, CALLS))?;
            Ok(usec)
        },
    },
    Contestant {
        id: "del-missing",
        title: "DEL, missing key",
        rivals: &[],
        run: |bench, first| {
            let (usec, _) =
                bench.con.time_in_server("del", |con| delete(con, "no:", first, CALLS))?;
            Ok(usec)
        },
    },
];

/// The module's commands.
const OURS: &[Contestant] = &[
    Contestant {
        id: "store-1",
        title: "STORE, 1 conjunction",
        rivals: &[("set", Some(1.5))],
        run: |bench, first| store_new(bench, first, |number| one_shared(number % RESIDENT)),
    },
    Contestant {
        id: "store-1-token",
        title: "STORE with TOKEN, 1 conjunction",
        rivals: &[("set", Some(1.5)), ("store-1", Some(1.1))],
        run: |bench, first| store_with_token(bench, first, |number| one_shared(number % RESIDENT)),
    },
    Contestant {
        id: "store-1-unique",
        title: "STORE, 1 conjunction of its own",
        rivals: &[("set", None)],
        run: |bench, first| store_new(bench, first, one_unique),
    },
    Contestant {
        id: "store-3",
        title: "STORE, 3 conjunctions, 2 tables",
        rivals: &[("set", Some(1.8))],
        run: |bench, first| store_new(bench, first, |number| three_shared(number % RESIDENT)),
    },
    Contestant {
        id: "store-3-token",
        title: "STORE with TOKEN, 3 conjunctions",
        rivals: &[("store-3", Some(1.1))],
        run: |bench, first| {
            store_with_token(bench, first, |number| three_shared(number % RESIDENT))
        },
    },
    Contestant {
        id: "store-8",
        title: "STORE, 8 conjunctions of 4 fields",
        rivals: &[("set", Some(3.0))],
        run: |bench, first| store_new(bench, first, eight_of_four),
    },
    Contestant {
        id: "store-3-over",
        title: "STORE, 3 conjunctions, existing key",
        rivals: &[("overwrite", Some(1.8))],
        run: |bench, first| {
            let value = &bench.value;
            let work = |con: &mut Connection| {
                store(con, "en:", first % RESIDENT, CALLS, value, three_shared)
            };
            Ok(bench.con.time_in_server("cacheops.store", work)?.0)
        },
    },
    Contestant {
        id: "cget",
        title: "GET, hit, 3 dependencies",
        rivals: &[("get", Some(1.2))],
        run: |bench, first| read(bench, "cacheops.get", "CACHEOPS.GET", "en:", first),
    },
    Contestant {
        id: "invalidate-1",
        title: "INVALIDATE, 1 scheme, 1 entry",
        rivals: &[("del", Some(2.0))],
        run: |bench, first| {
            let condition = |number| vec![("single", vec![vec![("author_id", number)]])];
            store(&mut bench.con, "si:", first, CALLS, &bench.value, condition)?;
            let usec = invalidate(bench, first, "single", |reply| reply.integer() == Some(1))?;
            await_reaper(&mut bench.con)?;
            Ok(usec)
        },
    },
    Contestant {
        id: "invalidate-20",
        title: "INVALIDATE, 20 schemes, no match",
        rivals: &[("del", Some(1.5)), ("del-missing", None)],
        run: |bench, first| invalidate(bench, first, "wide", |reply| reply.integer() == Some(0)),
    },
];

/// The scripts' commands; all times are those of `evalsha`, but for the insideout read.
const LUA: &[Contestant] = &[
    Contestant {
        id: "lua-store-1",
        title: "Lua store, 1 conjunction",
        rivals: &[("set", None)],
        run: |bench, first| {
            lua_store(bench, first, |number| one_shared(number % RESIDENT), Scripts::push_store)
        },
    },
    Contestant {
        id: "lua-store-3",
        title: "Lua store, 3 conjunctions, 2 tables",
        rivals: &[("set", None)],
        run: |bench, first| {
            lua_store(bench, first, |number| three_shared(number % RESIDENT), Scripts::push_store)
        },
    },
    Contestant {
        id: "lua-store-8",
        title: "Lua store, 8 conjunctions of 4 fields",
        rivals: &[("set", None)],
        run: |bench, first| lua_store(bench, first, eight_of_four, Scripts::push_store),
    },
    Contestant {
        id: "lua-in-store-1",
        title: "Lua insideout store, 1 conjunction",
        rivals: &[("set", None)],
        run: |bench, first| {
            lua_store(
                bench,
                first,
                |number| one_shared(number % RESIDENT),
                Scripts::push_store_insideout,
            )
        },
    },
    Contestant {
        id: "lua-in-store-3",
        title: "Lua insideout store, 3 conjunctions, 2 tables",
        rivals: &[("set", None)],
        run: |bench, first| {
            lua_store(
                bench,
                first,
                |number| three_shared(number % RESIDENT),
                Scripts::push_store_insideout,
            )
        },
    },
    Contestant {
        id: "lua-in-store-8",
        title: "Lua insideout store, 8 conjunctions of 4 fields",
        rivals: &[("set", None)],
        run: |bench, first| lua_store(bench, first, eight_of_four, Scripts::push_store_insideout),
    },
    Contestant {
        id: "lua-in-get",
        title: "Lua insideout hit: MGET of value and 3 stamps",
        rivals: &[("get", None)],
        run: lua_read_insideout,
    },
    Contestant {
        id: "lua-invalidate-1",
        title: "Lua invalidate, 1 scheme, 1 entry",
        rivals: &[("del", None)],
        run: |bench, first| {
            lua_invalidate_one(bench, first, Scripts::push_store, Scripts::push_invalidate)
        },
    },
    Contestant {
        id: "lua-in-invalidate-1",
        title: "Lua insideout invalidate, 1 scheme, 1 entry",
        rivals: &[("del", None)],
        run: |bench, first| {
            let (store, invalidate) =
                (Scripts::push_store_insideout, Scripts::push_invalidate_insideout);
            lua_invalidate_one(bench, first, store, invalidate)
        },
    },
    Contestant {
        id: "lua-invalidate-20",
        title: "Lua invalidate, 20 schemes, no match",
        rivals: &[("del", None)],
        run: |bench, first| lua_invalidate(bench, first, "wide", Scripts::push_invalidate),
    },
    Contestant {
        id: "lua-in-invalidate-20",
        title: "Lua insideout invalidate, 20 schemes, no match",
        rivals: &[("del", None)],
        run: |bench, first| {
            lua_invalidate(bench, first, "wide", Scripts::push_invalidate_insideout)
        },
    },
];

pub fn run(options: &Options) -> Result<Value> {
    let server = Server::start(!options.without_module)?;
    let mut con = server.connect()?;
    let surroundings = surroundings(&mut con)?;
    let lua_max = options.lua_max.unwrap_or(DEFAULT_LUA_MAX);
    let lua = if lua_max > 0 { Lua::load(&server) } else { None };
    let mut bench = Bench { con, lua, value: value(VALUE_BYTES) };
    populate(&mut bench, server.has_module())?;
    let depth = options.depth.unwrap_or(DEPTH);
    bench.set_depth(depth);

    let mut contestants: Vec<&Contestant> = PLAIN.iter().collect();
    contestants.extend(OURS.iter().filter(|_| server.has_module()));
    contestants.extend(LUA.iter().filter(|_| bench.lua.is_some()));
    if !options.only.is_empty() {
        let wanted = |id: &str| options.only.iter().any(|only| only == id);
        let rivals: Vec<_> = contestants
            .iter()
            .filter(|contestant| wanted(contestant.id))
            .flat_map(|contestant| contestant.rivals.iter().map(|(rival, _)| *rival))
            .collect();
        contestants.retain(|contestant| wanted(contestant.id) || rivals.contains(&contestant.id));
    }
    let times = take_turns(&mut bench, &contestants, options.rounds.unwrap_or(DEFAULT_ROUNDS))?;
    let rows = print_rows(&contestants, &times, depth);

    bench.set_depth(DEPTH);
    let max = options.max.unwrap_or(DEFAULT_MAX);
    let (max, lua_max) = if options.only.is_empty() { (max, lua_max) } else { (0, 0) };
    let mass = mass::invalidations(&mut bench, server.has_module(), max, lua_max)?;
    Ok(
        json!({ "measurement": "rows", "surroundings": surroundings, "depth": depth, "rows": rows, "mass": mass }),
    )
}

fn wide_row(number: u64) -> Fields {
    ["id", "author_id", "category_id", "status", "language", "parent_id"]
        .into_iter()
        .map(|field| (field, 1_000_000_000 + number))
        .collect()
}

/// Conjunctions of the 20 schemes of [`wide_row`], which no row of the benchmark satisfies.
fn wide_schemes() -> Condition {
    let fields = wide_row(0);
    let singles = (0..6).map(|field| vec![(fields[field].0, 1)]);
    let pairs = (0..6).flat_map(|first| (first + 1..6).map(move |second| (first, second)));
    let pairs = pairs.map(|(first, second)| vec![(fields[first].0, 1), (fields[second].0, 1)]);
    vec![("wide", singles.chain(pairs).take(20).collect())]
}

fn populate(bench: &mut Bench, with_module: bool) -> Result<()> {
    set(&mut bench.con, "pl:", 0, RESIDENT + CALLS, &bench.value)?;
    if with_module {
        let (con, value) = (&mut bench.con, &bench.value);
        store(con, "en:", 0, RESIDENT + CALLS, value, three_shared)?;
        store(con, "e8:", 0, RESIDENT_WIDE, value, eight_of_four)?;
        store(con, "e0:", 0, 1, value, |_| wide_schemes())?;
    }
    Ok(())
}

fn take_turns(
    bench: &mut Bench,
    contestants: &[&Contestant],
    rounds: u64,
) -> Result<BTreeMap<&'static str, Vec<f64>>> {
    let mut times: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    // Round 0 warms the processor and the allocator up, and does not count.
    for round in 0..=rounds {
        if stderr().is_terminal() {
            eprint!("\rround {round} of {rounds} ");
        }
        // Each round starts with another one: who is after whom matters to caches and allocators.
        let turns = contestants.iter().cycle().skip(round as usize).take(contestants.len());
        for contestant in turns {
            let usec = (contestant.run)(bench, RESIDENT + round * CALLS)
                .map_err(|error| format!("{}: {error}", contestant.title))?;
            if round > 0 {
                times.entry(contestant.id).or_default().push(usec);
            }
        }
    }
    if stderr().is_terminal() {
        eprint!("\r                    \r");
    }
    Ok(times)
}

fn print_rows(
    contestants: &[&Contestant],
    times: &BTreeMap<&'static str, Vec<f64>>,
    depth: u64,
) -> Vec<Value> {
    let head = ["operation", "us a call", "rival", "us a call", "ratio", "min - max", "goal", ""];
    let mut table = Table::new(
        format!(
            "Server time a call, and the median of the rounds' ratios; {depth} commands under way"
        ),
        head,
    );
    let mut rows = vec![];
    for contestant in contestants {
        let own = &times[contestant.id];
        let usec = Spread::of(own);
        if contestant.rivals.is_empty() {
            let dash = || "-".to_string();
            let time = three_digits(usec.median);
            table.row([
                contestant.title.into(),
                time,
                dash(),
                dash(),
                dash(),
                dash(),
                dash(),
                dash(),
            ]);
            rows.push(
                json!({ "id": contestant.id, "title": contestant.title, "usec": usec.json(), "samples": own }),
            );
        }
        for &(rival_id, goal) in contestant.rivals {
            let rival = &times[rival_id];
            let ratios: Vec<_> = own.iter().zip(rival).map(|(own, rival)| own / rival).collect();
            let (ratio, rival_usec) = (Spread::of(&ratios), Spread::of(rival));
            let title = contestants
                .iter()
                .find(|other| other.id == rival_id)
                .map_or("", |other| other.title);
            table.row([
                contestant.title.into(),
                three_digits(usec.median),
                title.into(),
                three_digits(rival_usec.median),
                three_digits(ratio.median),
                format!("{} - {}", three_digits(ratio.min), three_digits(ratio.max)),
                goal.map_or("-".into(), |goal| format!("<= {goal}")),
                verdict(ratio.median, goal),
            ]);
            rows.push(json!({
                "id": contestant.id, "title": contestant.title, "usec": usec.json(),
                "rival": rival_id, "rival_usec": rival_usec.json(), "ratio": ratio.json(), "goal": goal, "samples": own,
            }));
        }
    }
    table.print();
    rows
}

fn store_new(bench: &mut Bench, first: u64, condition: fn(u64) -> Condition) -> Result<f64> {
    let value = &bench.value;
    let work = |con: &mut Connection| store(con, "sn:", first, CALLS, value, condition);
    let (usec, _) = bench.con.time_in_server("cacheops.store", work)?;
    delete(&mut bench.con, "sn:", first, CALLS)?;
    Ok(usec)
}

/// The version of an earlier STORE is a token of that moment.
/// Guarded stores into tables that have changed since the token, so that each conjunction is looked at.
fn store_with_token(bench: &mut Bench, first: u64, on: fn(u64) -> Condition) -> Result<f64> {
    let (con, value) = (&mut bench.con, &bench.value);
    push_store(con, "token", value, &on(0));
    con.flush()?;
    let token = con.receive()?.text();
    let nobody = "id=0&author_id=999999999&category_id=999999999&post_id=999999999";
    con.call(&["CACHEOPS.INVALIDATE", "ON", "post", nobody, "comment", nobody])?;
    let command = |con: &mut Connection, number: u64| {
        let key = key("sn:", first + number);
        let on = crate::conditions::arguments(&on(first + number));
        let mut command =
            vec!["CACHEOPS.STORE", &key, value, "PX", crate::conditions::PX, "TOKEN", &token, "ON"];
        command.extend(on.iter().map(String::as_str));
        con.push(&command);
    };
    let work = |con: &mut Connection| con.pipeline(CALLS, command, is_version);
    let (usec, _) = con.time_in_server("cacheops.store", work)?;
    delete(con, "sn:", first, CALLS)?;
    Ok(usec)
}

fn read(bench: &mut Bench, stat: &str, name: &str, tag: &str, first: u64) -> Result<f64> {
    let expected = Reply::Bulk(bench.value.clone().into());
    let command = |con: &mut Connection, number: u64| {
        con.push(&[name, &key(tag, scatter(first + number) % RESIDENT)]);
    };
    let work = |con: &mut Connection| con.pipeline(CALLS, command, |reply| *reply == expected);
    Ok(bench.con.time_in_server(stat, work)?.0)
}

/// Invalidates rows of `table` whose six fields all have the row's number.
fn invalidate(
    bench: &mut Bench,
    first: u64,
    table: &str,
    expect: impl Fn(&Reply) -> bool,
) -> Result<f64> {
    let command = |con: &mut Connection, number: u64| {
        push_invalidate(con, table, &conjunction_text(&row_of(table, first + number)));
    };
    let work = |con: &mut Connection| con.pipeline(CALLS, command, expect);
    Ok(bench.con.time_in_server("cacheops.invalidate", work)?.0)
}

/// A row of four columns for the table with one scheme, of six for the one with twenty.
fn row_of(table: &str, number: u64) -> Fields {
    if table == "wide" {
        return wide_row(number);
    }
    vec![("id", number), ("author_id", number), ("category_id", 3), ("status", 1)]
}

type PushStore = fn(&Scripts, &mut Connection, &str, &str, &Condition);
type PushInvalidate = fn(&Scripts, &mut Connection, &str, &Fields);

/// Stores new keys whose conjunctions exist, as ours do; the database is emptied before.
fn lua_store(
    bench: &mut Bench,
    first: u64,
    on: fn(u64) -> Condition,
    push: PushStore,
) -> Result<f64> {
    let (con, scripts, value) = lua_of(bench)?;
    con.call(&["FLUSHDB"])?;
    let store = |con: &mut Connection, tag: &str| {
        let command = |con: &mut Connection, number: u64| {
            push(scripts, con, &key(tag, first + number), value, &on(first + number));
        };
        con.pipeline(LUA_CALLS, command, is_any)
    };
    store(con, "lr:")?;
    Ok(con.time_in_server("evalsha", |con| store(con, "ls:"))?.0)
}

fn lua_read_insideout(bench: &mut Bench, first: u64) -> Result<f64> {
    let (con, scripts, value) = lua_of(bench)?;
    con.call(&["FLUSHDB"])?;
    let store = |con: &mut Connection, number: u64| {
        let condition = three_shared(number);
        scripts.push_store_insideout(con, &key("lr:", number), value, &condition);
    };
    con.pipeline(CALLS, store, is_any)?;
    let read = |con: &mut Connection, number: u64| {
        let number = scatter(first + number) % CALLS;
        let mut args = vec!["MGET".to_string(), key("lr:", number)];
        args.extend(django::conj_keys(&three_shared(number)));
        con.push(&args);
    };
    let complete = |reply: &Reply| !reply.array().contains(&Reply::Nil);
    Ok(con.time_in_server("mget", |con| con.pipeline(CALLS, read, complete))?.0)
}

fn lua_invalidate_one(
    bench: &mut Bench,
    first: u64,
    store: PushStore,
    invalidate: PushInvalidate,
) -> Result<f64> {
    let (con, scripts, value) = lua_of(bench)?;
    con.call(&["FLUSHDB"])?;
    let command = |con: &mut Connection, number: u64| {
        let number = first + number;
        let condition = vec![("single", vec![vec![("author_id", number)]])];
        store(scripts, con, &key("li:", number), value, &condition);
    };
    con.pipeline(LUA_CALLS, command, is_any)?;
    lua_invalidate(bench, first, "single", invalidate)
}

fn lua_invalidate(bench: &mut Bench, first: u64, table: &str, push: PushInvalidate) -> Result<f64> {
    let (con, scripts, _) = lua_of(bench)?;
    if table == "wide" {
        con.call(&["FLUSHDB"])?;
        scripts.push_store(con, "wide", "", &wide_schemes());
        con.flush()?;
        con.receive()?;
    }
    let command = |con: &mut Connection, number: u64| {
        push(scripts, con, table, &row_of(table, first + number));
    };
    let work = |con: &mut Connection| con.pipeline(LUA_CALLS, command, is_any);
    Ok(con.time_in_server("evalsha", work)?.0)
}
