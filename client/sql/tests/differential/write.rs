//! Random writes.

use crate::database::{Bound, Database, stored};
use crate::query::{Maker, Statement};
use support::Random;

/// A write, and the table that it is for.
pub fn write(random: &mut Random, database: &Database) -> (Statement, usize) {
    let table = random.below(3);
    let name = format!("t{table}");
    let mut values = Vec::new();
    let sql = match random.below(15) {
        0..=2 => insert(random, database, table, "INSERT", &mut values),
        3 => insert(random, database, table, "INSERT OR IGNORE", &mut values),
        4 if random.once_in(2) => {
            let verb = *random.pick(&["INSERT OR REPLACE", "REPLACE"]);
            insert(random, database, table, verb, &mut values)
        }
        4 | 5 => {
            let mut sql = insert(random, database, table, "INSERT", &mut values);
            if random.once_in(3) {
                sql += " ON CONFLICT (id) DO NOTHING";
            } else {
                let set = assignments(random, database, table, &mut values, true);
                sql += &format!(" ON CONFLICT (id) DO UPDATE SET {set}");
            }
            sql
        }
        6 if random.once_in(2) => insert_select(random, database, table, &mut values),
        6 | 12..15 => update_from(random, database, table, &mut values),
        7 | 8 => {
            let (condition, all) = Maker::condition(random, database, table, values);
            values = all;
            format!("DELETE FROM {name} WHERE {condition}")
        }
        _ => {
            let set = assignments(random, database, table, &mut values, false);
            let (condition, all) = Maker::condition(random, database, table, values);
            values = all;
            let or = *random.pick(&["", "", "", "", "OR IGNORE ", "OR REPLACE "]);
            format!("UPDATE {or}{name} SET {set} WHERE {condition}")
        }
    };
    (Statement { sql, values }, table)
}

fn constant(random: &mut Random, column: &str, values: &mut Vec<Bound>) -> String {
    let value = stored(random, column);
    if random.once_in(3) {
        use rusqlite::types::Value as Sql;
        match &value.sql {
            Sql::Null => return "NULL".into(),
            Sql::Integer(value) => return value.to_string(),
            Sql::Text(text) => return format!("'{text}'"),
            _ => {}
        }
    }
    values.push(value);
    "?".into()
}

fn insert(
    random: &mut Random,
    database: &Database,
    table: usize,
    verb: &str,
    values: &mut Vec<Bound>,
) -> String {
    let mut columns: Vec<&str> = database.tables[table]
        .columns
        .iter()
        .map(|kind| kind.name)
        .filter(|_| !random.once_in(3))
        .collect();
    if !random.once_in(4) || columns.is_empty() {
        columns.insert(0, "id");
    }
    let rows: Vec<String> = (0..1 + random.below(2))
        .map(|_| {
            let row: Vec<String> =
                columns.iter().map(|column| constant(random, column, values)).collect();
            format!("({})", row.join(", "))
        })
        .collect();
    format!("{verb} INTO t{table} ({}) VALUES {}", columns.join(", "), rows.join(", "))
}

fn insert_select(
    random: &mut Random,
    database: &Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let other = random.below(3);
    let shape = &database.tables[table];
    let (mut columns, mut items) = (vec!["id"], vec![format!("o.id + {}", random.below(9))]);
    for kind in &shape.columns {
        if random.once_in(3) {
            continue;
        }
        columns.push(kind.name);
        items.push(if random.once_in(2) {
            constant(random, kind.name, values)
        } else {
            format!("o.{}", random.pick(&database.tables[other].columns).name)
        });
    }
    let mut sql = format!(
        "INSERT OR IGNORE INTO t{table} ({}) SELECT {} FROM t{other} AS o",
        columns.join(", "),
        items.join(", ")
    );
    if random.once_in(2) {
        sql += " WHERE o.id < 4";
    }
    sql
}

fn update_from(
    random: &mut Random,
    database: &Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let name = format!("t{table}");
    let set = assignments(random, database, table, values, false);
    let given = std::mem::take(values);
    let (mut from, condition, all) = Maker::joined(random, database, (table, &name), given);
    *values = all;
    let mut common = String::new();
    if random.once_in(4)
        && let Some((first, rest)) = from.split_once(" AS o")
    {
        common = format!("WITH o AS (SELECT * FROM {first} WHERE id < 5) ");
        from = format!("o{rest}");
    }
    format!("{common}UPDATE {name} SET {set} FROM {from} WHERE {condition}")
}

fn assignments(
    random: &mut Random,
    database: &Database,
    table: usize,
    values: &mut Vec<Bound>,
    upsert: bool,
) -> String {
    let shape = &database.tables[table];
    let mut assigned: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..1 + random.below(2) {
        let column = if random.once_in(12) { "id" } else { random.pick(&shape.columns).name };
        if assigned.contains(&column) {
            continue;
        }
        assigned.push(column);
        let value = match random.below(5) {
            0 if upsert => format!("excluded.{column}"),
            0 if column != "f" => {
                let other = random.pick(&shape.columns).name;
                format!("t{table}.{other}")
            }
            1 if column != "f" => format!("t{table}.{column} + 1"),
            _ => constant(random, column, values),
        };
        parts.push(format!("{column} = {value}"));
    }
    parts.join(", ")
}
