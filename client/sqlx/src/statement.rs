//! A statement with its arguments, taken from any query of sqlx.

use std::fmt::Debug;
use std::sync::OnceLock;

use sqlx::error::BoxDynError;
use sqlx::{Database, Error, Execute, SqlStr};

use crate::debug;

/// A statement with its arguments.
#[derive(Debug)]
pub struct Captured<DB: Database> {
    sql: SqlStr,
    arguments: Option<DB::Arguments>,
    persistent: bool,
    /// Only the first row is wanted.
    pub(crate) first: bool,
    debug: OnceLock<Option<String>>,
}

impl<DB: Database<Arguments: Debug>> Captured<DB> {
    /// The statement of a query.
    pub(crate) fn of<'q>(mut query: impl Execute<'q, DB>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        let persistent = query.persistent();
        Ok(Self::new(query.sql(), arguments, persistent))
    }

    pub(crate) fn new(sql: SqlStr, arguments: Option<DB::Arguments>, persistent: bool) -> Self {
        Self { sql, arguments, persistent, first: false, debug: OnceLock::new() }
    }

    pub(crate) fn text(&self) -> &str {
        self.sql.as_str()
    }

    pub(crate) fn arguments(&self) -> Option<&DB::Arguments> {
        self.arguments.as_ref()
    }

    /// The text that shows the arguments, their types included. None if it is too long, or there are no arguments.
    pub(crate) fn debug(&self) -> Option<&str> {
        let text = || self.arguments.as_ref().and_then(debug::text_of);
        self.debug.get_or_init(text).as_deref()
    }
}

impl<DB: Database<Arguments: Clone>> Clone for Captured<DB> {
    fn clone(&self) -> Self {
        let Self { sql, arguments, persistent, first, debug } = self;
        let (sql, arguments, debug) = (sql.clone(), arguments.clone(), debug.clone());
        Self { sql, arguments, persistent: *persistent, first: *first, debug }
    }
}

impl<DB: Database> Execute<'_, DB> for Captured<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}
