//! From a parsed statement to its template.

pub(crate) mod analyser;
mod other;
mod unparsed;

use sqlparser::ast::{Query, Statement};
use sqlparser::parser::Parser;

use crate::Dialect;
use crate::canon::Side;
use crate::condition::table::TableConditions;
use crate::parse::calls;
use crate::parse::inventory::Inventory;
use crate::parse::tokens::{self, Prepared};
use crate::read::Compiler;
use crate::setting::Setting;
use crate::template::{Kind, Template};
use crate::write::{Write, insert, update, with};
use unparsed::{by_first_word, contains_word};

/// Compiles one text, which may hold several statements.
pub(crate) fn compile(setting: &Setting, sql: &str) -> Template {
    parsed(setting, sql).weighed()
}

fn parsed(setting: &Setting, sql: &str) -> Template {
    // MySQL runs what stands in such a comment.
    if setting.dialect == Dialect::MySql && unparsed::runs_comments(sql) {
        return unparsed::unreadable();
    }
    // What a backslash means, and so where a literal ends, depends on the session.
    if setting.dialect == Dialect::MySql && sql.contains('\\') {
        return by_first_word(setting, sql);
    }
    let Some(prepared) = tokens::prepare(setting.dialect, sql) else {
        return by_first_word(setting, sql);
    };
    if prepared.too_deep {
        return by_first_word(setting, sql);
    }
    let misread;
    let setting = if prepared.misread {
        misread = Setting { misread: true, ..setting.clone() };
        &misread
    } else {
        setting
    };
    let Prepared { tokens, names, parameters, session, ignores, .. } = prepared;
    let unknown = calls::has_unknown(setting.dialect, &setting.schema, &tokens);
    let parsed = Parser::new(setting.dialect.grammar())
        .with_tokens_with_locations(tokens)
        .parse_statements();
    let mut template = match parsed {
        Ok(statements) => match statements.as_slice() {
            [statement] => {
                one(setting, statement, Text { sql, volatile: session || unknown, ignores })
            }
            [] => Template::of(Kind::Session),
            many => other::script(setting, many),
        },
        Err(_) => by_first_word(setting, sql),
    };
    template.converts = setting.dialect == Dialect::Postgres
        && (sql.contains("::")
            || ["cast", "date", "time", "timestamp"].iter().any(|word| contains_word(sql, word)));
    template.names = names;
    template.parameters = parameters;
    template
}

/// What the tokens of a statement show that its syntax tree does not.
#[derive(Debug, Clone, Copy, Default)]
struct Text<'t> {
    /// Empty where the statement is only a part of the text.
    sql: &'t str,
    /// It reads the session, or calls what is not known.
    volatile: bool,
    ignores: bool,
}

fn one(setting: &Setting, statement: &Statement, text: Text<'_>) -> Template {
    let inventory = &Inventory::of(setting.dialect, &setting.schema, statement);
    let Text { sql, volatile, ignores } = text;
    if inventory.misread {
        return by_first_word(setting, sql);
    }
    let write = Write { setting, inventory, common: &[], sql, ignores };
    match statement {
        Statement::Query(query) if !inventory.writes => read(setting, query, inventory, volatile),
        Statement::Query(query) => with::with(&write, query),
        Statement::Insert(insert) => insert::insert(&write, insert),
        Statement::Update(update) => update::update(&write, update),
        Statement::Delete(delete) => update::delete(&write, delete),
        statement => other::other(setting, statement, inventory),
    }
}

fn read(setting: &Setting, query: &Query, inventory: &Inventory<'_>, volatile: bool) -> Template {
    let mut compiler = Compiler::new(setting, Side::Query);
    compiler.nested = inventory.queries > 1;
    compiler.query(query, false);
    compiler.add_missed(&inventory.relations);
    let volatile = volatile || inventory.volatile || compiler.untracked;
    let tracked = !compiler.system && !compiler.tables.is_empty();
    let cacheable = !volatile && !inventory.locking && tracked;
    let mut template = Template::of(Kind::Read { locking: inventory.locking, volatile, cacheable });
    template.reads = TableConditions::of(compiler.tables);
    template.tables = template.reads.iter().map(|table| table.table.clone()).collect();
    template
}
