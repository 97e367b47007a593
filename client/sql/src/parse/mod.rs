//! What is found in the text of a statement: tokens, calls, relations, and the text of other statements made of it.

pub(crate) mod calls;
pub(crate) mod functions;
pub(crate) mod inventory;
pub(crate) mod old_rows;
pub(crate) mod tokens;
