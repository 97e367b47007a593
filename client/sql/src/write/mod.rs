//! Statements that write: which rows they change.
//!
//! What is sent must cover each changed row, before and after. So a conjunction has only terms that certainly hold for
//! those rows.

pub(crate) mod assign;
pub(crate) mod changed;
pub(crate) mod insert;
pub(crate) mod joined;
pub(crate) mod returning;
pub(crate) mod update;
pub(crate) mod with;

use sqlparser::ast::{Expr, TableWithJoins, Visit};

use crate::canon::Side;
use crate::parse::inventory::Inventory;
use crate::read::scope::Context;
use crate::read::{Common, Compiler};
use crate::setting::Setting;
use assign::{Pair, Set};

/// A statement that writes, and what is known of its surroundings.
pub(crate) struct Write<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) inventory: &'a Inventory<'a>,
    /// The common table expressions that it may name.
    pub(crate) common: &'a [String],
    /// The whole text, if this is its only statement.
    pub(crate) sql: &'a str,
    /// It has IGNORE, with which MySQL changes values until they fit.
    pub(crate) ignores: bool,
}

impl Write<'_> {
    pub(crate) fn context(&self) -> Context<'_> {
        Context { setting: self.setting, side: Side::Predicate }
    }

    /// A compiler that reads conditions, and whose tables are not used.
    pub(crate) fn reader(&self) -> Compiler<'_> {
        let mut compiler = Compiler::new(self.setting, Side::Predicate);
        compiler.nested = false;
        compiler.visible = self.common.iter().map(|name| Common::of(name)).collect();
        compiler
    }

    /// Whether this part of the statement selects the same rows when it is evaluated again in the same transaction.
    pub(crate) fn is_settled<V: Visit + ?Sized>(&self, part: &V) -> bool {
        self.inventory.is_settled(part)
    }

    /// What is assigned. MySQL's IGNORE changes values until they fit.
    pub(crate) fn assigned(&self, table: &str, pairs: Vec<Pair<'_>>) -> Set {
        if self.ignores {
            return Set::unknown(pairs.into_iter().map(|(column, _)| column).collect());
        }
        Set::of(self.context(), table, pairs)
    }
}

/// The table that an UPDATE or DELETE writes, and the tables that decide on its rows.
pub(crate) struct Target<'e> {
    pub(crate) alias: String,
    pub(crate) table: String,
    /// The items of FROM or USING.
    pub(crate) from: &'e [TableWithJoins],
    pub(crate) selection: Option<&'e Expr>,
}
