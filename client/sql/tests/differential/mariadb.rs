//! A random database of MariaDB, which compares anything with anything, after converting it.

use std::cell::RefCell;

use cacheops_sql::{ColumnKind, Dialect, Schema, Value};
use support::Random;

use crate::database::{
    ANY, Bound, Database, Kind, Row, Statement, TableShape, create, date, fill, registered, shapes,
};
use crate::live::{Live, Texts};

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

pub struct MariaDb<'l> {
    live: RefCell<&'l mut Live>,
    tables: Vec<TableShape>,
    schema: Schema,
    described: String,
}

/// What all databases need, once a server.
pub fn prepare(live: &mut Live) {
    live.run("CREATE DATABASE fuzz CHARACTER SET utf8mb4");
    live.run("USE fuzz");
}

fn bound(text: String, told: Value<'static>) -> Bound {
    Bound { sql: rusqlite::types::Value::Null, literal: Some(text.clone()), typed: text, told }
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

/// A value that came from the database, as an adapter would decode it.
fn decoded(column: &str, text: Option<&str>) -> Value<'static> {
    let Some(text) = text else { return Value::Null };
    match column {
        "d" => Value::Decimal(text.to_owned().into()),
        "r" => Value::Float(text.parse().unwrap()),
        "s" | "q" | "n" | "m" => Value::Text(text.to_owned().into()),
        "e" if text.starts_with('2') => Value::Date(date(text)),
        "e" => Value::Opaque,
        _ => Value::Int(text.parse().unwrap()),
    }
}

impl<'l> MariaDb<'l> {
    /// Three tables with some of the columns each, filled.
    pub fn new(live: &'l mut Live, random: &mut Random) -> Self {
        live.run("DROP TABLE IF EXISTS t0, t1, t2");
        let mut tables = shapes(random, KINDS);
        let mut described = String::new();
        let schema = registered(random, &tables, &mut described);
        if described.is_empty() {
            for table in &mut tables {
                table.columns.retain(|kind| !TOUCHY.contains(&kind.name));
                table.columns.push(KINDS[0]);
                table.columns.dedup_by_key(|kind| kind.name);
                let mut seen = Vec::new();
                table.columns.retain(|kind| {
                    let new = !seen.contains(&kind.name);
                    seen.push(kind.name);
                    new
                });
            }
        }
        for shape in &tables {
            let create = create(shape, "int PRIMARY KEY");
            live.run(&create);
            described += &format!("{create};\n");
        }
        let database = Self { live: RefCell::new(live), tables, schema, described };
        fill(random, &database);
        database
    }

    fn ask(&self, sql: &str) -> Result<Vec<Texts>, String> {
        self.live.borrow_mut().ask(sql)
    }
}

impl Database for MariaDb<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::MySql
    }

    fn tables(&self) -> &[TableShape] {
        &self.tables
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn described(&self) -> &str {
        &self.described
    }

    fn value(&self, random: &mut Random, column: &str) -> Bound {
        value(random, column)
    }

    fn stored(&self, random: &mut Random, column: &str) -> Bound {
        loop {
            let value = value(random, column);
            let text = matches!(value.told, Value::Text(_));
            let fits = match column {
                "id" => matches!(value.told, Value::Int(_)),
                "a" | "b" | "c" | "d" | "r" | "f" => !text,
                _ => true,
            };
            if fits {
                return value;
            }
        }
    }

    fn rows(&self, _: &mut Random, table: usize) -> Vec<(String, Row)> {
        let table = &self.tables[table];
        let names: Vec<&str> =
            std::iter::once("id").chain(table.columns.iter().map(|kind| kind.name)).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY id", names.join(", "), table.name);
        let rows = self.ask(&sql).unwrap();
        let row = |texts: &Texts| {
            let values = names.iter().zip(texts);
            let values =
                values.map(|(name, text)| ((*name).to_owned(), decoded(name, text.as_deref())));
            (format!("{texts:?}"), values.collect())
        };
        rows.iter().map(row).collect()
    }

    fn is_valid(&self, statement: &Statement) -> bool {
        self.ask(&format!("EXPLAIN {}", statement.written_out())).is_ok()
    }

    fn result(&self, statement: &Statement) -> Result<Vec<String>, String> {
        let rows = self.ask(&statement.written_out())?;
        let mut all: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
        all.sort_unstable();
        Ok(all)
    }

    fn execute(&self, statement: &Statement) -> bool {
        self.ask(&statement.written_out()).is_ok()
    }
}
