//! A random database of MariaDB, which compares anything with anything, after converting it.

use cacheops_sql::{ColumnKind, Dialect, Value};
use support::Random;

use crate::database::{ANY, Bound, Kind, TableShape, date};
use crate::live::Live;
use crate::server::Server;

const KINDS: &[Kind] = &[
    Kind { name: "a", declared: "int", known: ColumnKind::Int, family: ANY },
    Kind { name: "b", declared: "bigint unsigned", known: ColumnKind::Int, family: ANY },
    Kind { name: "c", declared: "tinyint", known: ColumnKind::Int, family: ANY },
    Kind { name: "d", declared: "decimal(8, 2)", known: ColumnKind::Decimal, family: ANY },
    Kind { name: "r", declared: "double", known: ColumnKind::Opaque, family: ANY },
    Kind { name: "s", declared: "varchar(90)", known: ColumnKind::Text, family: ANY },
    Kind {
        name: "n",
        declared: "varchar(90) COLLATE utf8mb4_bin",
        known: ColumnKind::BinaryText,
        family: ANY,
    },
    Kind { name: "q", declared: "char(9)", known: ColumnKind::Text, family: ANY },
    Kind { name: "f", declared: "boolean", known: ColumnKind::Int, family: ANY },
    Kind { name: "e", declared: "date", known: ColumnKind::Date, family: ANY },
    Kind { name: "m", declared: "enum('sad', 'ok')", known: ColumnKind::Text, family: ANY },
];
/// A column whose kind must be known if it is compared with what it does not hold.
const TOUCHY: &[&str] = &["e", "m"];

const DATES: &[&str] = &["2024-01-05", "2024-01-06", "2023-12-31"];
const TEXTS: &[&str] = &[
    "a", "A", "a ", "b", "é", "É", "1", "01", "1.0", " 1", "", "true", "1e0", "0", "2 b", "ß",
    "ss", "x&y=z|%",
];
const MOODS: &[&str] = &["sad", "ok", "SAD"];

pub struct MariaDb;

/// What all databases need, once a server.
pub fn prepare(live: &mut Live) {
    live.run("CREATE DATABASE fuzz CHARACTER SET utf8mb4");
    live.run("USE fuzz");
}

fn bound(text: String, value: Value<'static>) -> Bound {
    Bound { sql: rusqlite::types::Value::Null, literal: Some(text.clone()), typed: text, value }
}

fn value(random: &mut Random, column: &str) -> Bound {
    let touchy = TOUCHY.contains(&column);
    let column = if !touchy && random.once_in(8) {
        let other = KINDS[random.below(KINDS.len())].name;
        if TOUCHY.contains(&other) { column } else { other }
    } else {
        column
    };
    if random.once_in(9) {
        return bound("NULL".into(), Value::Null);
    }
    let text = |text: &str| bound(format!("'{text}'"), Value::Text(text.to_owned().into()));
    match column {
        "s" | "n" | "q" => text(TEXTS[random.below(TEXTS.len())]),
        "m" => text(MOODS[random.below(MOODS.len())]),
        "f" => match random.below(3) {
            0 => bound("true".into(), Value::Bool(true)),
            1 => bound("false".into(), Value::Bool(false)),
            other => bound(other.to_string(), Value::Int(other as i64)),
        },
        "e" => {
            let day = *random.pick(DATES);
            if random.once_in(2) {
                return text(day);
            }
            bound(format!("DATE '{day}'"), Value::Date(date(day)))
        }
        "d" | "r" if random.once_in(2) => {
            let chosen = *random.pick(&["1.50", "2.250", "2.0", "0.5"]);
            match random.below(3) {
                0 => bound(format!("{chosen}e0"), Value::Float(chosen.parse().unwrap())),
                1 => text(chosen),
                _ => bound(chosen.into(), Value::Decimal(chosen.into())),
            }
        }
        _ => {
            let value = random.below(if column == "id" { 12 } else { 4 });
            match random.below(12) {
                0 => text(&value.to_string()),
                1 => bound(format!("{value}e0"), Value::Float(value as f64)),
                _ => bound(value.to_string(), Value::Int(value as i64)),
            }
        }
    }
}

impl Server for MariaDb {
    const DIALECT: Dialect = Dialect::MySql;
    const KINDS: &'static [Kind] = KINDS;

    fn unregistered(table: &mut TableShape) {
        table.columns.retain(|kind| !TOUCHY.contains(&kind.name));
        if table.columns.iter().all(|kind| kind.name != KINDS[0].name) {
            table.columns.push(KINDS[0]);
        }
    }

    fn value(random: &mut Random, column: &str) -> Bound {
        value(random, column)
    }

    fn stored(random: &mut Random, column: &str) -> Bound {
        loop {
            let value = value(random, column);
            let text = matches!(value.value, Value::Text(_));
            let fits = match column {
                "id" => matches!(value.value, Value::Int(_)),
                "a" | "b" | "c" | "d" | "r" | "f" => !text,
                _ => true,
            };
            if fits {
                return value;
            }
        }
    }

    fn decoded(column: &str, text: &str) -> Value<'static> {
        match column {
            "d" => Value::Decimal(text.to_owned().into()),
            "r" => Value::Float(text.parse().unwrap()),
            "s" | "q" | "n" | "m" => Value::Text(text.to_owned().into()),
            "e" if text.starts_with('2') => Value::Date(date(text)),
            "e" => Value::Opaque,
            _ => Value::Int(text.parse().unwrap()),
        }
    }
}
