//! What is said once and not again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The tables of which it was said.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashSet<String>>);

impl Told {
    /// Whether this is the first time.
    pub(crate) fn first(&self, table: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !told.contains(table) && told.insert(table.to_owned())
    }
}
