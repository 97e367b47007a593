//! Random conditions, for queries and for writes.

use sea_orm::{DbBackend, Statement, Value};
use support::Random;

use super::tables::{Kind, LABEL, LINK, NOTE, OWNER, TABLES, THING};
use super::{sql, values};

/// A relation in scope: alias and columns.
#[derive(Clone)]
pub struct Relation {
    pub alias: String,
    table: Option<usize>,
    pub columns: Vec<(&'static str, Kind)>,
}

impl Relation {
    pub fn of(table: usize, alias: &str) -> Self {
        let columns = TABLES[table].columns.to_vec();
        Self { alias: alias.to_owned(), table: Some(table), columns }
    }

    /// A derived table.
    pub fn derived(alias: &str, columns: Vec<(&'static str, Kind)>) -> Self {
        Self { alias: alias.to_owned(), table: None, columns }
    }

    fn column(&self, random: &mut Random) -> (&'static str, Kind) {
        match self.table {
            Some(table) => TABLES[table].column(random),
            None => *random.pick(&self.columns),
        }
    }
}

/// A statement in the making.
pub struct Maker<'r> {
    pub random: &'r mut Random,
    pub backend: DbBackend,
    values: Vec<Value>,
    aliases: usize,
}

impl<'r> Maker<'r> {
    pub fn new(random: &'r mut Random, backend: DbBackend) -> Self {
        Self { random, backend, values: Vec::new(), aliases: 0 }
    }

    pub fn statement(self, sql: String) -> Statement {
        sql::statement(self.backend, sql, self.values)
    }

    /// The condition of a write to one table.
    pub fn condition(&mut self, table: usize, alias: &str) -> String {
        let scope = vec![Relation::of(table, alias)];
        if self.random.once_in(3) {
            let (key, kind) = TABLES[table].columns[0];
            return match self.random.below(3) {
                0 => format!("{alias}.{key} = {}", self.constant(kind)),
                1 => format!("{key} IN ({}, {})", self.constant(kind), self.constant(kind)),
                _ => format!("{key} < {}", self.constant(kind)),
            };
        }
        self.filter(&scope, &[], true)
    }

    /// One of the tables, most often the widest.
    pub fn table(&mut self) -> usize {
        [OWNER, OWNER, THING, THING, THING, THING, NOTE, NOTE, LABEL, LINK][self.random.below(10)]
    }

    pub fn alias(&mut self, start: &str) -> String {
        self.aliases += 1;
        format!("{start}{}", self.aliases)
    }

    /// Up to so many columns, as they can be read.
    pub fn columns(&mut self, scope: &[Relation], many: usize) -> String {
        let list: Vec<String> = (0..many)
            .map(|at| {
                let (alias, column, kind) = self.column(scope);
                match kind {
                    Kind::Mood if self.backend == DbBackend::Postgres => {
                        format!("CAST({alias}.{column} AS TEXT) AS c{at}")
                    }
                    _ => format!("{alias}.{column} AS c{at}"),
                }
            })
            .collect();
        list.join(", ")
    }

    /// A column, with texts that are equal but spelled otherwise told apart.
    pub fn exact(&mut self, scope: &[Relation]) -> String {
        let (alias, column, kind) = self.column(scope);
        match (kind, self.backend) {
            (Kind::Mood, DbBackend::Postgres) => format!("CAST({alias}.{column} AS TEXT)"),
            (Kind::Uuid, DbBackend::Postgres) => format!("CAST({alias}.{column} AS TEXT)"),
            (Kind::Flag, DbBackend::Postgres) => format!("CAST({alias}.{column} AS INTEGER)"),
            (kind, backend) if kind.is_text() && backend != DbBackend::Postgres => {
                format!("HEX({alias}.{column})")
            }
            _ => format!("{alias}.{column}"),
        }
    }

    pub fn column(&mut self, scope: &[Relation]) -> (String, &'static str, Kind) {
        let relation = &scope[self.random.below(scope.len())];
        let (column, kind) = relation.column(self.random);
        (relation.alias.clone(), column, kind)
    }

    /// A column whose values meet those of this kind, or any if there is none.
    pub fn column_of(&mut self, scope: &[Relation], kind: Kind) -> (String, &'static str) {
        let all: Vec<_> = scope
            .iter()
            .flat_map(|relation| {
                relation.columns.iter().map(move |(column, kind)| (&relation.alias, *column, *kind))
            })
            .collect();
        let fit: Vec<_> = all.iter().filter(|(.., other)| kind.meets(*other)).collect();
        let (alias, column, _) =
            if fit.is_empty() { *self.random.pick(&all) } else { **self.random.pick(&fit) };
        (alias.clone(), column)
    }

    /// An equation of the last relation with one before, most often by their keys.
    pub fn link(&mut self, scope: &[Relation]) -> String {
        let (last, before) = scope.split_last().unwrap();
        let keys: Vec<_> = last
            .columns
            .iter()
            .filter(|(_, kind)| matches!(kind, Kind::Id | Kind::Slug))
            .copied()
            .collect();
        let (own, kind) = if keys.is_empty() || self.random.once_in(4) {
            *self.random.pick(&last.columns)
        } else {
            *self.random.pick(&keys)
        };
        let (alias, column) = self.column_of(before, kind);
        format!("{alias}.{column} = {}.{own}", last.alias)
    }

    /// A name, qualified or, if that is not ambiguous, not; quoted or not.
    fn name(&mut self, scope: &[Relation], alias: &str, column: &str) -> String {
        let owners = scope
            .iter()
            .filter(|relation| relation.columns.iter().any(|(name, _)| *name == column))
            .count();
        let quote = if self.backend == DbBackend::MySql { '`' } else { '"' };
        match self.random.below(6) {
            0 | 1 if owners == 1 => column.to_owned(),
            2 => format!("{alias}.{quote}{column}{quote}"),
            _ => format!("{alias}.{column}"),
        }
    }

    /// A parameter.
    pub fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        match self.backend {
            DbBackend::Postgres => format!("${}", self.values.len()),
            _ => "?".into(),
        }
    }

    /// A value for a column: a parameter of its own type.
    pub fn parameter(&mut self, kind: Kind) -> String {
        let value = values::value(self.random, kind);
        let mark = self.bind(value);
        match kind {
            Kind::Mood if self.backend == DbBackend::Postgres => format!("CAST({mark} AS mood)"),
            _ => mark,
        }
    }

    /// A value for a column, in any of the ways to write one.
    pub fn constant(&mut self, kind: Kind) -> String {
        let strict = self.backend == DbBackend::Postgres;
        // Now and then a value of another column.
        let kind = match self.random.below(30) {
            0 if !strict => [Kind::Int, Kind::Text, Kind::Day, Kind::Flag][self.random.below(4)],
            _ => kind,
        };
        match self.random.below(9) {
            0..=2 => values::literal(self.random, self.backend, kind),
            3 => {
                let value = values::value(self.random, kind);
                let value = values::otherwise(self.random, self.backend, value);
                let mark = self.bind(value);
                if kind == Kind::Mood && strict { format!("CAST({mark} AS mood)") } else { mark }
            }
            4 if kind.is_number() || kind.is_text() => {
                let to = match (kind.is_number(), self.backend) {
                    (true, DbBackend::MySql) => "SIGNED",
                    (true, _) => "INTEGER",
                    (false, DbBackend::MySql) => "CHAR",
                    (false, _) if kind == Kind::Mood && strict => "mood",
                    (false, _) => "TEXT",
                };
                let mark = self.parameter(kind);
                match (self.random.below(2), strict) {
                    (0, true) => format!("{mark}::{to}"),
                    _ => format!("CAST({mark} AS {to})"),
                }
            }
            _ => self.parameter(kind),
        }
    }

    fn null_safe(&self) -> &'static str {
        if self.backend == DbBackend::MySql { "<=>" } else { "IS NOT DISTINCT FROM" }
    }

    /// Equations that narrow some of the relations: what applications ask most.
    pub fn narrow(&mut self, scope: &[Relation]) -> String {
        let mut parts = Vec::new();
        for relation in scope {
            while self.random.once_in(2) {
                let (column, kind) = relation.column(self.random);
                let constant = self.constant(kind);
                let name = format!("{}.{column}", relation.alias);
                parts.push(match self.random.below(6) {
                    0 => format!("{name} IN ({constant}, {})", self.constant(kind)),
                    1 => format!("{name} {} {constant}", self.null_safe()),
                    2 if self.backend == DbBackend::Postgres && kind == Kind::Int => {
                        format!("{name} = ANY(ARRAY[1, {constant}])")
                    }
                    _ => format!("{name} = {constant}"),
                });
            }
        }
        parts.join(" AND ")
    }

    /// A condition for WHERE: equations that narrow, or something else, or both.
    pub fn filter(&mut self, scope: &[Relation], outer: &[Relation], queries: bool) -> String {
        let mut condition = self.narrow(scope);
        if condition.is_empty() || self.random.once_in(2) {
            if !condition.is_empty() {
                condition += " AND ";
            }
            condition += &self.predicate(scope, outer, 2, queries);
        }
        condition
    }

    pub fn predicate(
        &mut self,
        scope: &[Relation],
        outer: &[Relation],
        depth: usize,
        queries: bool,
    ) -> String {
        if depth > 0 && !self.random.once_in(3) {
            let left = self.predicate(scope, outer, depth - 1, queries);
            let right = self.predicate(scope, outer, depth - 1, queries);
            return match self.random.below(7) {
                0 => format!("NOT ({left} AND {right})"),
                1 => format!("NOT ({left} OR NOT {right})"),
                2 | 3 => format!("({left} OR {right})"),
                _ => format!("({left} AND {right})"),
            };
        }
        let (alias, column, kind) = self.column(scope);
        let name = self.name(scope, &alias, column);
        match self.random.below(if queries { 21 } else { 17 }) {
            0..=5 => {
                let constant = self.constant(kind);
                let safe = self.null_safe();
                let sign = *self.random.pick(&["=", "=", "=", "=", "<>", "<", ">=", safe]);
                if self.random.once_in(6) && sign == "=" {
                    format!("{constant} = {name}")
                } else {
                    format!("{name} {sign} {constant}")
                }
            }
            6 | 7 => {
                let list: Vec<String> =
                    (0..1 + self.random.below(3)).map(|_| self.constant(kind)).collect();
                let not = if self.random.once_in(5) { "NOT " } else { "" };
                format!("{name} {not}IN ({})", list.join(", "))
            }
            8 => format!("{name} IS NULL"),
            9 => format!("{name} IS NOT NULL"),
            10 => {
                let (alias, other) = self.column_of(scope, kind);
                format!("{name} = {alias}.{other}")
            }
            11 => {
                let low = self.constant(kind);
                let high = self.constant(kind);
                format!("{name} BETWEEN {low} AND {high}")
            }
            12 => {
                let (alias, other, second) = self.column(scope);
                let left = self.constant(kind);
                let right = self.constant(second);
                format!("({name}, {alias}.{other}) = ({left}, {right})")
            }
            13 if kind == Kind::Flag => {
                [name.clone(), format!("NOT {name}")][self.random.below(2)].clone()
            }
            14 if kind == Kind::Flag => {
                format!("{name} IS {}", self.random.pick(&["TRUE", "FALSE", "NOT TRUE"]))
            }
            13 | 14 if kind.is_number() => format!("{name} + 1 = {}", self.constant(kind)),
            15 if kind.is_text() => {
                let constant = self.constant(kind);
                match (self.backend, self.random.below(3)) {
                    (DbBackend::Sqlite, 0) => format!("{name} COLLATE NOCASE = {constant}"),
                    (_, 1) if kind != Kind::Mood => format!("lower({name}) = {constant}"),
                    _ => format!("{name} LIKE {constant}"),
                }
            }
            16 if !outer.is_empty() => {
                let (alias, other) = self.column_of(outer, kind);
                format!("{name} = {alias}.{other}")
            }
            subquery if subquery > 16 => {
                let mut all = outer.to_vec();
                all.extend(scope.iter().cloned());
                self.subquery(&all, &name, kind)
            }
            _ => format!("{name} = {}", self.constant(kind)),
        }
    }

    fn subquery(&mut self, outer: &[Relation], name: &str, kind: Kind) -> String {
        let fit: Vec<usize> = (0..TABLES.len())
            .filter(|at| TABLES[*at].columns.iter().any(|(_, other)| kind.meets(*other)))
            .collect();
        let table = *self.random.pick(&fit);
        let alias = self.alias("q");
        let scope = vec![Relation::of(table, &alias)];
        let (_, inner) = self.column_of(&scope, kind);
        let condition = self.predicate(&scope, outer, 1, false);
        let correlated = match self.random.below(2) {
            0 => format!(" AND {}", self.link(&[outer, &scope].concat())),
            _ => String::new(),
        };
        let body = format!("FROM {} AS {alias} WHERE {condition}{correlated}", TABLES[table].name);
        match self.random.below(4) {
            0 => format!("EXISTS (SELECT 1 {body})"),
            1 => format!("NOT EXISTS (SELECT 1 {body})"),
            2 => {
                let not = if self.random.once_in(4) { "NOT " } else { "" };
                format!("{name} {not}IN (SELECT {alias}.{inner} {body})")
            }
            _ => format!("{name} = (SELECT max({alias}.{inner}) {body})"),
        }
    }
}
