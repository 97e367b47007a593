//! The tables whose rows the user may read and lock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Of which tables this user may read and lock whole rows: on PostgreSQL queried before, elsewhere known by an error.
#[derive(Debug, Default)]
pub(crate) struct Lockable(Mutex<HashMap<String, bool>>);

impl Lockable {
    pub(crate) fn get(&self, table: &str) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(table).copied()
    }

    pub(crate) fn set(&self, table: &str, may: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned(), may);
    }
}
