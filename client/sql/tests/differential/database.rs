//! A random database: tables, the kinds of their columns, values that meet often.

use cacheops_sql::{ColumnKind, Date, Schema, Table, Value};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};

use support::Random;

/// What a column is declared as, and what it is to the analyser.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub declared: &'static str,
    pub known: ColumnKind,
}

const KINDS: &[Kind] = &[
    Kind { name: "a", declared: "INTEGER", known: ColumnKind::Int },
    Kind { name: "b", declared: "INT", known: ColumnKind::Int },
    Kind { name: "s", declared: "TEXT", known: ColumnKind::Text },
    Kind { name: "n", declared: "TEXT COLLATE NOCASE", known: ColumnKind::Text },
    Kind { name: "q", declared: "VARCHAR(9) COLLATE RTRIM", known: ColumnKind::Text },
    Kind { name: "d", declared: "DECIMAL(8,2)", known: ColumnKind::Decimal },
    Kind { name: "f", declared: "BOOLEAN", known: ColumnKind::Bool },
    Kind { name: "e", declared: "DATE", known: ColumnKind::Date },
    Kind { name: "u", declared: "TEXT", known: ColumnKind::Uuid },
    Kind { name: "r", declared: "REAL", known: ColumnKind::Opaque },
    Kind { name: "x", declared: "", known: ColumnKind::Unknown },
];

/// A value: as the database gets it, and as the adapter tells it.
#[derive(Debug, Clone)]
pub struct Bound {
    pub sql: Sql,
    pub told: Value<'static>,
}

impl rusqlite::ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::from(&self.sql)))
    }
}

/// The columns of a row and their values.
pub type Row = Vec<(String, Value<'static>)>;

pub struct TableShape {
    pub name: String,
    /// Without `id`.
    pub columns: Vec<Kind>,
}

pub struct Database {
    pub connection: Connection,
    pub tables: Vec<TableShape>,
    pub schema: Schema,
    pub described: String,
}

const UUIDS: &[&str] = &[
    "5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab",
    "5F3C0A9E-8D1B-4C2A-9E7F-0123456789AB",
    "00000000-0000-0000-0000-000000000001",
    "5f3c0a9e8d1b4c2a9e7f0123456789ab",
];
const DATES: &[&str] = &["2024-01-05", "2024-01-06", "2023-12-31"];
const TEXTS: &[&str] =
    &["a", "A", "a ", "b", "é", "É", "1", "01", "1.0", " 1", "", "true", "1e0", "0", "x&y=z|%"];
const LONG: &str =
    "A long text whose canonical form is longer than sixty-four bytes, so that it is hashed";

/// A value that a column of this name may well hold, or now and then one of another column.
pub fn value(random: &mut Random, column: &str) -> Bound {
    let column = if random.once_in(8) { KINDS[random.below(KINDS.len())].name } else { column };
    if random.once_in(9) {
        return Bound { sql: Sql::Null, told: Value::Null };
    }
    let text = |text: &str| Bound {
        sql: Sql::Text(text.into()),
        told: Value::Text(text.to_owned().into()),
    };
    let int = |value: i64| Bound { sql: Sql::Integer(value), told: Value::Int(value) };
    let real = |value: f64| Bound { sql: Sql::Real(value), told: Value::Float(value) };
    match column {
        "id" => int(random.below(12) as i64),
        "s" | "n" | "q" if random.once_in(30) => text(LONG),
        "s" | "n" | "q" => text(TEXTS[random.below(TEXTS.len())]),
        "d" => match random.below(5) {
            0 => text("1.50"),
            1 => Bound { sql: Sql::Text("2.250".into()), told: Value::Decimal("2.250".into()) },
            2 => Bound { sql: Sql::Real(1.5), told: Value::Decimal("1.5".into()) },
            3 => real(2.25),
            _ => int(random.below(3) as i64),
        },
        "f" => match random.below(2) as i64 {
            value if random.once_in(2) => {
                Bound { sql: Sql::Integer(value), told: Value::Bool(value == 1) }
            }
            value => int(value),
        },
        "e" => match random.pick(DATES) {
            day if random.once_in(2) => {
                Bound { sql: Sql::Text((*day).into()), told: Value::Date(date(day)) }
            }
            day => text(day),
        },
        "u" => match random.pick(UUIDS) {
            uuid if random.once_in(2) => {
                Bound { sql: Sql::Text((*uuid).into()), told: Value::Uuid(uuid_bytes(uuid)) }
            }
            uuid => text(uuid),
        },
        "r" => real([0.5, 1.0, 2.0, 1e15][random.below(4)]),
        "x" => match random.below(4) {
            0 => text(TEXTS[random.below(TEXTS.len())]),
            1 => real(1.0),
            2 => Bound { sql: Sql::Blob(vec![b'a'; 1]), told: Value::Bytes(vec![b'a'; 1].into()) },
            _ => int(random.below(3) as i64),
        },
        _ => int(random.below(4) as i64),
    }
}

/// A value that a column may *store*: booleans stay booleans.
pub fn stored(random: &mut Random, column: &str) -> Bound {
    loop {
        let value = value(random, column);
        let fits = match column {
            "f" => matches!(value.sql, Sql::Null | Sql::Integer(0 | 1)),
            "id" => matches!(value.sql, Sql::Integer(_)),
            _ => true,
        };
        if fits {
            return value;
        }
    }
}

fn date(text: &str) -> Date {
    let part = |range: std::ops::Range<usize>| text[range].parse::<i32>().unwrap();
    Date { year: part(0..4), month: part(5..7) as u8, day: part(8..10) as u8 }
}

fn uuid_bytes(text: &str) -> [u8; 16] {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

/// A value that came from the database, as an adapter would decode it.
pub fn decoded(random: &mut Random, column: &str, value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) if column == "f" && random.once_in(2) => Value::Bool(value != 0),
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Float(value),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec().into()),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap();
            match column {
                "e" if random.once_in(2) && DATES.contains(&text) => Value::Date(date(text)),
                "u" if random.once_in(2) && UUIDS.contains(&text) => Value::Uuid(uuid_bytes(text)),
                _ => Value::Text(text.to_owned().into()),
            }
        }
    }
}

impl Database {
    /// Three tables with some of the columns each, filled.
    pub fn new(random: &mut Random) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(256);
        let mut tables = Vec::new();
        let mut described = String::new();
        for at in 0..3 {
            let mut columns: Vec<Kind> = KINDS.to_vec();
            while columns.len() > 5 {
                columns.remove(random.below(columns.len()));
            }
            let name = format!("t{at}");
            let definitions: Vec<String> =
                columns.iter().map(|kind| format!("{} {}", kind.name, kind.declared)).collect();
            let create =
                format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, {})", definitions.join(", "));
            connection.execute_batch(&create).unwrap();
            described += &create;
            described += ";\n";
            tables.push(TableShape { name, columns });
        }
        let mut schema = Schema::new();
        if random.once_in(2) {
            described += "-- registered\n";
            for table in &tables {
                let id = Table::new(&table.name).column("id", ColumnKind::Int);
                schema = schema.table(
                    table
                        .columns
                        .iter()
                        .fold(id, |table, kind| table.column(kind.name, kind.known)),
                );
            }
        }
        let database = Self { connection, tables, schema, described };
        database.fill(random);
        database
    }

    fn fill(&self, random: &mut Random) {
        for table in &self.tables {
            for id in 0..random.below(9) {
                let values: Vec<Bound> =
                    table.columns.iter().map(|kind| stored(random, kind.name)).collect();
                let marks = vec!["?"; values.len()].join(", ");
                let sql = format!("INSERT INTO {} VALUES ({id}, {marks})", table.name);
                self.connection.execute(&sql, rusqlite::params_from_iter(&values)).unwrap();
            }
        }
    }

    /// All rows of a table, as text for comparing and as values.
    pub fn rows(&self, random: &mut Random, table: &TableShape) -> Vec<(String, Row)> {
        let names: Vec<&str> =
            std::iter::once("id").chain(table.columns.iter().map(|kind| kind.name)).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY id", names.join(", "), table.name);
        let mut statement = self.connection.prepare_cached(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values: Row = names
                .iter()
                .enumerate()
                .map(|(at, name)| {
                    ((*name).to_owned(), decoded(random, name, row.get_ref(at).unwrap()))
                })
                .collect();
            let text: Vec<String> =
                (0..names.len()).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            all.push((text.join(","), values));
        }
        all
    }

    /// The result of a query as sorted text. `None` if SQLite refuses it.
    pub fn result(&self, sql: &str, values: &[Bound]) -> Option<Vec<String>> {
        let mut statement = self.connection.prepare_cached(sql).ok()?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values)).ok()?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().ok()? {
            let text: Vec<String> =
                (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            all.push(text.join(","));
        }
        all.sort_unstable();
        Some(all)
    }
}
