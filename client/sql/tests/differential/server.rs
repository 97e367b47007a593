//! A random database on a server, spoken to in plain text.

use std::cell::RefCell;
use std::marker::PhantomData;

use cacheops_sql::{Dialect, Schema, Value};
use support::Random;

use crate::database::{
    Bound, Database, Kind, Row, Statement, TableShape, create, fill, registered, shapes,
};
use crate::live::{Live, Texts};

/// What differs between the databases of two servers.
pub trait Server {
    const DIALECT: Dialect;
    const KINDS: &'static [Kind];

    /// Where no column is registered, what must not be in the tables is taken away.
    fn unregistered(_: &mut TableShape) {}
    /// As [`Database::value`].
    fn value(random: &mut Random, column: &str) -> Bound;
    /// As [`Database::stored`].
    fn stored(random: &mut Random, column: &str) -> Bound;
    /// As [`Database::array`].
    fn array(_: &mut Random, _: &str) -> Option<Bound> {
        None
    }
    /// A value that came from the database, as an adapter would decode it.
    fn decoded(column: &str, text: &str) -> Value<'static>;
}

pub struct OnServer<'l, S> {
    live: RefCell<&'l mut Live>,
    tables: Vec<TableShape>,
    schema: Schema,
    described: String,
    server: PhantomData<S>,
}

impl<'l, S: Server> OnServer<'l, S> {
    /// Three tables with some of the columns each, filled.
    pub fn new(live: &'l mut Live, random: &mut Random) -> Self {
        live.run("DROP TABLE IF EXISTS t0, t1, t2");
        let mut tables = shapes(random, S::KINDS);
        let mut described = String::new();
        let schema = registered(random, &tables, &mut described);
        if described.is_empty() {
            tables.iter_mut().for_each(S::unregistered);
        }
        for shape in &tables {
            let create = create(shape, "int PRIMARY KEY");
            live.run(&create);
            described += &format!("{create};\n");
        }
        let live = RefCell::new(live);
        let database = Self { live, tables, schema, described, server: PhantomData };
        fill(random, &database);
        database
    }

    fn query(&self, sql: &str) -> Result<Vec<Texts>, String> {
        self.live.borrow_mut().query(sql)
    }
}

impl<S: Server> Database for OnServer<'_, S> {
    fn dialect(&self) -> Dialect {
        S::DIALECT
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
        S::value(random, column)
    }

    fn stored(&self, random: &mut Random, column: &str) -> Bound {
        S::stored(random, column)
    }

    fn array(&self, random: &mut Random, column: &str) -> Option<Bound> {
        S::array(random, column)
    }

    fn rows(&self, _: &mut Random, table: usize) -> Vec<(String, Row)> {
        let table = &self.tables[table];
        let value = |name: &str, text: &Option<String>| {
            text.as_deref().map_or(Value::Null, |text| S::decoded(name, text))
        };
        let row = |texts: Texts| {
            let row = table.names().zip(&texts);
            let row = row.map(|(name, text)| (name.to_owned(), value(name, text))).collect();
            (format!("{texts:?}"), row)
        };
        self.query(&table.query()).unwrap().into_iter().map(row).collect()
    }

    fn is_valid(&self, statement: &Statement) -> bool {
        self.query(&format!("EXPLAIN {}", statement.written_out())).is_ok()
    }

    fn result(&self, statement: &Statement) -> Result<Vec<String>, String> {
        let rows = self.query(&statement.written_out())?;
        let mut all: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
        all.sort_unstable();
        Ok(all)
    }

    fn execute(&self, statement: &Statement) -> bool {
        self.query(&statement.written_out()).is_ok()
    }
}
