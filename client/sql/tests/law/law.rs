//! The law of canonical values against a database: every value that can be stored against every constant that a program
//! could compare it with.
//!
//! For each stored row all forms are collected that a *read* may have for it (the constants that the database calls equal
//! to it) and all that a *write* may have for it (the row as it came back, what was assigned, the constants of a DELETE that
//! meet it). Of both there may be several, or none; but all of them have to be one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use cacheops_sql::{Analyser, ChangedRows, ColumnKind, Date, Dialect, Schema, Table, Value};

use support::{Random, number};

use crate::live::Live;

/// How an adapter reads the text of a value.
pub type Decode = fn(&str) -> Value<'static>;

pub fn decimal(text: &str) -> Value<'static> {
    Value::Decimal(Cow::Owned(text.to_owned()))
}

pub fn text(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

pub fn uuid(text: &str) -> Value<'static> {
    let hex: String = text.chars().filter(|c| c.is_ascii_hexdigit()).collect();
    Value::Uuid(std::array::from_fn(|at| {
        u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("two digits")
    }))
}

/// What is not written as a year, a month and a day is opaque: infinity, for one.
pub fn date(text: &str) -> Value<'static> {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse().ok());
    match (text.len(), part(0..4), part(5..7), part(8..10)) {
        (10, Some(year), Some(month), Some(day)) => {
            Value::Date(Date { year, month: month as u8, day: day as u8 })
        }
        _ => Value::Opaque,
    }
}

pub fn opaque(_: &str) -> Value<'static> {
    Value::Opaque
}

/// A type of column, and what it may be registered as.
pub struct Column {
    pub declared: &'static str,
    pub kinds: &'static [ColumnKind],
    pub decode: Decode,
}

/// A constant in a statement.
pub struct Constant {
    /// As the database gets it: typed, where it stands for a parameter.
    pub sql: String,
    /// As the analyser reads it, with `?` for a parameter.
    pub read: String,
    /// The parameter.
    pub value: Option<Value<'static>>,
}

impl Constant {
    pub fn literal(sql: impl Into<String>) -> Self {
        let sql = sql.into();
        Self { read: sql.clone(), sql, value: None }
    }

    /// A bound value: `sql` has its type.
    pub fn bound(sql: impl Into<String>, value: Value<'static>) -> Self {
        Self { sql: sql.into(), read: "?".into(), value: Some(value) }
    }
}

/// All of them where time is given, else a few.
fn sample(mut constants: Vec<Constant>) -> Vec<Constant> {
    let seed = number("CACHEOPS_FUZZ_SEED").unwrap_or_else(|| std::process::id().into());
    println!("CACHEOPS_FUZZ_SEED={seed}");
    let mut random = Random::from_seed(seed);
    constants.retain(|_| number("CACHEOPS_FUZZ_SECONDS").is_some() || random.once_in(25));
    constants
}

/// The law, of every column and constant.
pub fn holds(live: &mut Live, dialect: Dialect, columns: &[Column], constants: Vec<Constant>) {
    let constants = sample(constants);
    let mut count = Count::default();
    let mut found = Vec::new();
    for column in columns {
        let start = Instant::now();
        let more = violations(live, dialect, column, &constants, &mut count);
        println!("{}: {} of {:?}", column.declared, more.len(), start.elapsed());
        found.extend(more.into_iter().take(12));
    }
    println!("{} constants, {count:?}", constants.len());
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    assert!(count.pairs > 100, "too little was compared: {count:?}");
}

/// What was compared.
#[derive(Debug, Default)]
struct Count {
    rows: usize,
    equal: usize,
    /// Pairs of a read's form and a write's form for one row.
    pairs: usize,
}

/// Each form, and where it comes from.
type Forms = BTreeMap<(Option<ColumnKind>, String), String>;

/// The only term of a condition.
fn term(condition: &[u8]) -> Option<String> {
    let text = String::from_utf8(condition.to_vec()).expect("text");
    text.strip_prefix("c=").map(str::to_owned)
}

fn written(rows: &ChangedRows<'_>) -> Option<String> {
    rows.to_pairs().pop().and_then(|(_, text)| term(&text))
}

/// Looks for a row that a read and a write call by different forms. The violations, in words.
fn violations(
    live: &mut Live,
    dialect: Dialect,
    column: &Column,
    constants: &[Constant],
    count: &mut Count,
) -> Vec<String> {
    live.run("DROP TABLE IF EXISTS t");
    live.run(&format!("CREATE TABLE t (id int PRIMARY KEY, c {})", column.declared));
    let analysers: Vec<(ColumnKind, Analyser)> = column
        .kinds
        .iter()
        .map(|kind| {
            let schema = Schema::new().table(Table::new("t").column("c", *kind));
            (*kind, Analyser::new(dialect, schema, 4000))
        })
        .collect();
    // On MySQL programs that share a cache have to agree on the kinds.
    let group = |kind: &ColumnKind| (dialect == Dialect::MySql).then_some(*kind);
    let sql = |text: String| match dialect {
        Dialect::Postgres => text.replace('?', "$1"),
        _ => text,
    };
    // Which values can be stored at all, and what each is assigned by.
    let mut assigned: BTreeMap<usize, &Constant> = BTreeMap::new();
    for (id, constant) in constants.iter().enumerate() {
        if live.query(&format!("INSERT INTO t (id, c) VALUES ({id}, {})", constant.sql)).is_ok() {
            assigned.insert(id, constant);
        }
    }
    let (mut of_reads, mut of_writes) = (BTreeMap::new(), BTreeMap::new());
    for row in live.query("SELECT id, c FROM t").expect("the rows") {
        let id: usize = row[0].as_ref().expect("an id").parse().expect("a number");
        let Some(text) = &row[1] else { continue };
        count.rows += 1;
        let forms: &mut Forms = of_writes.entry(id).or_default();
        let value = (column.decode)(text);
        for (kind, analyser) in &analysers {
            if let Some(form) = term(&analyser.row_image("t", [("c", &value)]).to_text()) {
                forms.entry((group(kind), form)).or_insert(format!("the row {text:?} as {kind:?}"));
            }
            let constant = assigned[&id];
            let write =
                analyser.analyse(&sql(format!("INSERT INTO t (c) VALUES ({})", constant.read)));
            let values: Vec<Value<'_>> = constant.value.iter().cloned().collect();
            if let Some(form) = written(&write.changed_rows(&values)) {
                let source = format!("INSERT of {} {:?} as {kind:?}", constant.sql, constant.value);
                forms.entry((group(kind), form)).or_insert(source);
            }
        }
    }
    for constant in constants {
        let Ok(equal) = live.query(&format!("SELECT id FROM t WHERE c = {}", constant.sql)) else {
            continue;
        };
        if equal.is_empty() {
            continue;
        }
        let values: Vec<Value<'_>> = constant.value.iter().cloned().collect();
        for (kind, analyser) in &analysers {
            let source =
                |what: &str| format!("{what} = {} {:?} as {kind:?}", constant.sql, constant.value);
            let read =
                analyser.analyse(&sql(format!("SELECT * FROM t WHERE c = {}", constant.read)));
            let read = read.dependencies(&values).and_then(|found| term(found.get("t")?));
            let write =
                analyser.analyse(&sql(format!("DELETE FROM t WHERE c = {}", constant.read)));
            let write = written(&write.changed_rows(&values));
            for id in &equal {
                let id: usize = id[0].as_ref().expect("an id").parse().expect("a number");
                count.equal += 1;
                let forms: &mut Forms = of_reads.entry(id).or_default();
                forms.extend(read.clone().map(|form| ((group(kind), form), source("SELECT"))));
                let forms: &mut Forms = of_writes.entry(id).or_default();
                if let Some(form) = &write {
                    forms.entry((group(kind), form.clone())).or_insert(source("DELETE"));
                }
            }
        }
    }
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (id, forms) in &of_reads {
        for ((agreed, form), reader) in forms {
            for ((kind, other), writer) in of_writes.get(id).into_iter().flatten() {
                if agreed != kind {
                    continue;
                }
                count.pairs += 1;
                if form != other && seen.insert((form, other)) {
                    found.push(format!(
                        "{}: {form:?} by {reader}, but {other:?} by {writer}",
                        column.declared
                    ));
                }
            }
        }
    }
    found
}
