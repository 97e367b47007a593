//! What the test needs of a database: tables with random columns, values that meet often, and answers.

use cacheops_sql::{ColumnKind, Date, Dialect, Schema, Table, Value};
use support::Random;

/// The family of columns that can be compared with anything.
pub const ANY: char = '*';

/// What a column is declared as, and what it is to the analyser.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub declared: &'static str,
    pub known: ColumnKind,
    /// Columns of one family can be compared.
    pub family: char,
}

/// A value: as the database gets it, and as the analyser gets it.
#[derive(Debug, Clone)]
pub struct Bound {
    /// What is bound, where values are.
    pub sql: rusqlite::types::Value,
    /// What stands in the place of the parameter, where values are written out: a constant with its type.
    pub typed: String,
    /// The same as a literal of the statement, where there is one.
    pub literal: Option<String>,
    pub value: Value<'static>,
}

/// A statement, with `?` for each of its values.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    pub values: Vec<Bound>,
}

impl Statement {
    pub fn bound_values(&self) -> Vec<Value<'static>> {
        self.values.iter().map(|value| value.value.clone()).collect()
    }

    /// The text with the values in it.
    pub fn written_out(&self) -> String {
        let mut parts = self.sql.split('?');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (value, part) in self.values.iter().zip(parts) {
            text += &value.typed;
            text += part;
        }
        text
    }
}

/// The columns of a row and their values.
pub type Row = Vec<(String, Value<'static>)>;

pub struct TableShape {
    pub name: String,
    /// Without `id`.
    pub columns: Vec<Kind>,
}

impl TableShape {
    /// The names of all columns.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("id").chain(self.columns.iter().map(|kind| kind.name))
    }

    /// Asks for all rows, with the columns in this order.
    pub fn query(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        format!("SELECT {} FROM {} ORDER BY id", names.join(", "), self.name)
    }
}

/// A database with the tables `t0`, `t1` and `t2`. No text of its values has a question mark.
pub trait Database {
    fn dialect(&self) -> Dialect;
    fn tables(&self) -> &[TableShape];
    fn schema(&self) -> &Schema;
    /// The definitions, to repeat a miss by hand.
    fn described(&self) -> &str;
    /// A value that a column of this name may be compared with.
    fn value(&self, random: &mut Random, column: &str) -> Bound;
    /// A value that it may hold.
    fn stored(&self, random: &mut Random, column: &str) -> Bound;
    /// Some such values in one, for `= ANY(..)`.
    fn array(&self, _: &mut Random, _: &str) -> Option<Bound> {
        None
    }
    /// All rows of a table, as text for comparing and as values.
    fn rows(&self, random: &mut Random, table: usize) -> Vec<(String, Row)>;
    /// Whether a statement has a meaning, as far as that is known without running it.
    fn is_valid(&self, statement: &Statement) -> bool;
    /// The result of a query as sorted text, or why there is none.
    fn result(&self, statement: &Statement) -> Result<Vec<String>, String>;
    /// Runs a write. False if it was refused, and nothing has changed.
    fn execute(&self, statement: &Statement) -> bool;

    /// The text that the analyser gets.
    fn analysed(&self, sql: &str) -> String {
        if self.dialect() != Dialect::Postgres {
            return sql.to_owned();
        }
        let mut parts = sql.split('?');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.enumerate().fold(first, |sql, (at, part)| format!("{sql}${}{part}", at + 1))
    }

    /// The family of a column. All tables agree on it.
    fn family(&self, column: &str) -> char {
        let columns = self.tables().iter().flat_map(|table| &table.columns);
        let mut kinds = columns.filter(|kind| kind.name == column);
        kinds.next().map_or_else(|| self.family_of_id(), |kind| kind.family)
    }

    fn family_of_id(&self) -> char {
        if self.dialect() == Dialect::Sqlite { ANY } else { 'i' }
    }
}

/// Three shapes with some of the kinds each.
pub fn shapes(random: &mut Random, kinds: &[Kind]) -> Vec<TableShape> {
    let shape = |at| {
        let mut columns: Vec<Kind> = kinds.to_vec();
        while columns.len() > 5 {
            columns.remove(random.below(columns.len()));
        }
        TableShape { name: format!("t{at}"), columns }
    };
    (0..3).map(shape).collect()
}

/// The definition of a table.
pub fn create(shape: &TableShape, id: &str) -> String {
    let columns: Vec<String> =
        shape.columns.iter().map(|kind| format!("{} {}", kind.name, kind.declared)).collect();
    format!("CREATE TABLE {} (id {id}, {})", shape.name, columns.join(", "))
}

/// A schema that knows all columns, or none.
pub fn registered(random: &mut Random, tables: &[TableShape], described: &mut String) -> Schema {
    let mut schema = Schema::new();
    if random.once_in(2) {
        *described += "-- registered\n";
        for table in tables {
            let id = Table::new(&table.name).column("id", ColumnKind::Int);
            let columns = table.columns.iter();
            schema =
                schema.table(columns.fold(id, |table, kind| table.column(kind.name, kind.known)));
        }
    }
    schema
}

/// Rows to begin with.
pub fn fill(random: &mut Random, database: &dyn Database) {
    for table in database.tables() {
        for id in 0..random.below(9) {
            let values: Vec<Bound> =
                table.columns.iter().map(|kind| database.stored(random, kind.name)).collect();
            let marks = vec!["?"; values.len()].join(", ");
            let sql = format!("INSERT INTO {} VALUES ({id}, {marks})", table.name);
            let insert = Statement { sql, values };
            assert!(database.execute(&insert), "{}", insert.written_out());
        }
    }
}

pub fn date(text: &str) -> Date {
    let part = |range: std::ops::Range<usize>| text[range].parse::<i32>().unwrap();
    Date { year: part(0..4), month: part(5..7) as u8, day: part(8..10) as u8 }
}

pub fn uuid_bytes(text: &str) -> [u8; 16] {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}
