//! What is known of a statement before its values are.

use cacheops_condition::OwnedConjunction;

use crate::Value;
use crate::condition::rows::ChangedRows;
use crate::condition::table::TableConditions;
use crate::condition::text::Conditions;
use crate::parse::functions::is_moving_literal;
use crate::parse::old_rows::OldRows;

/// A compiled statement. It is made once for a text, and then only values are substituted.
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
    /// A conversion of PostgreSQL may turn a word of a value into a time that moves on.
    pub(crate) converts: bool,
    /// About how many bytes it takes.
    pub(crate) bytes: usize,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only reads.
    Read {
        /// It locks rows (`FOR UPDATE`): it wants the database.
        locking: bool,
        /// It reads the clock, chance or the session, or calls a function or an operator that is not known to be pure.
        /// That function may also write, so a transaction that has run the statement counts as one that has written.
        volatile: bool,
        /// Its result may be cached: [`Template::dependencies`] answers something.
        cacheable: bool,
    },
    /// It changes rows: see [`Template::changed_rows`].
    Write(WriteKind),
    /// It begins or ends a transaction, or part of one.
    Transaction(Transaction),
    /// It changes the definition of tables. [`Template::changed_rows`] names those that it mentions.
    Ddl,
    /// It changes the session or nothing: SET, PRAGMA, ANALYZE. A session that looks for tables elsewhere
    /// (`SET search_path`, `USE`) should not go on caching.
    Session,
    /// Not understood. It may have written anything and begun or ended transactions: see [`Template::may_change_more`].
    Other,
}

/// How a statement writes.
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

/// What a write gives back of the rows it changed.
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
    /// [`Table::triggered`](crate::Table::triggered). They tell nothing of the rows that were written.
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
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether its result may be cached.
    pub fn is_cacheable(&self) -> bool {
        matches!(self.kind, Kind::Read { cacheable: true, .. })
    }

    /// The tables that it reads, or those that it writes.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The names of its named parameters (SQLite: `:id`, `@id`, `$id`) and the position, from 0, of each value.
    pub fn parameter_names(&self) -> &[(String, usize)] {
        &self.names
    }

    /// How many values it takes.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// What the result of a read depends on with these values, for `CACHEOPS.STORE .. ON`.
    ///
    /// `None` means that it must not be cached: it names no known table, locks rows, depends on more than tables, or was
    /// not understood. Values stand in the order of the parameters: that of the text for `?`, that of the numbers for
    /// `$n` and `?n`. A value that is missing counts as unknown.
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
    /// changes nothing (or if [`may_change_more`](Self::may_change_more) is all that is known).
    pub fn changed_rows(&self, values: &[Value<'_>]) -> ChangedRows<'_> {
        ChangedRows::fill(&self.changes, values)
    }

    /// What every row has after an UPDATE, of the columns that it assigns: no terms if nothing is known.
    ///
    /// With [`Analyser::unchanged_image`](crate::Analyser::unchanged_image) of an old row it is the new row.
    pub fn assigned_values(&self, values: &[Value<'_>]) -> OwnedConjunction {
        let rows = ChangedRows::fill(self.assigns.as_slice(), values);
        rows.into_iter().flat_map(|(_, rows)| rows).next().unwrap_or_default()
    }

    /// Whether the statement may have changed tables that [`changed_rows`](Self::changed_rows) does not name. Then nothing that
    /// is cached of the database can be trusted.
    pub fn may_change_more(&self) -> bool {
        self.unknown
    }

    /// Whether rows of the tables it names may disappear, so that rows which refer to them may change too.
    pub fn may_delete(&self) -> bool {
        match &self.kind {
            Kind::Write(WriteKind::Insert) => false,
            // UPDATE OR REPLACE, which tells no columns.
            Kind::Write(WriteKind::Update) => self.assigned.is_none(),
            Kind::Write(WriteKind::Upsert) => self.replaces,
            _ => true,
        }
    }

    /// The one table that an INSERT, UPDATE or DELETE writes to, if it is known to be a table and no other is meant.
    ///
    /// Who has its rows, old and new, sends these in the place of what [`changed_rows`](Self::changed_rows) says of this table. What
    /// it says of other tables (see [`Table::also`](crate::Table::also)) is sent all the same.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The columns that an UPDATE assigns, or an upsert in the rows that were there. The old row has other values there
    /// and the same in the others, except for those that the database computes: see
    /// [`Analyser::unchanged_image`](crate::Analyser::unchanged_image).
    pub fn assigned_columns(&self) -> Option<&[String]> {
        self.assigned.as_deref()
    }

    /// What the write gives back.
    pub fn returning(&self) -> &Returning {
        &self.returning
    }

    /// The query that reads the rows an UPDATE or DELETE is about to change.
    pub fn old_rows(&self) -> Option<&OldRows> {
        self.old_rows.as_ref()
    }
}
