//! Conditions without parentheses: a row that satisfies one, as the database reads it, must match what the analyser made
//! of it as a read's condition and as a write's. So each operator binds here as it does there.
//!
//! On SQLite, PostgreSQL and, with `CACHEOPS_MARIADB=1`, MariaDB. `CACHEOPS_FUZZ_SECONDS` makes it longer,
//! `CACHEOPS_FUZZ_SEED` repeats a run.
#![allow(missing_docs)]

#[path = "../live/mod.rs"]
mod live;
#[path = "../differential/matcher.rs"]
mod matcher;

use std::time::{Duration, Instant};

use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table, Value};
use live::Live;
use matcher::{matches, parse};
use rusqlite::Connection;
use support::{Random, number};

/// So many conditions of which something is known are tried at least.
const LEAST: u64 = 100;

const COLUMNS: &[&str] = &["a", "b", "c"];

fn pick<'a>(r: &mut Random, all: &[&'a str]) -> &'a str {
    all[r.below(all.len())]
}

fn operand(r: &mut Random, d: Dialect) -> String {
    match r.below(14) {
        0..=4 => pick(r, COLUMNS).into(),
        5..=8 => pick(r, &["0", "1", "2"]).into(),
        9 => pick(r, &["NULL", "TRUE", "FALSE"]).into(),
        10 => format!("({})", flat(r, d, 1)),
        11 => format!("({}, {})", pick(r, COLUMNS), pick(r, COLUMNS)),
        12 => match d {
            Dialect::Postgres => pick(
                r,
                &[
                    "a::int",
                    "CAST(1 AS int)",
                    "1::int",
                    "-1",
                    "+ 1",
                    "@ -1",
                    "~ 1",
                    "f",
                    "f",
                    "ARRAY[1,2]",
                    "'1'",
                    "a::bool",
                    "1::bool",
                    "s",
                    "'1' || '0'",
                ],
            ),
            Dialect::MySql => pick(
                r,
                &[
                    "!a",
                    "~a",
                    "-1",
                    "- a",
                    "BINARY 1",
                    "'1'",
                    "a IS NULL",
                    "NOT a",
                    "1e0",
                    "s",
                    "CAST(a AS SIGNED)",
                    "x'31'",
                    "b'1'",
                    "INTERVAL(a, 1, 2)",
                    "! 1",
                    "_utf8'1'",
                    "N'1'",
                    "'' '1'",
                    "(SELECT 1)",
                    "\"1\"",
                    "DATE '2024-01-01'",
                    "_latin1 '1'",
                ],
            ),
            _ => pick(
                r,
                &[
                    "~a",
                    "-1",
                    "- a",
                    "'1'",
                    "\"1\"",
                    "`a`",
                    "[a]",
                    "CAST('1' AS INTEGER)",
                    "CAST(a AS INTEGER)",
                    "x'31'",
                    "NOT a",
                    "1.0",
                    "0x1",
                    "(SELECT 1)",
                    "s",
                    "1_0",
                    "a ISNULL",
                    "\"a\"",
                    "'a'",
                    "[1]",
                    "1e0",
                    "\"b\"",
                ],
            ),
        }
        .into(),
        _ => match r.below(4) {
            0 => format!(
                "CASE {} WHEN {} THEN {} ELSE {} END",
                operand(r, d),
                operand(r, d),
                operand(r, d),
                operand(r, d)
            ),
            1 => format!("CASE WHEN {} THEN {} END", flat(r, d, 1), flat(r, d, 1)),
            2 => format!("coalesce({}, {})", flat(r, d, 1), operand(r, d)),
            _ => format!("nullif({}, {})", operand(r, d), operand(r, d)),
        },
    }
}

fn flat(r: &mut Random, d: Dialect, depth: usize) -> String {
    let mut text = String::new();
    let parts = 1 + r.below(if depth == 0 { 5 } else { 2 });
    for at in 0..parts {
        if at > 0 {
            text += pick(r, &[" AND ", " AND ", " OR ", " OR ", " AND NOT ", " OR NOT "]);
            if d == Dialect::MySql && r.once_in(12) {
                text += "a && ";
            }
        } else if r.once_in(5) {
            text += "NOT ";
        }
        if r.once_in(3) {
            text += &format!("{} = {}", pick(r, COLUMNS), pick(r, &["0", "1", "2"]));
            continue;
        }
        text += &operand(r, d);
        for _ in 0..1 + r.below(2) {
            text += " ";
            let common: &[&str] = &[
                "=", "=", "=", "=", "<>", "<", "IS", "IS NOT", "+", "-", "*", "|", "&", "<<", "IN",
                "BETWEEN", "LIKE", "ISNULLS", "%",
            ];
            let own: &[&str] = match d {
                Dialect::Postgres => &[
                    "IS NOT DISTINCT FROM",
                    "IS DISTINCT FROM",
                    "ISNULL",
                    "NOTNULL",
                    "IS UNKNOWN",
                    "!=",
                    "^",
                    "#",
                    "||",
                    "= ANY",
                    "= ALL",
                    "<> ALL",
                    "<> ANY",
                    "SIMILAR TO",
                    "~",
                    "OPERATOR(pg_catalog.=)",
                    "ISBOOL",
                    "NOT BETWEEN",
                    "BETWEEN SYMMETRIC",
                    "COLLATE",
                    "::int",
                    "::bool",
                    "NOT IN",
                    "AT TIME ZONE",
                    "= SOME",
                ],
                Dialect::MySql => &[
                    "<=>",
                    "DIV",
                    "MOD",
                    "^",
                    "!=",
                    "RLIKE",
                    "REGEXP",
                    "&&",
                    "SOUNDS LIKE",
                    "NOT BETWEEN",
                    "NOT IN",
                    "ISBOOL",
                    "NOT LIKE",
                    "IS UNKNOWN",
                    "COLLATE",
                    "XOR",
                    "||",
                    "= ANY",
                    "<> ALL",
                    "NOT REGEXP",
                    ":=",
                    "MEMBER OF",
                    "LIKE x ESCAPE",
                ],
                _ => &[
                    "==",
                    "!=",
                    "ISNULL",
                    "NOTNULL",
                    "NOT NULL",
                    "GLOB",
                    "||",
                    "COLLATE NOCASE",
                    "IS DISTINCT FROM",
                    "IS NOT DISTINCT FROM",
                    "NOT BETWEEN",
                    "NOT IN",
                    "ISBOOL",
                    "NOT LIKE",
                    "->",
                    "->>",
                    "NOT GLOB",
                    "COLLATE BINARY =",
                    "<=",
                    ">>",
                    "LIKE x ESCAPE",
                    "IN t2",
                ],
            };
            let op = if r.once_in(2) { pick(r, common) } else { pick(r, own) };
            text += &match op {
                "IS" | "IS NOT" if d != Dialect::Sqlite => {
                    format!("{op} {}", pick(r, &["NULL", "TRUE", "FALSE"]))
                }
                "ISNULLS" => "IS NULL".into(),
                "ISBOOL" => format!(
                    "IS {}{}",
                    pick(r, &["", "NOT "]),
                    pick(r, &["TRUE", "FALSE", "NULL", "UNKNOWN"])
                ),
                "IN" | "NOT IN" => match r.below(3) {
                    0 => format!("{op} ({}, {})", operand(r, d), operand(r, d)),
                    1 => format!("{op} ({})", flat(r, d, 1)),
                    _ => {
                        format!("{op} ({}, {})", pick(r, &["0", "1"]), pick(r, &["1", "2", "NULL"]))
                    }
                },
                "BETWEEN" | "NOT BETWEEN" | "BETWEEN SYMMETRIC" => {
                    format!("{op} {} AND {}", operand(r, d), operand(r, d))
                }
                "ISNULL" | "NOTNULL" | "NOT NULL" | "IS UNKNOWN" | "::int" | "::bool"
                | "COLLATE NOCASE" | "IN t2" => op.into(),
                "COLLATE" => {
                    if d == Dialect::MySql {
                        "COLLATE utf8mb4_bin".into()
                    } else {
                        "COLLATE \"C\"".into()
                    }
                }
                "= ANY" | "= ALL" | "<> ALL" | "<> ANY" | "= SOME" if d == Dialect::Postgres => {
                    match r.below(3) {
                        0 => format!("{op} (ARRAY[{}, 1])", operand(r, d)),
                        1 => format!("{op} ('{{1,2}}')"),
                        _ => format!("{op} (ARRAY[0, 2])"),
                    }
                }
                "= ANY" | "<> ALL" => format!("{op} (SELECT {})", operand(r, d)),
                "LIKE x ESCAPE" => format!("LIKE {} ESCAPE 'x'", operand(r, d)),
                "AT TIME ZONE" => "AT TIME ZONE 'UTC'".into(),
                "MEMBER OF" => "MEMBER OF ('[1]')".into(),
                op => format!("{op} {}", operand(r, d)),
            };
        }
    }
    text
}

fn rows() -> Vec<[Option<i64>; 3]> {
    let mut all = Vec::new();
    let values = [None, Some(0), Some(1), Some(2)];
    for a in values {
        for b in values {
            for c in values {
                all.push([a, b, c]);
            }
        }
    }
    all
}

fn setup(d: Dialect) -> Vec<String> {
    let mut all = vec![match d {
        Dialect::Postgres => {
            "CREATE TABLE t (id int, a int, b int, c int, s text, f bool)".to_owned()
        }
        _ => "CREATE TABLE t (id int, a int, b int, c int, s varchar(9))".to_owned(),
    }];
    all.push("CREATE TABLE t2 (v int)".into());
    all.push("INSERT INTO t2 VALUES (1)".into());
    let text = |v: Option<i64>| v.map_or("NULL".into(), |v| v.to_string());
    for (id, [a, b, c]) in rows().into_iter().enumerate() {
        let f = if d == Dialect::Postgres {
            format!(
                ", {}",
                if id % 3 == 0 {
                    "NULL"
                } else if id % 3 == 1 {
                    "true"
                } else {
                    "false"
                }
            )
        } else {
            String::new()
        };
        all.push(format!(
            "INSERT INTO t VALUES ({id}, {}, {}, {}, '{}'{f})",
            text(a),
            text(b),
            text(c),
            id % 3
        ));
    }
    all
}

fn check(d: Dialect, seconds: u64, mut query: impl FnMut(&str) -> Option<Vec<usize>>) {
    let seed = number("CACHEOPS_FUZZ_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("CACHEOPS_FUZZ_SEED={seed}");
    let seconds = number("CACHEOPS_FUZZ_SECONDS").unwrap_or(seconds);
    let mut r = Random::from_seed(seed);
    let table = Table::new("t")
        .column("id", ColumnKind::Int)
        .column("a", ColumnKind::Int)
        .column("b", ColumnKind::Int)
        .column("c", ColumnKind::Int)
        .column("s", ColumnKind::Text)
        .column("f", ColumnKind::Bool);
    let analysers =
        [Analyser::new(d, Schema::new(), 1), Analyser::new(d, Schema::new().table(table), 1)];
    let end = Instant::now() + Duration::from_secs(seconds);
    // On a slow machine too, enough is tried.
    let late = end + support::deadline();
    let images: Vec<_> = analysers
        .iter()
        .map(|analyser| {
            rows()
                .into_iter()
                .enumerate()
                .map(|(id, row)| {
                    let v = |v: Option<i64>| v.map_or(Value::Null, Value::Int);
                    let mut named = vec![
                        ("id", Value::Int(id as i64)),
                        ("a", v(row[0])),
                        ("b", v(row[1])),
                        ("c", v(row[2])),
                        ("s", Value::Text((id % 3).to_string().into())),
                    ];
                    if d == Dialect::Postgres {
                        named.push((
                            "f",
                            match id % 3 {
                                0 => Value::Null,
                                1 => Value::Bool(true),
                                _ => Value::Bool(false),
                            },
                        ));
                    }
                    parse(&analyser.row_image("t", named.iter().map(|(n, v)| (*n, v))).to_text())
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let (mut tried, mut refused, mut narrow, mut missed) = (0, 0, 0_u64, 0);
    let mut shown = std::collections::BTreeSet::new();
    while Instant::now() < end || narrow <= LEAST && Instant::now() < late {
        let condition = flat(&mut r, d, 0);
        tried += 1;
        let read = format!("SELECT id FROM t WHERE {condition}");
        let Some(found) = query(&read) else {
            refused += 1;
            continue;
        };
        for (analyser, images) in analysers.iter().zip(&images) {
            let template = analyser.compile(&read);
            let mut checks = Vec::new();
            if let Some(deps) = template.dependencies(&[]) {
                checks.push(("read", deps.get("t").map(|c| c.to_vec())));
            }
            let template = analyser.compile(&format!("DELETE FROM t WHERE {condition}"));
            if !template.may_change_more() {
                checks.push((
                    "delete",
                    template.changed_rows(&[]).to_pairs().pop().map(|pair| pair.1),
                ));
            }
            for (kind, text) in checks {
                let text = text.unwrap_or_default();
                if text == b"*" {
                    continue;
                }
                narrow += 1;
                let terms = if text.is_empty() { Vec::new() } else { parse(&text) };
                if let Some(id) = found.iter().find(|id| !matches(&terms, &images[**id])) {
                    missed += 1;
                    if shown.len() < 400 {
                        shown.insert((
                            condition.len(),
                            format!(
                                "{kind}: {condition}   => {} misses {:?}",
                                String::from_utf8_lossy(&text),
                                rows()[*id]
                            ),
                        ));
                    }
                }
            }
        }
    }
    println!("{d:?}: tried {tried}, refused {refused}, narrow {narrow}, missed {missed}");
    for (_, line) in shown.iter().take(25) {
        println!("  {line}");
    }
    assert_eq!(missed, 0);
    assert!(narrow > LEAST, "too little was tried");
}

#[test]
fn sqlite() {
    let connection = Connection::open_in_memory().unwrap();
    for sql in setup(Dialect::Sqlite) {
        connection.execute_batch(&sql).unwrap();
    }
    check(Dialect::Sqlite, 3, |sql| {
        let mut statement = connection.prepare(sql).ok()?;
        let mut rows = statement.query([]).ok()?;
        let mut all = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => all.push(row.get::<_, i64>(0).ok()? as usize),
                Ok(None) => return Some(all),
                Err(_) => return None,
            }
        }
    });
}

fn on_live(d: Dialect, mut live: Live) {
    for sql in setup(d) {
        live.run(&sql);
    }
    check(d, 3, |sql| {
        let rows = live.query(sql).ok()?;
        Some(rows.into_iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect())
    });
}

#[test]
fn postgres() {
    let Some(server) = support::Postgres::start() else { return };
    on_live(Dialect::Postgres, Live::connect(&server.url()));
}

#[test]
fn mariadb() {
    let Some(server) = live::mariadb() else { return };
    let mut live = Live::connect(&server.url("mysql"));
    live.run("CREATE DATABASE flat CHARACTER SET utf8mb4");
    live.run("USE flat");
    on_live(Dialect::MySql, live);
}
