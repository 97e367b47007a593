//! The databases whose SQL is understood, and how each of them reads names.

use sqlparser::ast::Ident;
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};

/// The database whose SQL an [`Analyser`](crate::Analyser) reads. They differ in what a statement means: names, types, functions.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema};
///
/// // MySQL compares a text with a number as numbers, so a number says nothing of a column of unknown type that is zero.
/// let sql = "SELECT * FROM t WHERE a = 0";
/// let condition = |dialect| {
///     let template = Analyser::new(dialect, Schema::new(), 10).analyse(sql);
///     template.dependencies(&[]).unwrap().get("t").map(<[u8]>::to_vec)
/// };
/// assert_eq!(condition(Dialect::Postgres), Some(b"a=0".to_vec()));
/// assert_eq!(condition(Dialect::MySql), Some(b"*".to_vec()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL, and databases with its dialect and types.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    pub(crate) fn grammar(self) -> &'static dyn Grammar {
        match self {
            Self::Postgres => &PostgreSqlDialect {},
            Self::MySql => &MySqlDialect {},
            Self::Sqlite => &SQLiteDialect {},
        }
    }

    /// A name as the catalogue spells it, made equal to whatever the database takes for the same name.
    pub(crate) fn catalogue_name(self, name: &str) -> String {
        match self {
            Self::Postgres => truncated(name).to_owned(),
            // One character for each, and no other for the end of a word.
            Self::MySql => name.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect(),
            Self::Sqlite => name.to_ascii_lowercase(),
        }
    }

    /// A name as a statement spells it: the catalogue's spelling.
    pub(crate) fn name(self, ident: &Ident) -> String {
        match (self, ident.quote_style) {
            (Self::Postgres, Some(_)) => truncated(&ident.value).to_owned(),
            (Self::Postgres, None) => truncated(&ident.value).to_ascii_lowercase(),
            _ => self.catalogue_name(&ident.value),
        }
    }

    /// Whether it is the schema of the session's own tables, where names without a schema are looked for first.
    pub(crate) fn is_temporary(self, schema: &str) -> bool {
        match self {
            Self::Postgres => schema.starts_with("pg_temp"),
            Self::MySql => false,
            Self::Sqlite => schema == "temp",
        }
    }

    /// Whether the name is a column that the database itself keeps, and changes without a statement that assigns it.
    pub(crate) fn is_system_column(self, name: &str) -> bool {
        match self {
            Self::Postgres => {
                matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid" | "oid")
            }
            Self::MySql => name == "_rowid",
            Self::Sqlite => matches!(name, "rowid" | "oid" | "_rowid_"),
        }
    }
}

/// What PostgreSQL keeps of a name.
fn truncated(name: &str) -> &str {
    const MAX_BYTES: usize = 63;
    let mut end = name.len().min(MAX_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
