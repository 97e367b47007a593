//! Random SELECTs in the dialect of each database. What a database refuses is not asked again.

use sea_orm::{DbBackend, Statement, Value};
use support::Random;

use super::predicate::{Maker, Relation};
use super::tables::{Kind, TABLES, THING};

/// A query.
pub fn query(random: &mut Random, backend: DbBackend) -> Statement {
    let mut maker = Maker::new(random, backend);
    let mut sql = String::new();
    let mut common = Vec::new();
    match maker.random.below(16) {
        0..=4 => sql = maker.plain(),
        5 => sql = maker.set_operation(),
        6 => sql = maker.recursive(),
        7 if backend == DbBackend::Postgres => sql = maker.lateral(),
        7 | 8 => {
            let (body, columns) = maker.simple(1);
            sql = format!("WITH c AS ({body}) ");
            common.push(Relation::derived("c", columns));
        }
        _ => {}
    }
    if sql.is_empty() || !common.is_empty() {
        sql += &maker.select(0, &common, &[]);
    }
    maker.statement(sql)
}

/// A statement of these parts. On PostgreSQL the types of the values are part of the text, as the driver remembers
/// a text with the types that it first had.
pub fn statement(backend: DbBackend, mut sql: String, values: Vec<Value>) -> Statement {
    if backend == DbBackend::Postgres && !values.is_empty() {
        let types: Vec<String> = values
            .iter()
            .map(|value| {
                format!("{value:?}").chars().take_while(char::is_ascii_alphabetic).collect()
            })
            .collect();
        sql += &format!(" /* {} */", types.join(" "));
    }
    Statement::from_sql_and_values(backend, sql, values)
}

impl Maker<'_> {
    /// The commonest query: one table, a few equations.
    fn plain(&mut self) -> String {
        let table = self.table();
        let scope = vec![Relation::of(table, TABLES[table].name)];
        let mut condition = String::new();
        while condition.is_empty() {
            condition = self.narrow(&scope);
        }
        let list = self.columns(&scope, 3);
        format!("SELECT {list} FROM {} WHERE {condition}", TABLES[table].name)
    }

    /// A query over one table that gives two columns.
    fn simple(&mut self, depth: usize) -> (String, Vec<(&'static str, Kind)>) {
        let table = self.table();
        let relation = Relation::of(table, "y");
        let mut columns = relation.columns.clone();
        while columns.len() > 2 {
            columns.remove(self.random.below(columns.len()));
        }
        let scope = vec![relation];
        let condition = self.predicate(&scope, &[], depth.min(2), true);
        let list: Vec<String> =
            columns.iter().map(|(column, _)| format!("y.{column} AS {column}")).collect();
        let name = TABLES[table].name;
        (format!("SELECT {} FROM {name} AS y WHERE {condition}", list.join(", ")), columns)
    }

    fn set_operation(&mut self) -> String {
        let operator = *self.random.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
        let mut side = || {
            let table = self.table();
            let relation = Relation::of(table, "y");
            let numbers: Vec<&str> = relation
                .columns
                .iter()
                .filter(|(_, kind)| kind.is_number() && *kind != Kind::Decimal)
                .map(|(column, _)| *column)
                .collect();
            let first = *self.random.pick(&numbers);
            let second = *self.random.pick(&numbers);
            let condition = self.predicate(&[relation], &[], 2, true);
            format!(
                "SELECT y.{first} AS f, y.{second} AS s FROM {} AS y WHERE {condition}",
                TABLES[table].name
            )
        };
        let (left, right) = (side(), side());
        format!("{left} {operator} {right}")
    }

    /// A thing and all below it.
    fn recursive(&mut self) -> String {
        let start = self.constant(Kind::Id);
        let scope = vec![Relation::of(THING, "t")];
        let condition = self.predicate(&scope, &[], 1, false);
        format!(
            "WITH RECURSIVE tree (id) AS (SELECT id FROM thing WHERE id = {start} UNION \
             SELECT t.id FROM thing AS t JOIN tree ON t.parent_id = tree.id WHERE {condition}) SELECT id FROM tree"
        )
    }

    fn lateral(&mut self) -> String {
        let owner = vec![Relation::of(super::tables::OWNER, "o")];
        let thing = vec![Relation::of(THING, "t")];
        let inner = self.predicate(&thing, &[], 1, false);
        let outer = self.predicate(&owner, &[], 1, false);
        let join = *self.random.pick(&["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"]);
        let on = if join.starts_with("LEFT") { " ON TRUE" } else { "" };
        format!(
            "SELECT o.id, x.id AS thing FROM owner AS o {join} (SELECT t.id FROM thing AS t WHERE t.owner_id = o.id \
             AND {inner} ORDER BY t.id LIMIT 1) AS x{on} WHERE {outer}"
        )
    }

    /// One item of FROM and what it adds to the scope.
    fn item(&mut self, depth: usize, common: &[Relation]) -> (String, Vec<Relation>) {
        let alias = self.alias("r");
        if !common.is_empty() && self.random.once_in(2) {
            let columns = common[0].columns.clone();
            return (format!("c AS {alias}"), vec![Relation::derived(&alias, columns)]);
        }
        if depth < 2 && self.random.once_in(7) {
            let (body, columns) = self.simple(1);
            return (format!("({body}) AS {alias}"), vec![Relation::derived(&alias, columns)]);
        }
        if depth < 2 && self.random.once_in(9) {
            let (left, mut scope) = self.item(2, common);
            let (right, more) = self.item(2, common);
            scope.extend(more);
            let join = *self.random.pick(&["JOIN", "LEFT JOIN"]);
            let on = self.link(&scope);
            return (format!("({left} {join} {right} ON {on})"), scope);
        }
        let at = self.table();
        let name = TABLES[at].name;
        if self.random.once_in(12) {
            return (name.to_owned(), vec![Relation::of(at, name)]);
        }
        (format!("{name} AS {alias}"), vec![Relation::of(at, &alias)])
    }

    fn select(&mut self, depth: usize, common: &[Relation], outer: &[Relation]) -> String {
        let (mut from, mut scope) = self.item(depth, common);
        for _ in 0..[0, 0, 1, 1, 2][self.random.below(5)] {
            let (item, relations) = self.item(depth, common);
            let full = if self.backend == DbBackend::MySql { "LEFT JOIN" } else { "FULL JOIN" };
            let join = *self.random.pick(&[
                ",",
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                full,
                "CROSS JOIN",
            ]);
            scope.extend(relations);
            from += &match join {
                "," => format!(", {item}"),
                "CROSS JOIN" => format!(" {join} {item}"),
                _ if self.random.once_in(12) => format!(" {join} {item} USING (id)"),
                _ if self.random.once_in(30) => format!(" NATURAL {join} {item}"),
                _ => {
                    let link = self.link(&scope);
                    match self.random.below(4) {
                        0 => format!(" {join} {item} ON {link}"),
                        1 => {
                            format!(" {join} {item} ON {}", self.predicate(&scope, outer, 1, false))
                        }
                        _ => format!(
                            " {join} {item} ON {link} AND {}",
                            self.predicate(&scope, outer, 1, false)
                        ),
                    }
                }
            };
        }
        let (list, tail) = self.projection(&scope);
        let mut sql = format!("SELECT {list} FROM {from}");
        if !self.random.once_in(10) {
            sql += &format!(" WHERE {}", self.filter(&scope, outer, depth < 2));
        }
        sql + &tail
    }

    /// What is selected, and what stands behind the condition. Equal texts are spelled as they are wherever the
    /// database might choose one of them.
    fn projection(&mut self, scope: &[Relation]) -> (String, String) {
        let one = self.exact(scope);
        let two = self.exact(scope);
        match self.random.below(9) {
            0 => ("count(*) AS n".into(), String::new()),
            1 => (format!("count({one}) AS n, max({two}) AS m"), String::new()),
            2 => (format!("DISTINCT {one} AS f"), String::new()),
            3 => {
                let having = if self.random.once_in(2) { " HAVING count(*) > 1" } else { "" };
                (format!("{one} AS f, count(*) AS n"), format!(" GROUP BY {one}{having}"))
            }
            4 => {
                // Ties in the order are cut anywhere, so order by all that is seen.
                let limit = 1 + self.random.below(3);
                let desc = if self.random.once_in(2) { " DESC" } else { "" };
                (
                    format!("{one} AS f, {two} AS s"),
                    format!(" ORDER BY {one}{desc}, {two} LIMIT {limit}"),
                )
            }
            5 => {
                let condition = self.narrow_id("z");
                let (alias, column) = self.column_of(scope, Kind::Id);
                let inner = format!(
                    "(SELECT count(*) FROM note AS z WHERE z.thing_id = {alias}.{column}{condition})"
                );
                (format!("{one} AS f, {inner} AS n"), String::new())
            }
            6 => (
                format!("{one} AS f, row_number() OVER (ORDER BY {one}, {two}) AS n"),
                String::new(),
            ),
            _ => (self.columns(scope, 3), String::new()),
        }
    }

    fn narrow_id(&mut self, alias: &str) -> String {
        if self.random.once_in(2) {
            return String::new();
        }
        // Written out: it stands before the parameters that are there already.
        let number = super::values::literal(self.random, self.backend, Kind::Int);
        format!(" AND {alias}.number = {number}")
    }
}
