//! Compiled conditions, without values and filled with values.

pub(crate) mod dnf;
pub(crate) mod factor;
mod product;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod text;
