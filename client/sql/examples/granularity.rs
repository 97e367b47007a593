//! How granular the queries of an application are: which part of them can be cached, and how exactly they are invalidated.
//!
//! Reads one query a line, with `\n` for the ends of its own lines, behind the types of its parameters and a tab:
//! `int,text[] \t SELECT ..`. The tables may be listed in a file, `table column type` a line.
//!
//! `cargo run -p cacheops-sql --example granularity -- postgresql [tables] < queries`

use std::io::BufRead;

use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dialect = match arguments.next().as_deref() {
        Some("postgresql") => Dialect::Postgres,
        Some("mysql") => Dialect::MySql,
        Some("sqlite") => Dialect::Sqlite,
        _ => return Err("the first argument is postgresql, mysql or sqlite".into()),
    };
    let schema = match arguments.next() {
        Some(file) => schema(&std::fs::read_to_string(file)?),
        None => Schema::new(),
    };
    let analyser = Analyser::new(dialect, schema, 1000);
    let (mut queries, mut uncached, mut whole, mut granular) = (0_u32, 0_u32, 0_u32, 0_u32);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (types, sql) = line.split_once('\t').ok_or("a tab stands behind the types")?;
        let sql = sql.replace("\\n", "\n");
        let types = types.split(',').filter(|word| !word.is_empty());
        let values: Vec<Value<'_>> = types.map(value).collect();
        queries += 1;
        let template = analyser.analyse(&sql);
        let found = match template.dependencies(&values) {
            None => {
                uncached += 1;
                "uncached".to_owned()
            }
            Some(conditions) if conditions.iter().any(|(_, condition)| condition == b"*") => {
                whole += 1;
                shown(&conditions)
            }
            Some(conditions) => {
                granular += 1;
                shown(&conditions)
            }
        };
        println!("{found}\t{}", sql.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    println!(
        "{queries} queries: {granular} with terms for all tables, {whole} not, {uncached} uncached"
    );
    Ok(())
}

fn shown(conditions: &cacheops_sql::Conditions<'_>) -> String {
    let pair = |(table, condition)| format!("{table}: {}", String::from_utf8_lossy(condition));
    conditions.iter().map(pair).collect::<Vec<_>>().join("; ")
}

/// A value of a type, as PostgreSQL calls it.
fn value(kind: &str) -> Value<'static> {
    let kind = kind.trim().to_ascii_lowercase();
    if let Some(element) = kind.strip_suffix("[]") {
        return Value::Array(vec![value(element), value(element)]);
    }
    match kind.as_str() {
        "int2" | "int4" | "int8" | "int" => Value::Int(7),
        "text" | "varchar" | "name" | "bpchar" | "char" => Value::from("some text"),
        "bool" => Value::Bool(true),
        "uuid" => Value::Uuid([0xa7; 16]),
        "bytea" => Value::Bytes(vec![0xfe; 32].into()),
        _ => Value::Opaque,
    }
}

fn schema(text: &str) -> Schema {
    let mut tables: Vec<(String, Table)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(table), Some(column), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if tables.last().is_none_or(|(name, _)| name != table) {
            tables.push((table.to_owned(), Table::new(table)));
        }
        let kind = match kind {
            "smallint" | "integer" | "bigint" => ColumnKind::Int,
            "numeric" => ColumnKind::Decimal,
            "boolean" => ColumnKind::Bool,
            "uuid" => ColumnKind::Uuid,
            "date" => ColumnKind::Date,
            "bytea" => ColumnKind::Bytes,
            "text" | "character_varying" | "character" | "USER-DEFINED" => ColumnKind::Text,
            _ => ColumnKind::Opaque,
        };
        if let Some((name, known)) = tables.pop() {
            tables.push((name, known.column(column, kind)));
        }
    }
    tables.into_iter().fold(Schema::new(), |schema, (_, table)| schema.table(table))
}
