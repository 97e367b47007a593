//! Compiled conditions: factors, conjunctions and disjunctions, and what becomes of them with values.

pub(crate) mod dnf;
pub(crate) mod factor;
pub(crate) mod text;
