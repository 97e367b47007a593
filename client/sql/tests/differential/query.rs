//! Random queries.

use crate::database::{Bound, Database, value};
use support::Random;

/// A statement and its values.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    pub values: Vec<Bound>,
}

/// A relation in scope: alias and columns.
#[derive(Clone)]
struct Relation {
    alias: String,
    columns: Vec<&'static str>,
}

pub struct Maker<'r, 'd> {
    random: &'r mut Random,
    database: &'d Database,
    values: Vec<Bound>,
    aliases: usize,
}

impl<'r, 'd> Maker<'r, 'd> {
    pub fn query(random: &'r mut Random, database: &'d Database) -> Statement {
        let mut maker = Maker { random, database, values: Vec::new(), aliases: 0 };
        let mut sql = String::new();
        let mut common = Vec::new();
        if maker.random.once_in(6) {
            let (body, columns) = maker.simple(1);
            sql = format!("WITH c AS ({body}) ");
            common.push(Relation { alias: "c".into(), columns });
        }
        if common.is_empty() && maker.random.once_in(3) {
            sql = maker.plain();
        } else if common.is_empty() && maker.random.once_in(10) {
            let operator = *maker.random.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
            let (left, _) = maker.simple(2);
            let (right, _) = maker.simple(2);
            sql = format!("{left} {operator} {right}");
        } else {
            sql += &maker.select(0, &common, &[]);
        }
        Statement { sql, values: maker.values }
    }

    /// The condition of a write to one table.
    pub fn condition(
        random: &'r mut Random,
        database: &'d Database,
        table: usize,
        values: Vec<Bound>,
    ) -> (String, Vec<Bound>) {
        let shape = &database.tables[table];
        let mut columns: Vec<&'static str> = shape.columns.iter().map(|kind| kind.name).collect();
        columns.push("id");
        let scope = vec![Relation { alias: shape.name.clone(), columns }];
        let mut maker = Maker { random, database, values, aliases: 0 };
        let mut condition = maker.narrow(&scope);
        if condition.is_empty() || maker.random.once_in(2) {
            if !condition.is_empty() {
                condition += " AND ";
            }
            condition += &maker.predicate(&scope, &[], 2, true);
        }
        (condition, maker.values)
    }

    /// A join that decides on the rows of its first relation: the FROM of the others, and the condition.
    pub fn joined(
        random: &'r mut Random,
        database: &'d Database,
        target: (usize, &str),
        values: Vec<Bound>,
    ) -> (String, String, Vec<Bound>) {
        let mut maker = Maker { random, database, values, aliases: 0 };
        let mut scope = vec![maker.table(target.0, target.1)];
        let mut from = String::new();
        for (at, alias) in ["o", "p"].iter().enumerate() {
            let table = maker.random.below(3);
            let relation = maker.table(table, alias);
            if at == 0 {
                from = format!("t{table} AS {alias}");
                scope.push(relation);
                continue;
            }
            if !maker.random.once_in(2) {
                break;
            }
            let join = *maker.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", ","]);
            let others = [scope[1].clone(), relation.clone()];
            scope.push(relation);
            if join == "," {
                from += &format!(", t{table} AS {alias}");
            } else {
                let link = maker.link(&others);
                let more = match maker.random.below(3) {
                    0 => format!(" AND {}", maker.predicate(&others, &[], 1, false)),
                    _ => String::new(),
                };
                from += &format!(" {join} t{table} AS {alias} ON {link}{more}");
            }
        }
        let mut parts = vec![maker.link(&[scope[1].clone(), scope[0].clone()])];
        for part in [maker.narrow(&scope), maker.narrow(&scope[..1])] {
            parts.extend((!part.is_empty()).then_some(part));
        }
        if maker.random.once_in(3) {
            parts.push(maker.predicate(&scope, &[], 2, true));
        }
        (from, parts.join(" AND "), maker.values)
    }

    /// The commonest query: one table, a few equations.
    fn plain(&mut self) -> String {
        let table = self.random.below(3);
        let scope = vec![self.table(table, &format!("t{table}"))];
        let mut condition = String::new();
        while condition.is_empty() {
            condition = self.narrow(&scope);
        }
        format!("SELECT * FROM t{table} WHERE {condition}")
    }

    /// A query over one table that gives two columns.
    fn simple(&mut self, depth: usize) -> (String, Vec<&'static str>) {
        let table = self.random.below(3);
        let relation = self.table(table, "y");
        let mut columns = vec!["id"];
        for _ in 0..2 {
            let column = *self.random.pick(&relation.columns);
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns.truncate(2);
        if columns.len() < 2 {
            columns.push(relation.columns[0]);
        }
        let scope = vec![relation];
        let condition = self.predicate(&scope, &[], depth.min(2), true);
        let list: Vec<String> =
            columns.iter().map(|column| format!("y.{column} AS {column}")).collect();
        (format!("SELECT {} FROM t{table} AS y WHERE {condition}", list.join(", ")), columns)
    }

    fn table(&mut self, at: usize, alias: &str) -> Relation {
        let mut columns: Vec<&'static str> =
            self.database.tables[at].columns.iter().map(|kind| kind.name).collect();
        columns.push("id");
        Relation { alias: alias.to_owned(), columns }
    }

    /// One item of FROM and what it adds to the scope.
    fn item(&mut self, depth: usize, common: &[Relation]) -> (String, Vec<Relation>) {
        self.aliases += 1;
        let alias = format!("r{}", self.aliases);
        if !common.is_empty() && self.random.once_in(2) {
            return (
                format!("c AS {alias}"),
                vec![Relation { alias, columns: common[0].columns.clone() }],
            );
        }
        if depth < 2 && self.random.once_in(7) {
            let (body, columns) = self.simple(1);
            return (format!("({body}) AS {alias}"), vec![Relation { alias, columns }]);
        }
        if depth < 2 && self.random.once_in(9) {
            let (left, mut scope) = self.item(2, common);
            let (right, more) = self.item(2, common);
            scope.extend(more);
            let join = *self.random.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
            let on = self.predicate(&scope, &[], 1, false);
            return (format!("({left} {join} {right} ON {on})"), scope);
        }
        let at = self.random.below(3);
        if self.random.once_in(12) {
            return (format!("t{at}"), vec![self.table(at, &format!("t{at}"))]);
        }
        (format!("t{at} AS {alias}"), vec![self.table(at, &alias)])
    }

    fn select(&mut self, depth: usize, common: &[Relation], outer: &[Relation]) -> String {
        let (mut from, mut scope) = self.item(depth, common);
        for _ in 0..[0, 0, 1, 1, 2][self.random.below(5)] {
            let (item, relations) = self.item(depth, common);
            let join = *self.random.pick(&[
                ",",
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
            ]);
            scope.extend(relations);
            from += &match join {
                "," | "CROSS JOIN" => format!(" {join} {item}").replace(" ,", ","),
                _ if self.random.once_in(12) => format!(" {join} {item} USING (id)"),
                _ if self.random.once_in(20) => format!(" NATURAL {join} {item}"),
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
        let kept = self.values.len();
        let mut condition = self.narrow(&scope);
        if condition.is_empty() || self.random.once_in(2) {
            if !condition.is_empty() {
                condition += " AND ";
            }
            condition += &self.predicate(&scope, outer, 2, depth < 2);
        }
        let list = self.projection(&scope);
        let mut sql = format!("SELECT {list} FROM {from}");
        if !self.random.once_in(10) {
            sql += &format!(" WHERE {condition}");
        } else {
            // Its values go with it.
            self.values.truncate(kept);
        }
        self.tail(&mut sql, &scope, &list);
        sql
    }

    fn projection(&mut self, scope: &[Relation]) -> String {
        let (alias, column) = self.column(scope);
        let (alias2, column2) = self.column(scope);
        match self.random.below(9) {
            0 => "count(*)".into(),
            1 => format!("count({alias}.{column}), max({alias2}.{column2})"),
            2 => format!("DISTINCT {alias}.{column}"),
            3 => format!(
                "{alias}.{column}, row_number() OVER (ORDER BY {alias}.{column}, {alias2}.{column2})"
            ),
            4 => format!("{alias}.{column}, {alias2}.{column2}"),
            5 => format!("{alias}.*"),
            6 => format!(
                "{alias}.{column}, (SELECT count(*) FROM t1 AS z WHERE z.id = {alias2}.{column2} AND z.id < 5)"
            ),
            _ => "*".into(),
        }
    }

    fn tail(&mut self, sql: &mut String, scope: &[Relation], list: &str) {
        if list.starts_with("count(*)") && self.random.once_in(2) {
            let (alias, column) = self.column(scope);
            *sql = sql.replacen("count(*)", &format!("{alias}.{column}, count(*)"), 1);
            *sql += &format!(" GROUP BY {alias}.{column}");
            if self.random.once_in(2) {
                *sql += " HAVING count(*) > 1";
            }
        } else if list == "*" && self.random.once_in(4) {
            // Ties in the order are cut anywhere, so order by everything.
            let all: Vec<String> = scope
                .iter()
                .flat_map(|relation| {
                    relation
                        .columns
                        .iter()
                        .map(move |column| format!("{}.{column}", relation.alias))
                })
                .collect();
            *sql += &format!(" ORDER BY {} LIMIT {}", all.join(", "), 1 + self.random.below(3));
        }
    }

    fn column(&mut self, scope: &[Relation]) -> (String, &'static str) {
        let relation = &scope[self.random.below(scope.len())];
        (relation.alias.clone(), relation.columns[self.random.below(relation.columns.len())])
    }

    /// An equation of the last relation with one before.
    fn link(&mut self, scope: &[Relation]) -> String {
        let (last, before) = scope.split_last().unwrap();
        let (alias, column) = self.column(before);
        let own = self.random.below(last.columns.len());
        format!("{alias}.{column} = {}.{}", last.alias, last.columns[own])
    }

    /// A name, qualified or, if that is not ambiguous, not.
    fn name(&mut self, scope: &[Relation], alias: &str, column: &str) -> String {
        let owners = scope.iter().filter(|relation| relation.columns.contains(&column)).count();
        if owners == 1 && self.random.once_in(3) {
            column.to_owned()
        } else {
            format!("{alias}.{column}")
        }
    }

    fn constant(&mut self, column: &str) -> String {
        let value = value(self.random, column);
        if self.random.once_in(3) {
            use rusqlite::types::Value as Sql;
            match &value.sql {
                Sql::Null => return "NULL".into(),
                Sql::Integer(value) => return value.to_string(),
                Sql::Real(value) => return format!("{value:?}"),
                Sql::Text(text) => return format!("'{text}'"),
                Sql::Blob(_) => {}
            }
        }
        self.values.push(value);
        match self.random.below(12) {
            0 => "CAST(? AS INTEGER)".into(),
            1 => "CAST(? AS TEXT)".into(),
            _ => "?".into(),
        }
    }

    /// Equations that narrow some of the relations: what applications ask most.
    fn narrow(&mut self, scope: &[Relation]) -> String {
        let mut parts = Vec::new();
        for relation in scope {
            while self.random.once_in(2) {
                let column = relation.columns[self.random.below(relation.columns.len())];
                let constant = self.constant(column);
                parts.push(match self.random.below(5) {
                    0 => format!(
                        "{}.{column} IN ({constant}, {})",
                        relation.alias,
                        self.constant(column)
                    ),
                    1 => format!("{}.{column} IS {constant}", relation.alias),
                    _ => format!("{}.{column} = {constant}", relation.alias),
                });
            }
        }
        parts.join(" AND ")
    }

    fn predicate(
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
        let (alias, column) = self.column(scope);
        let name = self.name(scope, &alias, column);
        match self.random.below(if queries { 21 } else { 18 }) {
            0..=5 => {
                let constant = self.constant(column);
                let sign = *self.random.pick(&[
                    "=",
                    "=",
                    "=",
                    "==",
                    "<>",
                    "<",
                    "IS",
                    "IS NOT",
                    "IS NOT DISTINCT FROM",
                ]);
                if self.random.once_in(6) && sign == "=" {
                    format!("{constant} = {name}")
                } else {
                    format!("{name} {sign} {constant}")
                }
            }
            6 | 7 => {
                let list: Vec<String> =
                    (0..self.random.below(4)).map(|_| self.constant(column)).collect();
                let not = if self.random.once_in(5) { "NOT " } else { "" };
                format!("{name} {not}IN ({})", list.join(", "))
            }
            8 => format!("{name} IS NULL"),
            9 => format!("{name} IS NOT NULL"),
            10 => {
                let (alias, other) = self.column(scope);
                format!("{name} = {alias}.{other}")
            }
            11 => {
                let low = self.constant(column);
                let high = self.constant(column);
                format!("{name} BETWEEN {low} AND {high}")
            }
            12 => {
                let (alias, other) = self.column(scope);
                let left = self.constant(column);
                let right = self.constant(other);
                format!("({name}, {alias}.{other}) = ({left}, {right})")
            }
            13 => name,
            14 => format!("NOT {name}"),
            15 => format!("{name} IS {}", self.random.pick(&["TRUE", "FALSE", "NOT TRUE"])),
            16 => {
                let constant = self.constant(column);
                format!("{name} COLLATE NOCASE = {constant}")
            }
            17 if outer.is_empty() => format!("{name} LIKE {}", self.constant(column)),
            17 if self.random.once_in(2) => {
                // A name that only the query outside has, or both.
                let (_, other) = self.column(outer);
                format!("{other} = {}", self.constant(other))
            }
            17 => {
                let (alias, other) = self.column(outer);
                format!("{name} = {alias}.{other}")
            }
            _ => {
                let mut all = outer.to_vec();
                all.extend(scope.iter().cloned());
                self.subquery(&all, &name)
            }
        }
    }

    fn subquery(&mut self, outer: &[Relation], name: &str) -> String {
        let table = self.random.below(3);
        self.aliases += 1;
        let alias = format!("q{}", self.aliases);
        let relation = self.table(table, &alias);
        let inner = relation.columns[self.random.below(relation.columns.len())];
        let scope = vec![relation];
        let condition = self.predicate(&scope, outer, 1, false);
        let correlated = match self.random.below(2) {
            0 => {
                let (other, column) = self.column(outer);
                format!(" AND {alias}.{inner} = {other}.{column}")
            }
            _ => String::new(),
        };
        let body = format!("FROM t{table} AS {alias} WHERE {condition}{correlated}");
        match self.random.below(4) {
            0 => format!("EXISTS (SELECT 1 {body})"),
            1 => format!("NOT EXISTS (SELECT 1 {body})"),
            2 => format!("{name} IN (SELECT {alias}.{inner} {body})"),
            _ => format!("{name} = (SELECT max({alias}.{inner}) {body})"),
        }
    }
}
