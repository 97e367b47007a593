//! What every stage of a compilation needs beside the statement.

use crate::mutation::Mutation;
use crate::{Dialect, Schema};

/// Longer names of tables and columns are not tracked: the server refuses them.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// The database and its registered tables.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) dialect: Dialect,
    pub(crate) schema: Schema,
    /// The parser reads the conditions of this text otherwise than the database does: they narrow nothing.
    pub(crate) misread: bool,
    pub(crate) mutation: Option<Mutation>,
}

impl Setting {
    /// Whether to make this mistake.
    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        cfg!(feature = "fault-injection") && self.mutation == Some(mutation)
    }
}
