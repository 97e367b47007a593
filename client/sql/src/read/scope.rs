//! The relations that a block of SELECT can name, and whose column a name is.

use sqlparser::ast::Expr;

use crate::canon::{Place, Side};
use crate::condition::dnf::Dnf;
use crate::parse::functions;
use crate::setting::Setting;
use crate::{Dialect, Schema};

/// More relations in one block are tracked whole.
const MAX_RELATIONS: usize = 64;

/// How names and values are to be read: the database, its tables, and the side of the statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'s> {
    pub(crate) setting: &'s Setting,
    pub(crate) side: Side,
}

/// A column of one relation of a block.
pub(crate) type Column = (usize, String);

/// The relations that one SELECT joins.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) relations: Vec<Relation>,
    /// A name that no relation here has may belong to a query outside.
    pub(crate) correlated: bool,
    /// Names that queries outside give to their results, and have nothing else that a name could mean.
    pub(crate) outer_names: Vec<String>,
    /// Columns of two relations are one (USING, NATURAL).
    pub(crate) merged: bool,
    /// One of its joins keeps rows without a partner.
    pub(crate) outer: bool,
}

/// One occurrence of a relation.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) alias: String,
    /// The alias as it is written.
    pub(crate) spelled: String,
    /// The table; `None` for what is derived, or has its columns renamed.
    pub(crate) table: Option<String>,
    /// On the side of an outer join, so far, that may have no row.
    pub(crate) nullable: bool,
    pub(crate) filter: Dnf,
}

impl Block {
    /// A block of one table, for the condition of a write.
    pub(crate) fn of(alias: String, table: String) -> Self {
        let mut block = Self::default();
        block.push(alias, Some(table));
        block
    }

    pub(crate) fn push(&mut self, alias: String, table: Option<String>) {
        let spelled = String::new();
        let filter = Dnf::any();
        self.relations.push(Relation { alias, spelled, table, nullable: false, filter });
    }

    /// Adds a table.
    pub(crate) fn push_table(&mut self, alias: String, spelled: &str, table: String) {
        self.push(alias, Some(table));
        self.relations.last_mut().into_iter().for_each(|last| last.spelled = spelled.to_owned());
    }

    /// Whether it has so many relations that all are tracked whole.
    pub(crate) fn is_large(&self) -> bool {
        self.relations.len() > MAX_RELATIONS
    }

    /// The only relation of this name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        let mut found =
            self.relations.iter().enumerate().filter(|(_, relation)| relation.alias == name);
        let (at, _) = found.next()?;
        found.next().is_none().then_some(at)
    }

    /// The relation that an unqualified column must belong to.
    pub(crate) fn owner(&self, schema: &Schema, column: &str) -> Option<usize> {
        if let [only] = self.relations.as_slice() {
            let confirmed =
                || only.table.as_ref().is_some_and(|table| schema.has_column(table, column));
            let alone = !self.correlated && !self.outer_names.iter().any(|name| name == column);
            return (alone || confirmed()).then_some(0);
        }
        if self.merged {
            return None;
        }
        let has = |relation: &Relation| {
            relation.table.as_ref().is_some_and(|table| schema.has_column(table, column))
        };
        let mut owners = self.relations.iter().enumerate().filter(|(_, relation)| has(relation));
        let (at, _) = owners.next()?;
        owners.next().is_none().then_some(at)
    }
}

impl Context<'_> {
    /// The column that `expr` names, if it is one of a table of this block for certain.
    pub(crate) fn column(self, block: &Block, expr: &Expr) -> Option<Column> {
        let (relation, column) = match expr {
            Expr::Nested(inner) => return self.column(block, inner),
            Expr::Identifier(ident) => {
                let column = self.setting.dialect.name(ident);
                // It reads the session, even if the table has a column of that name.
                let bare = ident.quote_style.is_none();
                if bare && functions::is_volatile_word(self.setting.dialect, &column) {
                    return None;
                }
                (block.owner(&self.setting.schema, &column)?, column)
            }
            Expr::CompoundIdentifier(names) if (2..=3).contains(&names.len()) => {
                let qualifier = &names[names.len() - 2];
                let relation = block.named(&self.setting.dialect.name(qualifier))?;
                // `schema.table.column` may be a table outside that has another name here, and MySQL may distinguish aliases
                // apart by case.
                let outside = names.len() == 3
                    || self.setting.dialect == Dialect::MySql
                        && block.relations[relation].spelled != qualifier.value;
                if block.correlated && outside {
                    return None;
                }
                (relation, self.setting.dialect.name(&names[names.len() - 1]))
            }
            _ => return None,
        };
        let table = block.relations[relation].table.as_ref()?;
        // A full-text table of SQLite has a column of its own name, for searches and commands.
        let own =
            self.setting.dialect == Dialect::Sqlite && table.rsplit('.').next() == Some(&column);
        let hidden = (self.setting.dialect.is_system_column(&column) || own)
            && !self.setting.schema.has_column(table, &column);
        (!hidden).then_some((relation, column))
    }
    /// Where a value of the column stands.
    pub(crate) fn place(self, table: &str, column: &str) -> Place {
        Place {
            dialect: self.setting.dialect,
            kind: self.setting.schema.kind(table, column),
            side: self.side,
            literal: false,
        }
    }
}
