//! A search for stale results: random reads through the cache, each compared with the database, between random writes,
//! transactions and savepoints.

use std::time::{Duration, Instant};

use cacheops_sql::Mutation;
use cacheops_sqlx::{Cache, CachedTx, Connect};
use support::Random;

use crate::world::{Post, on_each_database};

/// How long each search runs: CACHEOPS_FUZZ_SECONDS, or ten.
fn duration() -> Duration {
    Duration::from_secs(support::number("CACHEOPS_FUZZ_SECONDS").unwrap_or(10))
}

/// What the first search begins with: CACHEOPS_FUZZ_SEED, or the clock.
fn seed() -> u64 {
    support::number("CACHEOPS_FUZZ_SEED").unwrap_or_else(clock)
}

fn clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64
}

/// A read: its text and its values.
fn read(random: &mut Random) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let condition = condition(random, &mut values, 2);
    let text = match random.below(4) {
        0 => format!(
            "SELECT p.id, p.author, p.title, p.note FROM post p JOIN author a ON a.id = p.author WHERE {condition} \
             ORDER BY p.id"
        ),
        1 => format!(
            "SELECT p.id, p.author, p.title, p.note FROM post p WHERE {condition} AND EXISTS (SELECT 1 FROM author a \
             WHERE a.id = p.author) ORDER BY p.id"
        ),
        _ => format!(
            "SELECT p.id, p.author, p.title, p.note FROM post p WHERE {condition} ORDER BY p.id"
        ),
    };
    (text, values)
}

#[derive(Clone, Debug)]
enum Value {
    Number(i64),
    Text(Option<String>),
}

fn condition(random: &mut Random, values: &mut Vec<Value>, depth: usize) -> String {
    let mut parameter = |value| {
        values.push(value);
        format!("${}", values.len())
    };
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => format!("p.id = {}", parameter(Value::Number(random.below(8) as i64))),
        1 => format!("p.author = {}", parameter(Value::Number(random.below(4) as i64))),
        2 => format!("p.title = {}", parameter(Value::Text(Some(word(random))))),
        3 => format!("p.note = {}", parameter(Value::Text(Some(word(random))))),
        4 => "p.note IS NULL".to_owned(),
        5 => {
            let one = parameter(Value::Number(random.below(4) as i64));
            let other = parameter(Value::Number(random.below(4) as i64));
            format!("p.author IN ({one}, {other})")
        }
        kind => {
            let left = condition(random, values, depth - 1);
            let right = condition(random, values, depth - 1);
            let operator = if kind == 6 { "AND" } else { "OR" };
            format!("({left} {operator} {right})")
        }
    }
}

fn word(random: &mut Random) -> String {
    ["a", "b", "it's", "\"q\" \\ é"][random.below(4)].to_owned()
}

/// A write of posts or authors.
fn write(random: &mut Random) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    match random.below(8) {
        7 => {
            values.push(Value::Number(random.below(4) as i64));
            values.push(Value::Number(random.below(4) as i64));
            ("UPDATE post SET author = $1 WHERE author = $2".to_owned(), values)
        }
        0 | 1 => {
            values.push(Value::Number(random.below(8) as i64));
            values.push(Value::Number(random.below(4) as i64));
            values.push(Value::Text(Some(word(random))));
            values.push(Value::Text((random.below(2) == 0).then(|| word(random))));
            (
                "INSERT INTO post (id, author, title, note) VALUES ($1, $2, $3, $4)".to_owned(),
                values,
            )
        }
        2 => {
            values.push(Value::Number(random.below(4) as i64));
            values.push(Value::Number(random.below(8) as i64));
            ("UPDATE post SET author = $1 WHERE id = $2".to_owned(), values)
        }
        3 => {
            values.push(Value::Text((random.below(2) == 0).then(|| word(random))));
            values.push(Value::Number(random.below(4) as i64));
            ("UPDATE post SET note = $1 WHERE author = $2".to_owned(), values)
        }
        4 => {
            values.push(Value::Text(Some(word(random))));
            ("UPDATE post SET id = id + 8, title = $1 WHERE id < 2".to_owned(), values)
        }
        5 => {
            values.push(Value::Number(random.below(8) as i64));
            values.push(Value::Text(Some(word(random))));
            ("DELETE FROM post WHERE id = $1 OR title = $2 OR id > 7".to_owned(), values)
        }
        _ => match random.below(2) {
            0 => {
                values.push(Value::Number(random.below(4) as i64));
                ("DELETE FROM author WHERE id = $1".to_owned(), values)
            }
            _ => {
                values.push(Value::Number(random.below(4) as i64));
                values.push(Value::Text(Some(word(random))));
                ("INSERT INTO author (id, name) VALUES ($1, $2)".to_owned(), values)
            }
        },
    }
}

macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value.clone() {
                Value::Number(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}

/// Searches in a world, through a pool of it: `Ok` with what was compared, hit and changed; `Err` with a stale result.
macro_rules! search {
    ($w:expr, $db:expr, $seed:expr, $duration:expr) => {{
        let (w, db, seed, duration) = (&$w, $db, $seed, $duration);
        let mut random = Random::from_seed(seed);
        let reads: Vec<_> = (0..60).map(|_| read(&mut random)).collect();
        let begun = Instant::now();
        let (mut compared, mut hits, mut changed) = (0_u64, 0_u64, 0_u64);
        let mut last: Vec<Option<Vec<Post>>> = vec![None; reads.len()];
        let mut stale = None;

        macro_rules! compare {
            ($at:expr, $on:expr) => {{
                let at = $at;
                let (text, values) = &reads[at];
                let cached = bound!(sqlx::query_as::<Db, Post>(sql(text)), values).cached();
                let (hit, cached) = w.hits(cached.fetch_all($on)).await;
                let plain = bound!(sqlx::query_as::<Db, Post>(sql(text)), values);
                let (cached, plain) = (cached.unwrap(), plain.fetch_all(db.inner()).await.unwrap());
                if cached != plain {
                    stale = Some(format!("seed {seed}: {text} {values:?}\nthe cache: {cached:?}\nthe database: {plain:?}"));
                }
                compared += 1;
                hits += u64::from(hit);
                changed += u64::from(last[at].as_ref().is_some_and(|last| *last != plain));
                last[at] = Some(plain);
            }};
        }
        macro_rules! write {
            ($on:expr) => {{
                let (text, values) = write(&mut random);
                bound!(sqlx::query::<Db>(sql(&text)), &values).execute($on).await
            }};
        }

        while begun.elapsed() < duration && stale.is_none() {
            for _ in 0..random.below(4) {
                let _ = write!(db);
            }
            if random.below(3) == 0 {
                let mut tx: CachedTx<'static, Db> = db.begin().await.unwrap();
                let mut failed = false;
                if random.below(2) == 0 {
                    compare!(random.below(reads.len()), &mut tx);
                }
                for _ in 0..random.below(3) {
                    // An error of PostgreSQL ends the transaction.
                    failed |= write!(&mut tx).is_err();
                }
                if !failed && random.below(2) == 0 {
                    let mut savepoint = tx.begin().await.unwrap();
                    failed |= write!(&mut savepoint).is_err();
                    if failed || random.below(2) == 0 {
                        savepoint.rollback().await.unwrap();
                    } else {
                        savepoint.commit().await.unwrap();
                    }
                }
                match random.below(3) {
                    0 => tx.rollback().await.unwrap(),
                    1 => drop(tx),
                    _ => drop(tx.commit().await),
                }
            }
            for _ in 0..6 {
                compare!(random.below(reads.len()), db);
            }
        }
        match stale {
            Some(stale) => Err(stale),
            None => Ok((compared, hits, changed)),
        }
    }};
}

on_each_database! {
    async fn random_reads_and_writes_find_no_stale_result(w) {
        let (compared, hits, changed) = search!(w, &w.db, seed(), duration()).unwrap_or_else(|stale| panic!("{stale}"));
        println!("{compared} compared, {hits} hits, {changed} results had changed, 0 stale");
        assert!(hits > 0 && changed > 0, "the search saw nothing");
    }

    /// Of some reads a mistake shows soon, of others never: so short searches with other reads follow each other.
    async fn deliberate_mistakes_are_found(w) {
        macro_rules! is_found {
            ($db:expr) => {{
                let begun = Instant::now();
                let mut found = false;
                for attempt in 0.. {
                    w.co.invalidate_all().await.unwrap();
                    found = search!(w, $db, seed() + attempt, Duration::from_secs(1)).is_err();
                    if found || begun.elapsed() > 3 * support::deadline() {
                        break;
                    }
                }
                found
            }};
        }
        for mutation in [Mutation::LostConjunction, Mutation::LostImage] {
            // Old rows would hide what the text of a write does not tell.
            let connector = w.co.connector().mutation(mutation).old_rows(0);
            let db = connector.pool(w.db.inner().clone());
            assert!(is_found!(&db), "{mutation:?}");
        }
        // Writes that nothing invalidates after.
        let db = w.db.without_invalidation();
        assert!(is_found!(&db));
    }
}
