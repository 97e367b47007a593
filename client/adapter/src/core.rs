//! What all connections and transactions of one database share.

use std::collections::HashMap;

use cacheops::Once;
use cacheops_sql::{Analyser, Dialect};

use crate::cascade::{Cascades, ForeignKey};
use crate::identity::Identity;
use crate::lockable::Lockable;
use crate::unwritten::Unwritten;

/// What all connections and transactions of one database share: its analyser, its name, what the application has declared
/// of its schema, and what was learnt about it. It holds no connection.
#[derive(Debug)]
pub struct Core {
    pub(crate) analyser: Analyser,
    pub(crate) database: Identity,
    pub(crate) cascades: Cascades,
    /// The column of each declared table that the database numbers.
    pub(crate) numbered: HashMap<String, String>,
    /// How many rows are read before a write that does not return them.
    pub(crate) old_rows: usize,
    pub(crate) lockable: Lockable,
    pub(crate) unwritten: Unwritten,
    /// Tables without a profile that a read wanted to cache.
    pub(crate) unprofiled: Once,
}

/// How many rows are read before a write, where nothing else is said.
pub const OLD_ROWS: usize = 256;

impl Core {
    /// A database of which nothing is declared.
    pub fn new(analyser: Analyser, database: Identity) -> Self {
        Self {
            analyser,
            database,
            cascades: Cascades::default(),
            numbered: HashMap::new(),
            old_rows: OLD_ROWS,
            lockable: Lockable::default(),
            unwritten: Unwritten::default(),
            unprofiled: Once::default(),
        }
    }

    /// Declares all foreign keys that delete or change rows.
    #[must_use]
    pub fn with_foreign_keys(mut self, keys: impl IntoIterator<Item = ForeignKey>) -> Self {
        self.cascades = Cascades::new(keys, &self.analyser);
        self
    }

    /// Declares the tables whose rows MySQL numbers, each with the column of the number.
    #[must_use]
    pub fn with_numbered(mut self, columns: impl IntoIterator<Item = (String, String)>) -> Self {
        self.numbered = columns.into_iter().collect();
        self
    }

    /// How many rows are read, and locked, before an UPDATE or DELETE; [`OLD_ROWS`] by default. With 0, or for more rows,
    /// a write invalidates what its text implies.
    #[must_use]
    pub fn with_old_rows(mut self, rows: usize) -> Self {
        self.old_rows = rows;
        self
    }

    /// The analyser of its statements.
    pub fn analyser(&self) -> &Analyser {
        &self.analyser
    }

    /// The dialect of its statements.
    pub fn dialect(&self) -> Dialect {
        self.analyser.dialect()
    }

    /// The name of the database.
    pub fn database(&self) -> &Identity {
        &self.database
    }
}
