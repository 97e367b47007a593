//! Statements that write: which rows they change.

pub(crate) mod assign;
pub(crate) mod insert;
pub(crate) mod joined;
pub(crate) mod update;
