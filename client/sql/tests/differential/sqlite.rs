//! A random database of SQLite, where any column may hold and be compared with almost anything.

use cacheops_sql::{ColumnKind, Dialect, Schema, Value};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use support::Random;

use crate::database::{
    ANY, Bound, Database, Kind, Row, Statement, TableShape, create, date, fill, registered, shapes,
    uuid_bytes,
};

const KINDS: &[Kind] = &[
    Kind { name: "a", declared: "INTEGER", known: ColumnKind::Int, family: ANY },
    Kind { name: "b", declared: "INT", known: ColumnKind::Int, family: ANY },
    Kind { name: "s", declared: "TEXT", known: ColumnKind::Text, family: ANY },
    Kind { name: "n", declared: "TEXT COLLATE NOCASE", known: ColumnKind::Text, family: ANY },
    Kind { name: "q", declared: "VARCHAR(9) COLLATE RTRIM", known: ColumnKind::Text, family: ANY },
    Kind { name: "d", declared: "DECIMAL(8,2)", known: ColumnKind::Decimal, family: ANY },
    Kind { name: "f", declared: "BOOLEAN", known: ColumnKind::Bool, family: ANY },
    Kind { name: "e", declared: "DATE", known: ColumnKind::Date, family: ANY },
    Kind { name: "u", declared: "TEXT", known: ColumnKind::Uuid, family: ANY },
    Kind { name: "r", declared: "REAL", known: ColumnKind::Opaque, family: ANY },
    Kind { name: "x", declared: "", known: ColumnKind::Unknown, family: ANY },
];

pub struct Sqlite {
    connection: Connection,
    tables: Vec<TableShape>,
    schema: Schema,
    described: String,
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
fn value(random: &mut Random, column: &str) -> Bound {
    let column = if random.once_in(8) { KINDS[random.below(KINDS.len())].name } else { column };
    if random.once_in(9) {
        return bound(Sql::Null, Value::Null);
    }
    let text = |text: &str| bound(Sql::Text(text.into()), Value::Text(text.to_owned().into()));
    let int = |value: i64| bound(Sql::Integer(value), Value::Int(value));
    let real = |value: f64| bound(Sql::Real(value), Value::Float(value));
    match column {
        "id" => int(random.below(12) as i64),
        "s" | "n" | "q" if random.once_in(30) => text(LONG),
        "s" | "n" | "q" => text(TEXTS[random.below(TEXTS.len())]),
        "d" => match random.below(5) {
            0 => text("1.50"),
            1 => bound(Sql::Text("2.250".into()), Value::Decimal("2.250".into())),
            2 => bound(Sql::Real(1.5), Value::Decimal("1.5".into())),
            3 => real(2.25),
            _ => int(random.below(3) as i64),
        },
        "f" => match random.below(2) as i64 {
            value if random.once_in(2) => bound(Sql::Integer(value), Value::Bool(value == 1)),
            value => int(value),
        },
        "e" => match random.pick(DATES) {
            day if random.once_in(2) => bound(Sql::Text((*day).into()), Value::Date(date(day))),
            day => text(day),
        },
        "u" => match random.pick(UUIDS) {
            uuid if random.once_in(2) => {
                bound(Sql::Text((*uuid).into()), Value::Uuid(uuid_bytes(uuid)))
            }
            uuid => text(uuid),
        },
        "r" => real([0.5, 1.0, 2.0, 1e15][random.below(4)]),
        "x" => match random.below(4) {
            0 => text(TEXTS[random.below(TEXTS.len())]),
            1 => real(1.0),
            2 => bound(Sql::Blob(vec![b'a'; 1]), Value::Bytes(vec![b'a'; 1].into())),
            _ => int(random.below(3) as i64),
        },
        _ => int(random.below(4) as i64),
    }
}

/// A value that a column may *store*: booleans stay booleans.
fn stored(random: &mut Random, column: &str) -> Bound {
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

/// A value that came from the database, as an adapter would decode it.
fn decoded(random: &mut Random, column: &str, value: ValueRef<'_>) -> Value<'static> {
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

/// A row as text, for comparing.
fn shown(row: &rusqlite::Row<'_>) -> String {
    let columns = 0..row.as_ref().column_count();
    let texts: Vec<String> = columns.map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
    texts.join(",")
}

fn bound(sql: Sql, value: Value<'static>) -> Bound {
    let literal = match &sql {
        Sql::Null => Some("NULL".into()),
        Sql::Integer(value) => Some(value.to_string()),
        Sql::Real(value) => Some(format!("{value:?}")),
        Sql::Text(text) => Some(format!("'{text}'")),
        Sql::Blob(_) => None,
    };
    Bound { sql, typed: String::new(), literal, value }
}

impl rusqlite::ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::from(&self.sql)))
    }
}

impl Sqlite {
    /// Three tables with some of the columns each, filled.
    pub fn new(random: &mut Random) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(256);
        let tables = shapes(random, KINDS);
        let mut described = String::new();
        for shape in &tables {
            let create = create(shape, "INTEGER PRIMARY KEY");
            connection.execute_batch(&create).unwrap();
            described += &format!("{create};\n");
        }
        let schema = registered(random, &tables, &mut described);
        let database = Self { connection, tables, schema, described };
        fill(random, &database);
        database
    }
}

impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
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
        stored(random, column)
    }

    fn rows(&self, random: &mut Random, table: usize) -> Vec<(String, Row)> {
        let table = &self.tables[table];
        let mut statement = self.connection.prepare_cached(&table.query()).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let value = |(at, name): (usize, &str)| {
                (name.to_owned(), decoded(random, name, row.get_ref(at).unwrap()))
            };
            let values: Row = table.names().enumerate().map(value).collect();
            all.push((shown(row), values));
        }
        all
    }

    fn is_valid(&self, statement: &Statement) -> bool {
        self.connection.prepare_cached(&statement.sql).is_ok()
    }

    fn result(&self, statement: &Statement) -> Result<Vec<String>, String> {
        let error = |error: rusqlite::Error| error.to_string();
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(error)?;
        let values = rusqlite::params_from_iter(&statement.values);
        let mut rows = prepared.query(values).map_err(error)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            all.push(shown(row));
        }
        all.sort_unstable();
        Ok(all)
    }

    fn execute(&self, statement: &Statement) -> bool {
        let values = rusqlite::params_from_iter(&statement.values);
        let mut prepared = self.connection.prepare_cached(&statement.sql);
        prepared.as_mut().is_ok_and(|prepared| prepared.execute(values).is_ok())
    }
}
