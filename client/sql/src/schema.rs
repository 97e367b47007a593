//! The tables, views and functions that an application registers.

use std::collections::{HashMap, HashSet};

use crate::Dialect;

/// The type of a column, as far as it matters for comparing values.
///
/// A column that is not registered is [`Unknown`](Self::Unknown), which is right for any type. A kind makes more
/// values part of conditions:
///
/// ```
/// use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table};
///
/// let sql = "DELETE FROM article WHERE slug = 'on-caching'";
/// let rows = |schema| {
///     let analyser = Analyser::new(Dialect::Postgres, schema, 10);
///     analyser.compile(sql).changed_rows(&[]).to_pairs().remove(0).1
/// };
/// // PostgreSQL reads such a literal as whatever type the column has.
/// assert_eq!(rows(Schema::new()), b"*");
/// let article = Table::new("article").column("slug", ColumnKind::Text);
/// assert_eq!(rows(Schema::new().table(article)), b"slug=on-caching");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Not known: only values whose form does not depend on the type are part of conditions.
    #[default]
    Unknown,
    /// Integers of any width.
    Int,
    /// Truth values: only true, false and NULL are ever stored.
    Bool,
    /// Exact decimals.
    Decimal,
    /// Text under a collation that compares bytes, ignores case, or ignores case and accents. Labels of an enum too.
    Text,
    /// Text under a binary collation (`utf8mb4_bin`, `C`, SQLite's `BINARY`). It makes a difference on MySQL
    /// for text outside ASCII.
    BinaryText,
    /// UUIDs, whether the database stores them as UUID, as 16 bytes or as text.
    Uuid,
    /// Calendar dates without a time, of a type that compares as dates.
    Date,
    /// Bytes other than UUIDs: `bytea`, `BLOB`. Part of conditions on PostgreSQL and SQLite.
    Bytes,
    /// Never part of a condition: floats, times, JSON, arrays, text under a collation of its own, MySQL's YEAR.
    Opaque,
}

/// The tables, views and functions that an application registers with an [`Analyser`](crate::Analyser). All of it is optional,
/// except for what [the analyser cannot see](crate#what-it-cannot-see).
///
/// A schema makes conditions narrower and never changes the form of a value, so two programs that share a cache may
/// register different tables. The views, the triggers and the default schema should be the same for both.
///
/// ```
/// use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table};
///
/// let schema = Schema::new()
///     .table(Table::new("article").column("id", ColumnKind::Int).column("tag", ColumnKind::Int))
///     .table(Table::new("author").column("id", ColumnKind::Int).column("age", ColumnKind::Int));
/// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
///
/// // Only `author` has an `age`.
/// let read = analyser.analyse("SELECT * FROM article, author WHERE age = 30 AND tag = 2");
/// assert_eq!(read.dependencies(&[]).unwrap().get("author"), Some(&b"age=30"[..]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Schema {
    tables: HashMap<String, Table>,
    views: HashMap<String, Vec<String>>,
    functions: HashSet<String>,
    default_schema: Option<String>,
    closed: bool,
}

impl Schema {
    /// A schema without tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table, or replaces the one of this name.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.tables.insert(table.name.clone(), table);
        self
    }

    /// Adds a view: a statement that reads or writes it reads or writes all of these tables. Other views may be among them.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let schema = Schema::new().view("published", ["article", "author"]);
    /// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
    /// let read = analyser.analyse("SELECT * FROM published WHERE id = 7");
    /// assert_eq!(read.tables(), ["article", "author"]);
    /// ```
    #[must_use]
    pub fn view<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        tables: impl IntoIterator<Item = T>,
    ) -> Self {
        self.views.insert(name.into(), tables.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a function that returns the same for the same arguments, and neither reads nor writes tables.
    ///
    /// The pure functions of the database itself are known. A statement that calls any other is not cached, and a transaction
    /// that has run such a statement caches nothing after it. An operator of PostgreSQL is added by its sign, and `regexp` of
    /// SQLite is the function behind `REGEXP`.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let sql = "SELECT slugify(title) FROM article";
    /// let plain = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
    /// assert!(!plain.analyse(sql).is_cacheable());
    /// let schema = Schema::new().pure_function("slugify");
    /// assert!(Analyser::new(Dialect::Postgres, schema, 1000).analyse(sql).is_cacheable());
    /// ```
    #[must_use]
    pub fn pure_function(mut self, name: impl Into<String>) -> Self {
        self.functions.insert(name.into().to_ascii_lowercase());
        self
    }

    /// The schema (MySQL: the database) of names without one. `public.article` is then `article`, and tables of other
    /// schemas are tables of their own.
    ///
    /// Without it every qualifier is ignored: tables of one name in two schemas are taken for one, which only
    /// invalidates too much.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let schema = Schema::new().default_schema("public");
    /// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
    /// let read = analyser.analyse("SELECT * FROM public.article JOIN audit.article a USING (id)");
    /// assert_eq!(read.tables(), ["article", "audit.article"]);
    /// ```
    #[must_use]
    pub fn default_schema(mut self, name: impl Into<String>) -> Self {
        self.default_schema = Some(name.into());
        self
    }

    /// Restricts caching to the tables and views of the schema: a read of any other is not cached. It protects from views that
    /// were not registered.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Table};
    ///
    /// let schema = Schema::new().table(Table::new("article")).closed();
    /// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
    /// assert!(analyser.analyse("SELECT * FROM article").is_cacheable());
    /// assert!(!analyser.analyse("SELECT * FROM some_view").is_cacheable());
    /// ```
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// The same, with names as the dialect compares them.
    pub(crate) fn folded(self, dialect: Dialect) -> Self {
        let fold = |name: String| dialect.catalogue_name(&name);
        let views: HashMap<String, Vec<String>> = self
            .views
            .into_iter()
            .map(|(name, tables)| (fold(name), tables.into_iter().map(fold).collect()))
            .collect();
        Self {
            tables: self
                .tables
                .into_iter()
                .map(|(name, table)| (fold(name), table.folded(dialect)))
                .collect(),
            views: views.keys().map(|name| (name.clone(), tables_of(&views, name))).collect(),
            default_schema: self.default_schema.map(fold),
            ..self
        }
    }

    pub(crate) fn get(&self, table: &str) -> Option<&Table> {
        self.tables.get(table)
    }

    pub(crate) fn view_of(&self, name: &str) -> Option<&[String]> {
        self.views.get(name).map(Vec::as_slice)
    }

    pub(crate) fn is_pure(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    pub(crate) fn schema_name(&self) -> Option<&str> {
        self.default_schema.as_deref()
    }

    /// The name of a table in conditions: with its schema if that is not the default one.
    pub(crate) fn name(&self, dialect: Dialect, qualifier: Option<&str>, table: String) -> String {
        match (&self.default_schema, qualifier) {
            (Some(default), Some(qualifier))
                if default != qualifier && !dialect.is_temporary(qualifier) =>
            {
                format!("{qualifier}.{table}")
            }
            _ => table,
        }
    }

    pub(crate) fn excludes(&self, table: &str) -> bool {
        self.closed && !self.tables.contains_key(table) && !self.views.contains_key(table)
    }

    pub(crate) fn kind(&self, table: &str, column: &str) -> ColumnKind {
        self.column(table, column).map_or(ColumnKind::Unknown, |column| column.kind)
    }

    pub(crate) fn is_generated(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some_and(|column| column.generated)
    }

    /// Whether a trigger may change the column after RETURNING has shown it.
    pub(crate) fn is_triggered(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some_and(|column| column.triggered)
    }

    pub(crate) fn has_triggered(&self, table: &str) -> bool {
        let columns = |table: &Table| table.columns.values().any(|column| column.triggered);
        self.tables.get(table).is_some_and(columns)
    }

    pub(crate) fn has_column(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some()
    }

    /// Whether the columns of the table are known.
    pub(crate) fn has_columns(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| !table.columns.is_empty())
    }

    fn column(&self, table: &str, column: &str) -> Option<Column> {
        self.tables.get(table)?.columns.get(column).copied()
    }
}

/// The tables of a view, and of the views that it is made of.
fn tables_of(views: &HashMap<String, Vec<String>>, name: &str) -> Vec<String> {
    let mut found = vec![name];
    let mut next = 0;
    while let Some(&name) = found.get(next) {
        next += 1;
        for inner in views.get(name).into_iter().flatten() {
            if !found.contains(&inner.as_str()) {
                found.push(inner);
            }
        }
    }
    found.into_iter().filter(|name| !views.contains_key(*name)).map(str::to_owned).collect()
}

/// A table of a [`Schema`]: its columns, and the tables that change when its rows do.
///
/// ```
/// use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table};
///
/// let article = Table::new("article")
///     .column("id", ColumnKind::Int)
///     .column("title", ColumnKind::Text)
///     .generated("slug", ColumnKind::Text) // computed from the title
///     .also(["article_history"]); // written by a trigger
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new().table(article), 1000);
///
/// let write = analyser.analyse("UPDATE article SET title = 'B' WHERE slug = 'a'");
/// let rows = write.changed_rows(&[]).to_pairs();
/// assert_eq!(rows[0].1, b"slug=a|title=b"); // the new slug is unknown
/// assert_eq!(rows[1], ("article_history".to_owned(), b"*".to_vec()));
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    columns: HashMap<String, Column>,
    also: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    kind: ColumnKind,
    generated: bool,
    triggered: bool,
}

impl Table {
    /// A table, by the name that the catalogue has for it (with its schema, if it is not the default one).
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), columns: HashMap::new(), also: Vec::new() }
    }

    /// Adds a column. List all columns of a table or none: an unqualified name that only one table of a join is known
    /// to have belongs to it.
    #[must_use]
    pub fn column(self, name: impl Into<String>, kind: ColumnKind) -> Self {
        self.add(name, Column { kind, generated: false, triggered: false })
    }

    /// Adds a column that the database computes, or that a trigger changes before the row is written: what a write
    /// assigns says nothing of its value, and it may change in any update.
    #[must_use]
    pub fn generated(self, name: impl Into<String>, kind: ColumnKind) -> Self {
        self.add(name, Column { kind, generated: true, triggered: false })
    }

    /// Adds a column that a trigger changes after the row was written, as every trigger of SQLite that assigns a column
    /// does. It counts as [generated](Self::generated), and the row that RETURNING gives has the value from before the
    /// trigger, so it is not used.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, ColumnKind, Dialect, Returning, Schema, Table};
    ///
    /// let article = Table::new("article").triggered("updated_at", ColumnKind::Opaque);
    /// let analyser = Analyser::new(Dialect::Sqlite, Schema::new().table(article), 1000);
    /// let write = analyser.analyse("UPDATE article SET title = 'B' WHERE id = 7 RETURNING *");
    /// assert_eq!(*write.returning(), Returning::Expressions);
    /// ```
    #[must_use]
    pub fn triggered(self, name: impl Into<String>, kind: ColumnKind) -> Self {
        self.add(name, Column { kind, generated: true, triggered: true })
    }

    fn add(mut self, name: impl Into<String>, column: Column) -> Self {
        self.columns.insert(name.into(), column);
        self
    }

    /// Adds tables that the database changes by itself when this one is written: by a trigger, or by a foreign key with
    /// ON DELETE CASCADE or SET NULL. All their rows count as changed. The table itself may be among them, if other rows of it
    /// change too: a constraint with ON CONFLICT REPLACE (SQLite) deletes rows that no statement names.
    #[must_use]
    pub fn also<T: Into<String>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.also.extend(tables.into_iter().map(Into::into));
        self
    }

    pub(crate) fn also_changes(&self) -> &[String] {
        &self.also
    }

    fn folded(self, dialect: Dialect) -> Self {
        let fold = |name: String| dialect.catalogue_name(&name);
        Self {
            name: fold(self.name),
            columns: self.columns.into_iter().map(|(name, column)| (fold(name), column)).collect(),
            also: self.also.into_iter().map(fold).collect(),
        }
    }
}
