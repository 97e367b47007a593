//! Writes as SQL text.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use support::Random;

use super::predicate::Maker;
use super::tables::{Kind, LABEL, LINK, NOTE, OWNER, TABLES};

/// One random write, executed in one of the ways to execute one.
pub async fn write<C: ConnectionTrait>(db: &C, random: &mut Random) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let statement = statement(random, backend);
    let gives_rows = statement.sql.contains("RETURNING") || statement.sql.starts_with("WITH");
    if gives_rows {
        match random.below(2) {
            0 => db.query_all_raw(statement).await.map(drop),
            _ => db.query_one_raw(statement).await.map(drop),
        }
    } else if statement.values.as_ref().is_none_or(|values| values.0.is_empty())
        && random.once_in(2)
    {
        db.execute_unprepared(&statement.sql).await.map(drop)
    } else {
        db.execute_raw(statement).await.map(drop)
    }
}

fn statement(random: &mut Random, backend: DbBackend) -> Statement {
    let mut maker = Maker::new(random, backend);
    let table = maker.table();
    let name = TABLES[table].name;
    let mysql = backend == DbBackend::MySql;
    let postgres = backend == DbBackend::Postgres;
    let sql = match maker.random.below(24) {
        0..=2 => {
            let verb = match maker.random.below(4) {
                0 if mysql => "INSERT IGNORE",
                0 if !postgres => "INSERT OR IGNORE",
                _ => "INSERT",
            };
            maker.insert(table, verb) + &maker.returning(table, true)
        }
        3 | 4 if mysql => {
            let sql = maker.insert(table, "INSERT");
            let set = maker.assignments(table, name, Some("VALUES"));
            format!("{sql} ON DUPLICATE KEY UPDATE {set}")
        }
        3 | 4 => {
            let key = TABLES[table].key.join(", ");
            let sql = maker.insert(table, "INSERT");
            let action = if maker.random.once_in(3) {
                "NOTHING".to_owned()
            } else {
                let set = maker.assignments(table, name, Some("excluded"));
                let only = if maker.random.once_in(3) {
                    format!(" WHERE {name}.{} IS NOT NULL", TABLES[table].columns[1].0)
                } else {
                    String::new()
                };
                format!("UPDATE SET {set}{only}")
            };
            format!("{sql} ON CONFLICT ({key}) DO {action}{}", maker.returning(table, true))
        }
        5 if !postgres => {
            let verb =
                if mysql || maker.random.once_in(2) { "REPLACE" } else { "INSERT OR REPLACE" };
            maker.insert(table, verb)
        }
        6 => maker.insert_select(table),
        7 if mysql => {
            let set = maker.assignments(table, name, None);
            let condition = maker.condition(OWNER, "o");
            let link = maker.on(table, name);
            format!("UPDATE {name}, owner AS o SET {set} WHERE {link} AND {condition}")
        }
        7 => {
            let set = maker.assignments(table, name, None);
            let condition = maker.condition(OWNER, "o");
            let link = maker.on(table, name);
            format!(
                "UPDATE {name} SET {set} FROM owner AS o WHERE {link} AND {condition}{}",
                maker.returning(table, false)
            )
        }
        8 if postgres => {
            let condition = maker.condition(OWNER, "o");
            let link = maker.on(table, name);
            format!("DELETE FROM {name} USING owner AS o WHERE {link} AND {condition}")
        }
        8 if mysql => {
            let condition = maker.condition(OWNER, "o");
            let link = maker.on(table, name);
            format!("DELETE {name} FROM {name} JOIN owner AS o ON {link} WHERE {condition}")
        }
        9 if postgres => {
            let condition = maker.condition(table, name);
            let key = TABLES[table].key[0];
            match maker.random.below(2) {
                0 => format!(
                    "WITH gone AS (DELETE FROM {name} WHERE {condition} RETURNING {key}) SELECT count(*) FROM gone"
                ),
                _ => {
                    let set = maker.assignments(table, name, None);
                    format!(
                        "WITH moved AS (UPDATE {name} SET {set} WHERE {condition} RETURNING {key}) SELECT * FROM moved"
                    )
                }
            }
        }
        10 if maker.random.once_in(3) && backend != DbBackend::Sqlite => {
            let table = [NOTE, LINK][maker.random.below(2)];
            let cascade = if postgres && maker.random.once_in(2) { " CASCADE" } else { "" };
            format!("TRUNCATE TABLE {}{cascade}", TABLES[table].name)
        }
        11 => {
            // Keys that others refer to.
            let slug = maker.constant(Kind::Slug);
            let condition = maker.condition(LABEL, "label");
            format!("UPDATE label SET slug = {slug} WHERE {condition}")
        }
        12 => {
            let id = maker.constant(Kind::Id);
            let condition = maker.condition(OWNER, "owner");
            format!("UPDATE owner SET id = {id} WHERE {condition}")
        }
        13..=15 => {
            let condition = maker.condition(table, name);
            let limit = maker.limit(table);
            let returning = if mysql && !limit.is_empty() {
                String::new()
            } else {
                maker.returning(table, true)
            };
            format!("DELETE FROM {name} WHERE {condition}{limit}{returning}")
        }
        _ => {
            let or = match maker.random.below(8) {
                0 if mysql => "IGNORE ",
                0 if !postgres => "OR IGNORE ",
                1 if backend == DbBackend::Sqlite => "OR REPLACE ",
                _ => "",
            };
            let alias = maker.random.once_in(6);
            let (item, known) =
                if alias { (format!("{name} AS x"), "x") } else { (name.to_owned(), name) };
            let set = maker.assignments(table, known, None);
            let condition = maker.condition(table, known);
            let limit = maker.limit(table);
            let returning = if alias { String::new() } else { maker.returning(table, false) };
            format!("UPDATE {or}{item} SET {set} WHERE {condition}{limit}{returning}")
        }
    };
    maker.statement(sql)
}

impl Maker<'_> {
    /// How rows of a table meet owners `o`.
    fn on(&mut self, table: usize, name: &str) -> String {
        let kind = if self.random.once_in(4) { Kind::Text } else { Kind::Id };
        let own: Vec<_> =
            TABLES[table].columns.iter().filter(|(_, other)| kind.meets(*other)).collect();
        if own.is_empty() || kind == Kind::Text {
            return "o.id < 4".into();
        }
        let column = self.random.pick(&own).0;
        format!("o.id = {name}.{column}")
    }

    /// MySQL changes only some of the rows if asked to.
    fn limit(&mut self, table: usize) -> String {
        if self.backend != DbBackend::MySql || !self.random.once_in(6) {
            return String::new();
        }
        format!(" ORDER BY {} LIMIT {}", TABLES[table].key.join(", "), 1 + self.random.below(2))
    }

    fn returning(&mut self, table: usize, everywhere: bool) -> String {
        if self.backend == DbBackend::MySql && !everywhere || !self.random.once_in(3) {
            return String::new();
        }
        match self.random.below(4) {
            0 => format!(" RETURNING {}", TABLES[table].key.join(", ")),
            1 => {
                let columns = TABLES[table].columns;
                let (first, second) = (self.random.pick(columns).0, self.random.pick(columns).0);
                format!(" RETURNING {first}, {second}")
            }
            2 => format!(" RETURNING {} AS one", TABLES[table].columns[0].0),
            _ => " RETURNING *".into(),
        }
    }

    fn insert(&mut self, table: usize, verb: &str) -> String {
        let key = TABLES[table].key;
        let mut columns: Vec<(&str, Kind)> = TABLES[table]
            .columns
            .iter()
            .filter(|(column, _)| {
                key.contains(column) && *column != "id" || !self.random.once_in(3)
            })
            .copied()
            .collect();
        if columns.is_empty() {
            columns.push(TABLES[table].columns[0]);
        }
        let rows: Vec<String> = (0..1 + self.random.below(2))
            .map(|_| {
                let row: Vec<String> = columns.iter().map(|(_, kind)| self.stored(*kind)).collect();
                format!("({})", row.join(", "))
            })
            .collect();
        let names: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
        format!(
            "{verb} INTO {} ({}) VALUES {}",
            TABLES[table].name,
            names.join(", "),
            rows.join(", ")
        )
    }

    fn insert_select(&mut self, table: usize) -> String {
        if table == LINK || table == LABEL {
            return format!(
                "INSERT INTO link (thing_id, slug) SELECT t.id, l.slug FROM thing AS t, label AS l WHERE t.id = {}",
                self.constant(Kind::Id)
            );
        }
        let name = TABLES[table].name;
        let from = self.table();
        let source = TABLES[from].name;
        let (column, kind) = *self.random.pick(TABLES[table].columns);
        let fit: Vec<_> = TABLES[from].columns.iter().filter(|(_, other)| *other == kind).collect();
        let value = match fit.as_slice() {
            [] => self.stored(kind),
            some => self.random.pick(some).0.to_owned(),
        };
        let condition = self.condition(from, source);
        if column == "id" {
            return format!(
                "INSERT INTO {name} (id) SELECT {value} FROM {source} WHERE {condition}"
            );
        }
        format!("INSERT INTO {name} ({column}) SELECT {value} FROM {source} WHERE {condition}")
    }

    /// What may be put into a column.
    fn stored(&mut self, kind: Kind) -> String {
        if self.random.once_in(3) {
            super::values::literal(self.random, self.backend, kind)
        } else {
            self.parameter(kind)
        }
    }

    fn assignments(&mut self, table: usize, name: &str, excluded: Option<&str>) -> String {
        let shape = &TABLES[table];
        let mut assigned: Vec<&str> = Vec::new();
        let mut parts = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let (column, kind) = shape.column(self.random);
            if assigned.contains(&column) || column == "id" && !self.random.once_in(8) {
                continue;
            }
            assigned.push(column);
            let fit: Vec<_> = shape.columns.iter().filter(|(_, other)| *other == kind).collect();
            let value = match (self.random.below(6), excluded) {
                (0, Some("VALUES")) => format!("VALUES({column})"),
                (0, Some(excluded)) => format!("{excluded}.{column}"),
                (1, _) => format!("{name}.{}", self.random.pick(&fit).0),
                (2, _) if kind.is_number() && kind != Kind::Level => format!("{name}.{column} + 1"),
                (3, None) if kind == Kind::Id => {
                    let condition = self.condition(OWNER, "s");
                    format!("(SELECT max(s.id) FROM owner AS s WHERE {condition})")
                }
                _ => self.stored(kind),
            };
            parts.push(format!("{column} = {value}"));
        }
        if parts.is_empty() {
            let (column, kind) = shape.columns[1];
            parts.push(format!("{column} = {}", self.stored(kind)));
        }
        parts.join(", ")
    }
}
