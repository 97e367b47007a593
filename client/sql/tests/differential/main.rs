//! The differential test: if a write changes the result of a query, what the write sends must match what the query
//! depends on.
//!
//! Random tables, queries and writes on SQLite. Each query is run before and after each write. The write is told to the
//! cache both ways: by what its text says, and by the exact rows before and after. `CACHEOPS_FUZZ_SECONDS` makes it
//! longer, `CACHEOPS_FUZZ_SEED` repeats a run.
#![allow(missing_docs)]

mod database;
mod matcher;
mod query;
mod write;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cacheops_sql::{Analyser, Dialect, Fault, Template};

use database::{Bound, Database, Row};
use matcher::{Terms, matches, parse};
use query::{Maker, Statement};
use support::Random;

const QUERIES: usize = 24;
const WRITES: usize = 24;

/// A query whose result is "cached".
struct Entry {
    statement: Statement,
    dependencies: HashMap<String, Terms>,
    result: Vec<String>,
}

#[derive(Debug, Default)]
struct Count {
    queries: u64,
    uncached: u64,
    writes: u64,
    compared: u64,
    changed: u64,
    /// Matched by what the text of the write says, by its rows, by what RETURNING gives.
    by_text: u64,
    by_rows: u64,
    by_returned: u64,
    whole: u64,
}

/// A result that changed without an invalidation.
struct Missed {
    by: &'static str,
    report: String,
}

fn told(values: &[Bound]) -> Vec<cacheops_sql::Value<'static>> {
    values.iter().map(|value| value.told.clone()).collect()
}

/// One database: some queries, then writes. The first miss ends it.
fn round(random: &mut Random, fault: Option<Fault>, count: &mut Count) -> Result<(), Box<Missed>> {
    let database = Database::new(random);
    let mut analyser = Analyser::new(Dialect::Sqlite, database.schema.clone(), 1000);
    if let Some(fault) = fault {
        analyser = analyser.with_fault(fault);
    }
    let mut entries = Vec::new();
    while entries.len() < QUERIES {
        let statement = Maker::query(random, &database);
        let Some(result) = database.result(&statement.sql, &statement.values) else { continue };
        count.queries += 1;
        let template = analyser.analyse(&statement.sql);
        let Some(conditions) = template.dependencies(&told(&statement.values)) else {
            count.uncached += 1;
            continue;
        };
        let dependencies: HashMap<String, Terms> =
            conditions.iter().map(|(table, text)| (table.to_owned(), parse(text))).collect();
        count.whole +=
            u64::from(dependencies.values().any(|terms| terms.iter().any(Vec::is_empty)));
        entries.push(Entry { statement, dependencies, result });
    }
    for _ in 0..WRITES {
        let (write, table) = write::write(random, &database);
        if database.connection.prepare_cached(&write.sql).is_err() {
            continue;
        }
        let before = database.rows(random, &database.tables[table]);
        let template = analyser.analyse(&write.sql);
        let old: Option<Vec<String>> = template.old_rows().map(|old| {
            let values: Vec<Bound> =
                old.parameters().iter().map(|at| write.values[*at].clone()).collect();
            database
                .result(old.sql(), &values)
                .unwrap_or_else(|| panic!("old rows: {}\n{write:?}", old.sql()))
        });
        let values = rusqlite::params_from_iter(&write.values);
        let done = database
            .connection
            .prepare_cached(&write.sql)
            .and_then(|mut write| write.execute(values));
        if done.is_err() {
            continue;
        }
        count.writes += 1;
        let after = database.rows(random, &database.tables[table]);
        assert!(!template.may_change_more(), "{}", write.sql);
        let changes: HashMap<String, Terms> = template
            .changes(&told(&write.values))
            .iter()
            .map(|(table, text)| (table.to_owned(), parse(text)))
            .collect();
        // What an adapter sends that has the rows: those that were, and those that are.
        let name = &database.tables[table].name;
        let mut rows = Vec::new();
        for (image, others) in [(&before, &after), (&after, &before)] {
            for (text, values) in image {
                if !others.iter().any(|(other, _)| other == text) {
                    let row = values.iter().map(|(column, value)| (column, value));
                    rows.extend(parse(&analyser.row_condition(name, row)));
                    if let (Some(old), true) = (&old, std::ptr::eq(image, &before)) {
                        assert!(old.contains(text), "old rows of {write:?} lack {text}");
                    }
                }
            }
        }
        let rows = HashMap::from([(name.clone(), rows)]);
        let returned = returned(&analyser, &template, name, &before, &after)
            .unwrap_or_else(|| changes.clone());
        for entry in &mut entries {
            let result = database.result(&entry.statement.sql, &entry.statement.values).unwrap();
            count.compared += 1;
            let matched = |sent: &HashMap<String, Terms>| {
                sent.iter().any(|(table, rows)| {
                    entry.dependencies.get(table).is_some_and(|query| matches(query, rows))
                })
            };
            let (by_text, by_rows, by_returned) =
                (matched(&changes), matched(&rows), matched(&returned));
            count.by_text += u64::from(by_text);
            count.by_rows += u64::from(by_rows);
            count.by_returned += u64::from(by_returned);
            if result == entry.result {
                continue;
            }
            count.changed += 1;
            if let Some(by) = [(by_text, "text"), (by_rows, "rows"), (by_returned, "RETURNING")]
                .iter()
                .find(|(hit, _)| !hit)
            {
                let report = format!(
                    "{}\nQUERY  {}\n  with {:?}\n  depends on {}\nWRITE  {}\n  with {:?}\n  sends {}\n  rows {}\n  RETURNING {}\nBEFORE {:?}\nAFTER  {:?}",
                    database.described,
                    entry.statement.sql,
                    told(&entry.statement.values),
                    shown(&entry.dependencies),
                    write.sql,
                    told(&write.values),
                    shown(&changes),
                    shown(&rows),
                    shown(&returned),
                    entry.result,
                    result,
                );
                return Err(Box::new(Missed { by: by.1, report }));
            }
            entry.result = result;
        }
    }
    Ok(())
}

/// What an adapter sends that has only the new rows of an UPDATE or upsert, by `RETURNING *`.
fn returned(
    analyser: &Analyser,
    template: &Template,
    table: &str,
    before: &[(String, Row)],
    after: &[(String, Row)],
) -> Option<HashMap<String, Terms>> {
    template.assigned_columns()?;
    // A row that an upsert of two rows touched twice is returned twice; one that it left alone, not at all.
    let mut rows = Terms::new();
    for (text, row) in after {
        if !before.iter().any(|(other, _)| other == text) {
            let columns = || row.iter().map(|(column, value)| (column, value));
            rows.extend(parse(&analyser.row_condition(table, columns())));
            rows.extend(parse(&analyser.old_image(template, columns())?));
        }
    }
    Some(HashMap::from([(table.to_owned(), rows)]))
}

fn shown(sent: &HashMap<String, Terms>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut shown = String::new();
    for (table, conjunctions) in sent {
        for conjunction in conjunctions {
            let terms: Vec<String> = conjunction
                .iter()
                .map(|(field, value)| match value {
                    Some(value) => format!("{}={:?}", text(field), text(value)),
                    None => format!("{} IS NULL", text(field)),
                })
                .collect();
            shown += &format!(
                "\n    {table}: {}",
                if terms.is_empty() { "*".into() } else { terms.join(" & ") }
            );
        }
    }
    shown
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_write_that_changes_a_result_always_matches_its_dependencies() {
    let seed = number("CACHEOPS_FUZZ_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let seconds = number("CACHEOPS_FUZZ_SECONDS").unwrap_or(12);
    println!("CACHEOPS_FUZZ_SEED={seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut count = Count::default();
    let mut at = 0_u64;
    while Instant::now() < end {
        // Each round has a seed of its own, so that one can be repeated alone.
        let mut random = Random::from_seed(seed.wrapping_add(at));
        if let Err(missed) = round(&mut random, None, &mut count) {
            panic!(
                "missed by {}, CACHEOPS_FUZZ_SEED={}\n{}",
                missed.by,
                seed.wrapping_add(at),
                missed.report
            );
        }
        at += 1;
    }
    let idle = (count.compared - count.changed) as f64;
    let percent = |matched: u64| 100.0 * (matched - count.changed) as f64 / idle;
    println!(
        "{count:?}\nmissed 0 of {} changed results; entries that died though their result stayed: {:.1} % by text, {:.1} % by rows, {:.1} % by RETURNING",
        count.changed,
        percent(count.by_text),
        percent(count.by_rows),
        percent(count.by_returned),
    );
    assert!(count.changed > 1000, "too little was tried: {count:?}");
}

/// Rounds until a mistake is seen.
fn rounds_until_caught(fault: Fault) -> u64 {
    let mut count = Count::default();
    for at in 0..2000 {
        if round(&mut Random::from_seed(at), Some(fault), &mut count).is_err() {
            println!("{fault:?} was seen after {} changed results", count.changed);
            return at;
        }
    }
    panic!("{fault:?} was not seen in {count:?}");
}

#[test]
fn sees_an_analyser_that_lets_the_on_of_an_outer_join_narrow_the_kept_side() {
    rounds_until_caught(Fault::OuterJoin);
}

#[test]
fn sees_an_analyser_that_forgets_a_conjunction() {
    rounds_until_caught(Fault::LostConjunction);
}

#[test]
fn sees_an_analyser_that_sends_only_the_old_image() {
    rounds_until_caught(Fault::LostImage);
}

#[test]
fn sees_an_analyser_that_takes_the_terms_of_another_table_for_those_of_the_target() {
    rounds_until_caught(Fault::OtherTable);
}
