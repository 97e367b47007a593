//! Random conditions, and what they are made of.

use cacheops_sql::Dialect;

use crate::database::ANY;
use crate::query::{Maker, Relation};

impl Maker<'_, '_> {
    pub fn column(&mut self, scope: &[Relation]) -> (String, &'static str) {
        let relation = &scope[self.random.below(scope.len())];
        (relation.alias.clone(), relation.columns[self.random.below(relation.columns.len())])
    }

    /// A column that can be compared with this one, if there is one.
    pub fn like(
        &mut self,
        scope: &[Relation],
        column: &'static str,
    ) -> Option<(String, &'static str)> {
        let family = self.database.family(column);
        let fits = |other: &str| family == ANY || self.database.family(other) == family;
        let all: Vec<(String, &'static str)> = scope
            .iter()
            .flat_map(|relation| {
                relation.columns.iter().map(|column| (relation.alias.clone(), *column))
            })
            .filter(|(_, other)| fits(other))
            .collect();
        if all.is_empty() { None } else { Some(self.random.pick(&all).clone()) }
    }

    /// Whether the database refuses to compare some columns.
    pub fn is_strict(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    pub fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    /// An equation of the last relation with one before.
    pub fn link(&mut self, scope: &[Relation]) -> String {
        let (last, before) = scope.split_last().unwrap();
        let (alias, column) = self.column(before);
        let own = self.like(std::slice::from_ref(last), column).map_or("id", |(_, column)| column);
        format!("{alias}.{column} = {}.{own}", last.alias)
    }

    /// A name, qualified or, if that is not ambiguous, not.
    pub fn name(&mut self, scope: &[Relation], alias: &str, column: &str) -> String {
        let owners = scope.iter().filter(|relation| relation.columns.contains(&column)).count();
        if owners == 1 && self.random.once_in(3) {
            column.to_owned()
        } else {
            format!("{alias}.{column}")
        }
    }

    pub fn constant(&mut self, column: &str) -> String {
        let value = self.database.value(self.random, column);
        if self.random.once_in(3)
            && let Some(literal) = value.literal
        {
            return literal;
        }
        let text = matches!(value.value, cacheops_sql::Value::Text(_));
        self.values.push(value);
        match (self.random.below(12), self.dialect()) {
            (0, Dialect::Sqlite) => "CAST(? AS INTEGER)".into(),
            (1, Dialect::Sqlite) => "CAST(? AS TEXT)".into(),
            (0, Dialect::Postgres) if text => "CAST(? AS text)".into(),
            (1, Dialect::Postgres) if text => "?::varchar".into(),
            (0, Dialect::MySql) if text => "CAST(? AS CHAR)".into(),
            _ => "?".into(),
        }
    }

    /// `=`, or what compares NULL too.
    pub fn safe_sign(&self) -> &'static str {
        match self.dialect() {
            Dialect::Sqlite => "IS",
            Dialect::MySql => "<=>",
            _ => "IS NOT DISTINCT FROM",
        }
    }

    /// Equations that narrow some of the relations: the commonest conditions of applications.
    pub fn narrow(&mut self, scope: &[Relation]) -> String {
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
                    1 => format!("{}.{column} {} {constant}", relation.alias, self.safe_sign()),
                    2 if self.dialect() == Dialect::Postgres && self.random.once_in(2) => {
                        match self.database.array(self.random, column) {
                            Some(array) => {
                                self.values.push(array);
                                format!(
                                    "{}.{column} = {constant} AND {}.{column} = ANY(?)",
                                    relation.alias, relation.alias
                                )
                            }
                            None => format!("{}.{column} = {constant}", relation.alias),
                        }
                    }
                    _ => format!("{}.{column} = {constant}", relation.alias),
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
        let (alias, column) = self.column(scope);
        let name = self.name(scope, &alias, column);
        if self.random.once_in(6) {
            return self.as_applications_write(&alias, column, &name);
        }
        match self.random.below(if queries { 21 } else { 18 }) {
            0..=5 => {
                let constant = self.constant(column);
                let signs: &[&str] = match self.dialect() {
                    Dialect::Sqlite => {
                        &["=", "=", "=", "==", "<>", "<", "IS", "IS NOT", "IS NOT DISTINCT FROM"]
                    }
                    Dialect::MySql => &["=", "=", "=", "<>", "<", "<=>"],
                    _ => &["=", "=", "=", "<>", "<", "IS NOT DISTINCT FROM", "IS DISTINCT FROM"],
                };
                let sign = *self.random.pick(signs);
                if self.random.once_in(6) && sign == "=" {
                    format!("{constant} = {name}")
                } else {
                    format!("{name} {sign} {constant}")
                }
            }
            6 | 7 => {
                // Only SQLite knows an empty list.
                let least = usize::from(self.dialect() != Dialect::Sqlite);
                let list: Vec<String> =
                    (0..self.random.below(4).max(least)).map(|_| self.constant(column)).collect();
                let not = if self.random.once_in(5) { "NOT " } else { "" };
                format!("{name} {not}IN ({})", list.join(", "))
            }
            8 => format!("{name} IS NULL"),
            9 => format!("{name} IS NOT NULL"),
            10 => match self.like(scope, column) {
                Some((alias, other)) => format!("{name} = {alias}.{other}"),
                None => format!("{name} IS NOT NULL"),
            },
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
            13..=15 if self.is_strict() && self.database.family(column) != 'f' => {
                format!("{name} <= {}", self.constant(column))
            }
            13 => name,
            14 => format!("NOT {name}"),
            15 => format!("{name} IS {}", self.random.pick(&["TRUE", "FALSE", "NOT TRUE"])),
            16 => {
                let constant = self.constant(column);
                match self.dialect() {
                    Dialect::Sqlite => format!("{name} COLLATE NOCASE = {constant}"),
                    Dialect::Postgres if self.database.family(column) == 's' => {
                        format!("{name} COLLATE \"C\" = {constant}")
                    }
                    _ => format!("{name} = {constant}"),
                }
            }
            17 if outer.is_empty() && self.is_strict() && self.database.family(column) != 's' => {
                format!("{name} >= {}", self.constant(column))
            }
            17 if outer.is_empty() => format!("{name} LIKE {}", self.constant(column)),
            17 if self.random.once_in(2) => {
                // A name that only the query outside has, or both.
                let (_, other) = self.column(outer);
                format!("{other} = {}", self.constant(other))
            }
            17 => match self.like(outer, column) {
                Some((alias, other)) => format!("{name} = {alias}.{other}"),
                None => format!("{name} IS NOT NULL"),
            },
            _ => {
                let mut all = outer.to_vec();
                all.extend(scope.iter().cloned());
                self.subquery(&all, &name, column)
            }
        }
    }

    /// Comparisons that are terms although they are no plain equations, and some that only look like them.
    fn as_applications_write(&mut self, alias: &str, column: &'static str, name: &str) -> String {
        let text = !self.is_strict() || self.database.family(column) == 's';
        let function = *self.random.pick(&["LOWER", "lower", "UPPER"]);
        let value = self.database.value(self.random, column);
        // The same value twice: as the switch and as what is compared. Drivers send the type to PostgreSQL.
        let mut parameter = || {
            self.values.push(value.clone());
            "?"
        };
        match self.random.below(9) {
            0 if text => format!("{function}({name}) = {function}({})", self.constant(column)),
            1 if text => format!("{function}({name}) = {}", self.constant(column)),
            2 if text => format!("{name} = {function}({})", self.constant(column)),
            3 if text => {
                let list = [self.constant(column), self.constant(column)].join(", ");
                format!("{function}({name}) IN ({list})")
            }
            4 => format!("{name} = COALESCE({}, {alias}.{column})", parameter()),
            5 => format!("({} IS NULL OR {name} = {})", parameter(), parameter()),
            6 => format!("({} IS NOT NULL AND {name} = {})", parameter(), parameter()),
            7 => format!(
                "CASE WHEN {} IS NULL THEN {name} IS NULL ELSE {name} = {} END",
                parameter(),
                parameter()
            ),
            _ => format!("COALESCE({}, {name}) = {name}", parameter()),
        }
    }

    pub fn subquery(&mut self, outer: &[Relation], name: &str, column: &'static str) -> String {
        let table = self.random.below(3);
        self.aliases += 1;
        let alias = format!("q{}", self.aliases);
        let relation = self.table(table, &alias);
        let scope = vec![relation];
        // A column of the same family, or one that makes the statement invalid.
        let inner = self.like(&scope, column).map_or("id", |(_, column)| column);
        let condition = self.predicate(&scope, outer, 1, false);
        let correlated = match self.random.below(2) {
            0 => {
                let (other, column) = self.like(outer, inner).unwrap_or(("outer".into(), "id"));
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
