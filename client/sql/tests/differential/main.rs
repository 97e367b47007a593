//! The differential test: if a write changes the result of a query, what the write sends must match what the query
//! depends on.
//!
//! Random tables, queries and writes on SQLite, PostgreSQL and, with `CACHEOPS_MARIADB=1`, MariaDB. Each query is run
//! before and after each write. What is invalidated is found both ways: by the text of the write, and by the exact rows
//! before and after. `CACHEOPS_FUZZ_SECONDS` makes it longer, `CACHEOPS_FUZZ_SEED` repeats a run.
#![allow(missing_docs)]

mod condition;
mod database;
#[path = "../live/mod.rs"]
mod live;
mod mariadb;
mod matcher;
mod postgres;
mod query;
mod server;
mod sqlite;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cacheops_sql::{Analyser, Mutation, Template};

use database::{Bound, Database, Row, Statement};
use live::Live;
use matcher::{Terms, matches, parse};
use query::Maker;
use server::OnServer;
use support::{Random, number};

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
    /// Statements that the database refused.
    refused: u64,
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

impl Count {
    fn and(self, other: Self) -> Self {
        Self {
            refused: self.refused + other.refused,
            queries: self.queries + other.queries,
            uncached: self.uncached + other.uncached,
            writes: self.writes + other.writes,
            compared: self.compared + other.compared,
            changed: self.changed + other.changed,
            by_text: self.by_text + other.by_text,
            by_rows: self.by_rows + other.by_rows,
            by_returned: self.by_returned + other.by_returned,
            whole: self.whole + other.whole,
        }
    }
}

/// A result that changed without an invalidation.
struct Missed {
    by: &'static str,
    report: String,
}

/// One database: some queries, then writes. The first miss ends it.
fn round(
    random: &mut Random,
    database: &dyn Database,
    mutation: Option<Mutation>,
    count: &mut Count,
) -> Result<(), Box<Missed>> {
    let mut analyser = Analyser::new(database.dialect(), database.schema().clone(), 1000);
    if let Some(mutation) = mutation {
        analyser = analyser.with_mutation(mutation);
    }
    let mut entries = Vec::new();
    while entries.len() < QUERIES {
        let statement = Maker::query(random, database);
        let Ok(result) = database.result(&statement) else {
            count.refused += 1;
            continue;
        };
        count.queries += 1;
        let template = analyser.analyse(&database.analysed(&statement.sql));
        let Some(conditions) =
            template.dependencies(&statement.bound_values()).map(|all| all.to_pairs())
        else {
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
        let write = match mutation {
            // Else it would take long to find.
            Some(Mutation::OtherTable) => write::joined_write(random, database),
            _ => write::write(random, database),
        };
        if !database.is_valid(&write) {
            count.refused += 1;
            continue;
        }
        let all = 0..database.tables().len();
        let before: Vec<_> = all.clone().map(|at| database.rows(random, at)).collect();
        let template = analyser.analyse(&database.analysed(&write.sql));
        let old = old_rows(database, &template, &write);
        if !database.execute(&write) {
            count.refused += 1;
            continue;
        }
        count.writes += 1;
        let after: Vec<_> = all.map(|at| database.rows(random, at)).collect();
        assert!(!template.may_change_more(), "{}", write.sql);
        let changes: HashMap<String, Terms> = template
            .changed_rows(&write.bound_values())
            .to_pairs()
            .into_iter()
            .map(|(table, text)| (table, parse(&text)))
            .collect();
        // What an adapter sends that has the rows: those that were, and those that are.
        let mut rows = HashMap::new();
        for (at, shape) in database.tables().iter().enumerate() {
            let (before, after) = (&before[at], &after[at]);
            let mut terms = Terms::new();
            for (text, row) in differing(before, after).chain(differing(after, before)) {
                let row = row.iter().map(|(column, value)| (column, value));
                terms.extend(parse(&analyser.row_image(&shape.name, row).to_text()));
                let target = template.target() == Some(&shape.name);
                let was = before.iter().any(|(known, _)| known == text);
                if let (Some(old), true, true) = (&old, target, was) {
                    assert!(old.contains(text), "old rows of {write:?} lack {text}");
                }
            }
            if !terms.is_empty() {
                rows.insert(shape.name.clone(), terms);
            }
        }
        let shapes = database.tables().iter();
        let target = template.target().and_then(|name| shapes.clone().position(|t| t.name == name));
        let returned = target
            .and_then(|at| returned(&analyser, &template, &before[at], &after[at]))
            .unwrap_or_else(|| changes.clone());
        for entry in &mut entries {
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
            // What names no table that has changed gives what it gave.
            if !rows.keys().any(|table| entry.statement.sql.contains(table)) {
                continue;
            }
            let result = match database.result(&entry.statement) {
                Ok(result) => result,
                // It depends on the rows whether some are: a subquery that gives two.
                Err(error) => vec![error],
            };
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
                    database.described(),
                    entry.statement.sql,
                    entry.statement.bound_values(),
                    shown(&entry.dependencies),
                    write.sql,
                    write.bound_values(),
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

/// The rows of one image that the other does not have.
fn differing<'i>(
    image: &'i [(String, Row)],
    other: &'i [(String, Row)],
) -> impl Iterator<Item = &'i (String, Row)> {
    image.iter().filter(|(text, _)| !other.iter().any(|(known, _)| known == text))
}

/// The rows that the query for the old rows of a write shows.
fn old_rows(
    database: &dyn Database,
    template: &Template,
    write: &Statement,
) -> Option<Vec<String>> {
    let old = template.old_rows()?;
    let values: Vec<Bound> = old.parameters().iter().map(|at| write.values[*at].clone()).collect();
    // Back to question marks, which stand for the values in order: PostgreSQL numbers them.
    let mut parts = old.sql().split('$');
    let mut sql = parts.next().unwrap_or_default().to_owned();
    let mut chosen = if sql.len() == old.sql().len() { values.clone() } else { Vec::new() };
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number: usize = part[..end].parse().expect("a parameter");
        chosen.push(values[number - 1].clone());
        sql += "?";
        sql += &part[end..];
    }
    let query = Statement { sql, values: chosen };
    match database.result(&query) {
        Ok(rows) => Some(rows),
        Err(error) => panic!("{error}: {}\n{write:?}", old.sql()),
    }
}

/// What an adapter sends that has only the new rows of an UPDATE or upsert, by `RETURNING *`.
fn returned(
    analyser: &Analyser,
    template: &Template,
    before: &[(String, Row)],
    after: &[(String, Row)],
) -> Option<HashMap<String, Terms>> {
    let table = template.target()?;
    template.assigned_columns()?;
    // A row that an upsert of two rows touched twice is returned twice; one that it left alone, not at all.
    let mut rows = Terms::new();
    for (_, row) in differing(after, before) {
        let columns = || row.iter().map(|(column, value)| (column, value));
        rows.extend(parse(&analyser.row_image(table, columns()).to_text()));
        rows.extend(parse(&analyser.unchanged_image(template, columns())?.to_text()));
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

/// Rounds for some seconds, each with a database and a seed of its own. The workers share them.
fn search<F>(seconds: u64, workers: Vec<F>)
where
    F: FnMut(&mut Random, &mut Count) -> Result<(), Box<Missed>> + Send,
{
    let seed = number("CACHEOPS_FUZZ_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let seconds = number("CACHEOPS_FUZZ_SECONDS").unwrap_or(seconds);
    println!("CACHEOPS_FUZZ_SEED={seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let next = AtomicU64::new(seed);
    let work = |mut one: F| {
        let mut count = Count::default();
        // On a slow machine too, enough is tried.
        let late = end + support::deadline();
        let says_little = |count: &Count| count.changed <= 3 * seconds;
        while Instant::now() < end || says_little(&count) && Instant::now() < late {
            // Each round has a seed of its own, so that one can be repeated alone.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if let Err(missed) = one(&mut Random::from_seed(seed), &mut count) {
                panic!("missed by {}, CACHEOPS_FUZZ_SEED={seed}\n{}", missed.by, missed.report);
            }
        }
        count
    };
    let counts: Vec<Count> = std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> =
            workers.into_iter().map(|one| scope.spawn(move || work(one))).collect();
        running.into_iter().map(|worker| worker.join().expect("no miss")).collect()
    });
    let count = counts.into_iter().fold(Count::default(), Count::and);
    let idle = (count.compared - count.changed) as f64;
    let percent = |matched: u64| 100.0 * (matched - count.changed) as f64 / idle;
    println!(
        "{count:?}\nmissed 0 of {} changed results; entries that died though their result stayed: {:.1} % by text, {:.1} % by rows, {:.1} % by RETURNING",
        count.changed,
        percent(count.by_text),
        percent(count.by_rows),
        percent(count.by_returned),
    );
    assert!(count.changed > 3 * seconds, "too little was tried: {count:?}");
}

#[test]
fn a_write_that_changes_a_result_always_matches_its_dependencies() {
    let worker = |random: &mut Random, count: &mut Count| on_sqlite(random, None, count);
    search(12, vec![worker; number("CACHEOPS_FUZZ_WORKERS").unwrap_or(1) as usize]);
}

#[test]
fn a_write_that_changes_a_result_always_matches_its_dependencies_on_postgresql() {
    let Some(server) = support::Postgres::start() else { return };
    let mut live = Live::connect(&server.url());
    postgres::prepare(&mut live);
    let worker = |random: &mut Random, count: &mut Count| {
        let database = OnServer::<postgres::Postgres>::new(&mut live, random);
        round(random, &database, None, count)
    };
    search(6, vec![worker]);
    // Nor is it blind here.
    rounds_until_caught(Mutation::OtherTable, |random, mutation, count| {
        let database = OnServer::<postgres::Postgres>::new(&mut live, random);
        round(random, &database, mutation, count)
    });
}

#[test]
fn a_write_that_changes_a_result_always_matches_its_dependencies_on_mariadb() {
    let Some(server) = live::mariadb() else { return };
    let mut live = Live::connect(&server.url("mysql"));
    mariadb::prepare(&mut live);
    let worker = |random: &mut Random, count: &mut Count| {
        let database = OnServer::<mariadb::MariaDb>::new(&mut live, random);
        round(random, &database, None, count)
    };
    search(20, vec![worker]);
}

/// Rounds until a mistake is seen.
fn rounds_until_caught(
    mutation: Mutation,
    mut one: impl FnMut(&mut Random, Option<Mutation>, &mut Count) -> Result<(), Box<Missed>>,
) {
    let mut count = Count::default();
    for at in 0..2000 {
        if one(&mut Random::from_seed(at), Some(mutation), &mut count).is_err() {
            println!("{mutation:?} was seen after {} changed results", count.changed);
            return;
        }
    }
    panic!("{mutation:?} was not seen in {count:?}");
}

fn on_sqlite(
    random: &mut Random,
    mutation: Option<Mutation>,
    count: &mut Count,
) -> Result<(), Box<Missed>> {
    let database = sqlite::Sqlite::new(random);
    round(random, &database, mutation, count)
}

#[test]
fn detects_an_analyser_that_narrows_the_kept_side_of_an_outer_join_by_its_on() {
    rounds_until_caught(Mutation::OuterJoin, on_sqlite);
}

#[test]
fn detects_an_analyser_that_takes_the_on_of_an_outer_join_for_a_condition_of_all_rows() {
    rounds_until_caught(Mutation::OuterConstant, on_sqlite);
}

#[test]
fn detects_an_analyser_that_loses_a_conjunction() {
    rounds_until_caught(Mutation::LostConjunction, on_sqlite);
}

#[test]
fn sees_an_analyser_that_sends_only_the_old_image() {
    rounds_until_caught(Mutation::LostImage, on_sqlite);
}

#[test]
fn detects_an_analyser_that_takes_terms_of_another_table_for_those_of_the_target() {
    rounds_until_caught(Mutation::OtherTable, on_sqlite);
}
