//! Random queries.

use support::Random;

use crate::database::{Bound, Database, Statement};

/// A relation in scope: alias and columns.
#[derive(Clone)]
pub struct Relation {
    pub alias: String,
    pub columns: Vec<&'static str>,
}

pub struct Maker<'r, 'd> {
    pub random: &'r mut Random,
    pub database: &'d dyn Database,
    pub values: Vec<Bound>,
    pub aliases: usize,
}

impl<'r, 'd> Maker<'r, 'd> {
    pub fn query(random: &'r mut Random, database: &'d dyn Database) -> Statement {
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
        } else if common.is_empty() && maker.random.once_in(4) {
            sql = maker.chained();
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
        database: &'d dyn Database,
        table: usize,
        values: Vec<Bound>,
    ) -> (String, Vec<Bound>) {
        let mut maker = Maker { random, database, values, aliases: 0 };
        let scope = [maker.table(table, &database.tables()[table].name)];
        let condition = maker.filter(&scope, &[], true);
        (condition, maker.values)
    }

    /// A join that decides on the rows of its first relation: the FROM of the others, and the condition.
    pub fn joined(
        random: &'r mut Random,
        database: &'d dyn Database,
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

    /// Tables that meet by equal columns, one of which is compared with a constant, that may pass through the joins: in
    /// WHERE or in the ON of the last join.
    fn chained(&mut self) -> String {
        let relation = |maker: &mut Self, alias: &str| {
            let table = maker.random.below(3);
            (format!("t{table} AS {alias}"), maker.table(table, alias))
        };
        let joins = ["LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN"];
        let (first, one) = relation(self, "k1");
        let (second, two) = relation(self, "k2");
        let (third, three) = relation(self, "k3");
        let (inner, outer) = (*self.random.pick(&joins), *self.random.pick(&joins));
        let link = self.link(&[one.clone(), two.clone()]);
        let (from, links) = match self.random.below(3) {
            0 => (format!("{first} {outer} {second} ON {link}"), link),
            1 => {
                let before = if self.random.once_in(3) { one } else { two };
                let last = self.link(&[before, three]);
                let from = format!("{first} {inner} {second} ON {link} {outer} {third} ON {last}");
                (from, format!("{link} = {last}"))
            }
            _ => {
                let within = self.link(&[two, three]);
                let nested = format!("({second} {inner} {third} ON {within})");
                (format!("{first} {outer} {nested} ON {link}"), format!("{link} = {within}"))
            }
        };
        let compared: Vec<&str> = links.split(" = ").collect();
        let name = *self.random.pick(&compared);
        let (_, column) = name.split_once('.').unwrap_or(("", name));
        let clause = if self.random.once_in(4) { "AND" } else { "WHERE" };
        format!("SELECT * FROM {from} {clause} {name} = {}", self.constant(column))
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

    pub fn table(&mut self, at: usize, alias: &str) -> Relation {
        let mut columns: Vec<&'static str> =
            self.database.tables()[at].columns.iter().map(|kind| kind.name).collect();
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
            if self.is_strict() && self.random.once_in(10) {
                from += &self.lateral(&mut scope);
                continue;
            }
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
        let condition = self.filter(&scope, outer, depth < 2);
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

    /// A subquery that looks at what stands before it.
    fn lateral(&mut self, scope: &mut Vec<Relation>) -> String {
        let join = *self.random.pick(&[("CROSS JOIN", ""), ("LEFT JOIN", " ON true"), (",", "")]);
        let table = self.random.below(3);
        self.aliases += 1;
        let alias = format!("l{}", self.aliases);
        let relation = self.table(table, "y");
        let outer = scope.clone();
        let (other, column) = self.column(&outer);
        let inner = self.like(std::slice::from_ref(&relation), column).map_or("id", |(_, c)| c);
        let more = self.predicate(std::slice::from_ref(&relation), &outer, 1, false);
        scope.push(Relation { alias: alias.clone(), columns: relation.columns });
        format!(
            " {} LATERAL (SELECT * FROM t{table} AS y WHERE y.{inner} = {other}.{column} AND {more}) AS {alias}{}",
            join.0, join.1
        )
    }

    fn projection(&mut self, scope: &[Relation]) -> String {
        let (alias, column) = self.column(scope);
        if self.is_strict() && self.random.once_in(10) {
            return format!("DISTINCT ON ({alias}.{column}) {alias}.*");
        }
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
        if let Some(first) = list.strip_prefix("DISTINCT ON (") {
            let (first, _) = first.split_once(')').unwrap();
            let alias = first.split('.').next().unwrap();
            let relation = scope.iter().find(|relation| relation.alias == alias).unwrap();
            let columns = relation.columns.iter().map(|column| format!("{alias}.{column}"));
            *sql += &format!(" ORDER BY {first}, {}", columns.collect::<Vec<_>>().join(", "));
        } else if list.starts_with("count(*)") && self.random.once_in(2) {
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
}
