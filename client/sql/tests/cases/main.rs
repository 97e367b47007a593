//! What statements become: tables of cases, the rules of soundness by name, the law of canonical values, and bounds.
#![allow(missing_docs)]

mod bounds;
mod disguises;
mod granular;
mod joined;
mod law;
mod purity;
mod reads;
mod rules;
mod shared;
mod statements;
mod traps;
mod values;
mod weight;
mod writes;

use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table, Value};

use Dialect::{MySql, Postgres, Sqlite};

fn analyser(dialect: Dialect) -> Analyser {
    Analyser::new(dialect, Schema::new(), 16)
}

/// `article(id, tag, draft, name)` and `author(id, name, age)`, `v` a view of both.
fn registered(dialect: Dialect) -> Analyser {
    let schema = Schema::new()
        .table(
            Table::new("article")
                .column("id", ColumnKind::Int)
                .column("tag", ColumnKind::Int)
                .column("draft", ColumnKind::Bool)
                .column("name", ColumnKind::Text)
                .column("author_id", ColumnKind::Int)
                .generated("slug", ColumnKind::Text),
        )
        .table(
            Table::new("author")
                .column("id", ColumnKind::Int)
                .column("name", ColumnKind::Text)
                .column("age", ColumnKind::Int)
                .also(["audit"]),
        )
        .view("v", ["article", "author"]);
    Analyser::new(dialect, schema, 16)
}

fn joined(conditions: &[(String, Vec<u8>)]) -> String {
    let pair = |(table, condition): &(String, Vec<u8>)| {
        format!("{table}: {}", String::from_utf8_lossy(condition))
    };
    conditions.iter().map(pair).collect::<Vec<_>>().join("; ")
}

/// The dependencies in one line, or `uncached`.
fn reads(analyser: &Analyser, sql: &str, values: &[Value<'_>]) -> String {
    let template = analyser.analyse(sql);
    match template.dependencies(values) {
        Some(conditions) => joined(&conditions.to_pairs()),
        None => "uncached".into(),
    }
}

/// The changes in one line, with `; ..` if there may be more.
fn writes(analyser: &Analyser, sql: &str, values: &[Value<'_>]) -> String {
    let template = analyser.analyse(sql);
    let changes = joined(&template.changed_rows(values).to_pairs());
    if template.may_change_more() { format!("{changes}; ..") } else { changes }
}
