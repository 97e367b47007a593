//! What a compilation needs to know beside the text.

use crate::mutation::Mutation;
use crate::{Dialect, Schema};

/// Longer names of tables and columns are not tracked: the server refuses them.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// The database and its tables, for every statement.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) dialect: Dialect,
    pub(crate) schema: Schema,
    /// The parser does not see the conditions of this text as the database does: they say nothing.
    pub(crate) misread: bool,
    pub(crate) mutation: Option<Mutation>,
}

impl Setting {
    /// Whether this mistake is to be made.
    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        cfg!(feature = "fault-injection") && self.mutation == Some(mutation)
    }
}
