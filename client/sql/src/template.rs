//! What is known of a statement without its values.

use cacheops_condition::OwnedConjunction;

use crate::Value;
use crate::condition::rows::ChangedRows;
use crate::condition::table::TableConditions;
use crate::condition::text::Conditions;
use crate::parse::functions::is_moving_literal;
use crate::parse::old_rows::OldRows;

/// A compiled statement, made by [`Analyser::analyse`](crate::Analyser::analyse). It holds for every execution of the text; its
/// methods take the values of one.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Value};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let read = analyser.analyse("SELECT * FROM article WHERE tag = $1 OR author = $2");
///
/// assert!(read.is_cacheable());
/// assert_eq!((read.tables(), read.parameters()), (&["article".to_owned()][..], 2));
/// let dependencies = read.dependencies(&[Value::Int(2), Value::Int(7)]).unwrap();
/// assert_eq!(dependencies.get("article"), Some(&b"tag=2|author=7"[..]));
/// ```
#[derive(Debug)]
pub struct Template {
    pub(crate) kind: Kind,
    pub(crate) tables: Vec<String>,
    pub(crate) reads: Vec<TableConditions>,
    pub(crate) changes: Vec<TableConditions>,
    pub(crate) unknown: bool,
    pub(crate) target: Option<String>,
    pub(crate) assigned: Option<Vec<String>>,
    /// One conjunction: what is known of the values that are assigned.
    pub(crate) assigns: Option<TableConditions>,
    /// An upsert deletes the rows that are in its way.
    pub(crate) replaces: bool,
    pub(crate) returning: Returning,
    pub(crate) old_rows: Option<OldRows>,
    pub(crate) names: Vec<(String, usize)>,
    pub(crate) parameters: usize,
    /// A conversion of PostgreSQL may turn a word of a value, such as `now`, into the current time.
    pub(crate) converts: bool,
    /// About how many bytes it takes.
    pub(crate) bytes: usize,
}

/// What kind of statement it is: see the [table](crate#how-an-adapter-uses-it) of what to do with each.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Kind, WriteKind};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let kind = |sql| analyser.analyse(sql).kind().clone();
/// assert_eq!(kind("DELETE FROM article"), Kind::Write(WriteKind::Delete));
/// assert_eq!(kind("SET statement_timeout = 100"), Kind::Session);
/// // The clock is no table: the result is not cached, but nothing is written either.
/// let volatile = Kind::Read { locking: false, volatile: true, cacheable: false };
/// assert_eq!(kind("SELECT * FROM article WHERE at < now()"), volatile);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only reads.
    Read {
        /// It locks rows (`FOR UPDATE`), so it has to run on the database.
        locking: bool,
        /// It reads the clock, chance or the session, or calls a function or an operator that is not known to be pure.
        /// That function may also write, so a transaction that has run the statement counts as one that has written.
        volatile: bool,
        /// Its result may be cached, unless a value forbids it: see [`Template::dependencies`].
        cacheable: bool,
    },
    /// It changes rows: see [`Template::changed_rows`].
    Write(WriteKind),
    /// It begins or ends a transaction, or part of one.
    Transaction(Transaction),
    /// It changes the definition of tables. [`Template::changed_rows`] names those that it mentions.
    Ddl,
    /// It changes the session or nothing: SET, PRAGMA, ANALYZE. A session that finds other tables by the same
    /// names afterwards (`SET search_path`, `USE`) should stop caching.
    Session,
    /// Not understood. It may have written anything and begun or ended transactions: see [`Template::may_change_more`].
    Other,
}

/// How a statement writes.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Kind, WriteKind};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let upsert = "INSERT INTO article (id) VALUES (7) ON CONFLICT (id) DO UPDATE SET tag = 3";
/// assert_eq!(*analyser.analyse(upsert).kind(), Kind::Write(WriteKind::Upsert));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteKind {
    /// INSERT.
    Insert,
    /// INSERT that updates or replaces what is in its way.
    Upsert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
    /// MERGE.
    Merge,
    /// COPY, a write inside a WITH, SELECT INTO.
    Other,
}

/// A statement that controls transactions.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Kind, Transaction};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let savepoint = analyser.analyse("ROLLBACK TO SAVEPOINT a");
/// assert_eq!(*savepoint.kind(), Kind::Transaction(Transaction::RollbackTo("a".into())));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transaction {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit {
        /// The next one begins at once.
        chain: bool,
    },
    /// ROLLBACK of everything.
    Rollback {
        /// The next one begins at once.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
}

/// What a write returns of the rows that it changed.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Returning};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let returning = |sql| analyser.analyse(sql).returning().clone();
/// assert_eq!(returning("DELETE FROM article RETURNING *"), Returning::All);
/// let columns = Returning::Columns(vec!["id".into(), "tag".into()]);
/// assert_eq!(returning("UPDATE article SET tag = 3 RETURNING id, tag"), columns);
/// assert_eq!(returning("UPDATE article SET tag = 3 RETURNING tag + 1"), Returning::Expressions);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Returning {
    /// Nothing: there is no RETURNING.
    Nothing,
    /// `RETURNING *`: the whole new row (the old one of a DELETE).
    All,
    /// These columns, by the catalogue's names.
    Columns(Vec<String>),
    /// Something else, or rows of which a trigger may still change a column: see
    /// [`Table::triggered`](crate::Table::triggered). They say nothing of the rows that were written.
    Expressions,
}

impl Template {
    pub(crate) fn of(kind: Kind) -> Self {
        Self {
            kind,
            tables: Vec::new(),
            reads: Vec::new(),
            changes: Vec::new(),
            unknown: false,
            target: None,
            assigned: None,
            assigns: None,
            replaces: false,
            returning: Returning::Nothing,
            old_rows: None,
            names: Vec::new(),
            parameters: 0,
            converts: false,
            bytes: 0,
        }
    }

    /// Counts its bytes, once it is complete.
    pub(crate) fn weighed(mut self) -> Self {
        const ALLOCATION: usize = 16;
        let texts = |texts: &[String]| -> usize {
            texts.iter().map(|text| text.capacity() + size_of::<String>() + ALLOCATION).sum()
        };
        let conditions = self.reads.iter().chain(&self.changes).chain(&self.assigns);
        self.bytes = size_of::<Self>()
            + conditions.map(TableConditions::bytes).sum::<usize>()
            + texts(&self.tables)
            + texts(self.assigned.as_deref().unwrap_or_default())
            + self.old_rows.as_ref().map_or(0, OldRows::bytes)
            + self.names.iter().map(|(name, _)| name.capacity() + 48).sum::<usize>();
        self
    }

    /// What the statement is.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether its result may be cached.
    #[must_use]
    pub fn is_cacheable(&self) -> bool {
        matches!(self.kind, Kind::Read { cacheable: true, .. })
    }

    /// The tables that it reads, or those that it writes.
    #[must_use]
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The names of its named parameters (SQLite: `:id`, `@id`, `$id`) and the position, from 0, of each value.
    #[must_use]
    pub fn parameter_names(&self) -> &[(String, usize)] {
        &self.names
    }

    /// How many values it takes.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// What the result of a read with these values depends on: for each table the condition that a row must satisfy to have any
    /// part in it, for `CACHEOPS.STORE .. ON`.
    ///
    /// `None` means that the result must not be cached: the statement names no known table, locks rows, depends on more than
    /// tables, or was not understood. Values are in the order of the parameters: of the text for `?`, of the numbers for
    /// `$n` and `?n`. A value that is missing counts as unknown.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Value};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
    /// let read = analyser.analyse(
    ///     "SELECT * FROM article a LEFT JOIN comment c ON c.article_id = a.id WHERE a.id = ANY($1)",
    /// );
    ///
    /// let ids = Value::Array(vec![Value::Int(3), Value::Int(5)]);
    /// let dependencies = read.dependencies(&[ids]).unwrap();
    /// assert_eq!(dependencies.get("article"), Some(&b"id=3|id=5"[..]));
    /// assert_eq!(dependencies.get("comment"), Some(&b"article_id=3|article_id=5"[..]));
    /// ```
    #[must_use]
    pub fn dependencies(&self, values: &[Value<'_>]) -> Option<Conditions<'_>> {
        fn moves(value: &Value<'_>) -> bool {
            match value {
                Value::Text(text) => is_moving_literal(text),
                Value::Array(elements) => elements.iter().any(moves),
                _ => false,
            }
        }
        if !self.is_cacheable() || self.converts && values.iter().any(moves) {
            return None;
        }
        Some({
            let conditions = Conditions::fill(&self.reads, values);
            // No row of any table can matter, and still an entry has to depend on something.
            if conditions.is_empty() { Conditions::whole(&self.reads) } else { conditions }
        })
    }

    /// The rows that a write changes with these values, before and after, for `CACHEOPS.INVALIDATE ON`.
    ///
    /// They cover every changed row, and usually more: a column whose value is not known is left out. Empty if the statement
    /// changes nothing, or if all that is known is that it [may change more](Self::may_change_more).
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Value};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
    /// let write = analyser.analyse("UPDATE article SET tag = $1 WHERE author = 7 AND tag = 2");
    ///
    /// let rows = write.changed_rows(&[Value::Int(3)]);
    /// assert_eq!(rows.to_pairs()[0].1, b"author=7&tag=2|author=7&tag=3"); // before and after
    /// ```
    #[must_use]
    pub fn changed_rows(&self, values: &[Value<'_>]) -> ChangedRows<'_> {
        ChangedRows::fill(&self.changes, values)
    }

    /// The values that an UPDATE assigns, as far as they are known: every changed row has them afterwards.
    ///
    /// Merged with the [unchanged part](crate::Analyser::unchanged_image) of an old row it is the new row.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Value};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
    /// let write = analyser.analyse("UPDATE article SET tag = $1, views = views + 1 WHERE id = $2");
    /// let values = [Value::Int(3), Value::Int(7)];
    /// let old = [("id", &Value::Int(7)), ("tag", &Value::Int(2)), ("views", &Value::Int(40))];
    ///
    /// let unchanged = analyser.unchanged_image(&write, old).unwrap();
    /// let new = unchanged.or(&write.assigned_values(&values));
    /// assert_eq!(new.to_text(), b"id=7&tag=3"); // the new number of views is unknown
    /// ```
    #[must_use]
    pub fn assigned_values(&self, values: &[Value<'_>]) -> OwnedConjunction {
        let rows = ChangedRows::fill(self.assigns.as_slice(), values);
        rows.into_iter().flat_map(|(_, rows)| rows).next().unwrap_or_default()
    }

    /// Whether the statement may have changed tables that [`changed_rows`](Self::changed_rows) does not name. Then all that
    /// is cached of the database has to be flushed.
    #[must_use]
    pub fn may_change_more(&self) -> bool {
        self.unknown
    }

    /// Whether the statement may delete rows, so that the database may also change rows of other tables that refer to them.
    #[must_use]
    pub fn may_delete(&self) -> bool {
        match &self.kind {
            Kind::Write(WriteKind::Insert) => false,
            // UPDATE OR REPLACE, whose assigned columns are not all that changes.
            Kind::Write(WriteKind::Update) => self.assigned.is_none(),
            Kind::Write(WriteKind::Upsert) => self.replaces,
            _ => true,
        }
    }

    /// The one table that an INSERT, UPDATE or DELETE writes to, if all that changes in it are the statement's rows.
    ///
    /// An adapter that has these rows, old and new, sends them in the place of what [`changed_rows`](Self::changed_rows) says of this
    /// table. What it says of other tables (see [`Table::also`](crate::Table::also)) is sent all the same.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The columns that an UPDATE assigns, or an upsert in the rows that exist already. All other columns keep their values,
    /// except for those that the database computes: see [`Analyser::unchanged_image`](crate::Analyser::unchanged_image).
    #[must_use]
    pub fn assigned_columns(&self) -> Option<&[String]> {
        self.assigned.as_deref()
    }

    /// What the write returns of its rows.
    #[must_use]
    pub fn returning(&self) -> &Returning {
        &self.returning
    }

    /// The query that reads the rows an UPDATE or DELETE is about to change.
    #[must_use]
    pub fn old_rows(&self) -> Option<&OldRows> {
        self.old_rows.as_ref()
    }
}
