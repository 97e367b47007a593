//! Statements that are neither a plain read nor INSERT, UPDATE or DELETE.

use sqlparser::ast::{
    AlterTableOperation, CascadeOption, CopySource, ObjectType, Statement, UtilityOption,
};

use super::unparsed::{ANALYZE, UNCACHED, vacuum};
use super::{Text, one};
use crate::Dialect;
use crate::canon::Side;
use crate::condition::dnf::Dnf;
use crate::parse::inventory::Inventory;
use crate::read::Compiler;
use crate::setting::Setting;
use crate::template::{Kind, Template, Transaction, WriteKind};
use crate::write::changed::{template_of, visible, whole};

/// Several statements in one text.
pub(crate) fn script(setting: &Setting, statements: &[Statement]) -> Template {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let (mut unknown, mut reads) = (false, true);
    for statement in statements {
        let inventory = Inventory::of(setting.dialect, &setting.schema, statement);
        let template = one(setting, statement, Text::default());
        reads &= matches!(template.kind, Kind::Read { .. } | Kind::Session);
        unknown |= template.unknown || matches!(template.kind, Kind::Transaction(_));
        if !matches!(template.kind, Kind::Read { .. }) {
            compiler.add_missed(&inventory.relations);
            // The parser does not count every table that is written as a relation.
            template.tables.iter().for_each(|table| compiler.add(table, Dnf::any()));
        }
    }
    let kind = if reads { UNCACHED } else { Kind::Other };
    template_of(setting, compiler, kind, unknown && !reads)
}

/// Whether EXPLAIN has the option ANALYZE, with which it runs the statement. `ANALYZE off` counts too.
fn analyses(options: &Option<Vec<UtilityOption>>) -> bool {
    let analyze = |word: &str| ANALYZE.iter().any(|known| word.eq_ignore_ascii_case(known));
    options.iter().flatten().any(|option| analyze(&option.name.value))
}

/// One statement that is neither a plain read nor INSERT, UPDATE or DELETE.
pub(crate) fn other(
    setting: &Setting,
    statement: &Statement,
    inventory: &Inventory<'_>,
) -> Template {
    use Statement as S;
    let name = |ident: &sqlparser::ast::Ident| setting.dialect.name(ident);
    let write = |kind| visible(setting, inventory, Kind::Write(kind));
    match statement {
        S::StartTransaction { statements, .. } if statements.is_empty() => {
            Template::of(Kind::Transaction(Transaction::Begin))
        }
        S::Commit { chain, .. } => {
            Template::of(Kind::Transaction(Transaction::Commit { chain: *chain }))
        }
        S::Rollback { savepoint: Some(savepoint), .. } => {
            Template::of(Kind::Transaction(Transaction::RollbackTo(name(savepoint))))
        }
        S::Rollback { chain, savepoint: None } => {
            Template::of(Kind::Transaction(Transaction::Rollback { chain: *chain }))
        }
        S::Savepoint { name: savepoint } => {
            Template::of(Kind::Transaction(Transaction::Savepoint(name(savepoint))))
        }
        S::ReleaseSavepoint { name: savepoint } => {
            Template::of(Kind::Transaction(Transaction::Release(name(savepoint))))
        }
        S::Merge(_) => write(WriteKind::Merge),
        S::Truncate(truncate) => {
            let mut template = write(WriteKind::Truncate);
            template.unknown = truncate.cascade == Some(CascadeOption::Cascade);
            template
        }
        S::Copy { source, to, .. } => match source {
            CopySource::Table { table_name, .. } if !to => whole(
                setting,
                std::slice::from_ref(table_name),
                Kind::Write(WriteKind::Other),
                false,
            ),
            _ if inventory.writes => write(WriteKind::Other),
            _ => Template::of(UNCACHED),
        },
        S::LoadData { table_name, .. } => {
            whole(setting, std::slice::from_ref(table_name), Kind::Write(WriteKind::Other), false)
        }
        S::CreateTable(_) | S::CreateIndex(_) => visible(setting, inventory, Kind::Ddl),
        S::CreateView(view) => {
            let mut relations = inventory.relations.clone();
            relations.push(view.name.clone());
            whole(setting, &relations, Kind::Ddl, false)
        }
        S::AlterTable(alter) => {
            let renames = alter.operations.iter().any(|operation| {
                matches!(
                    operation,
                    AlterTableOperation::RenameTable { .. } | AlterTableOperation::SwapWith { .. }
                )
            });
            let mut template = visible(setting, inventory, Kind::Ddl);
            template.unknown = renames || template.tables.is_empty();
            template
        }
        S::Drop {
            object_type: ObjectType::Table | ObjectType::View | ObjectType::MaterializedView,
            names,
            ..
        } => whole(setting, names, Kind::Ddl, false),
        S::Drop { object_type: ObjectType::Index, .. } => Template::of(Kind::Ddl),
        S::Explain { analyze, options, statement, .. } if *analyze || analyses(options) => {
            let mut template = one(setting, statement, Text::default());
            if let Kind::Read { .. } = template.kind {
                template = Template::of(UNCACHED);
            }
            template.old_rows = None;
            template
        }
        S::Explain { .. }
        | S::ExplainTable { .. }
        | S::ShowVariable { .. }
        | S::ShowVariables { .. }
        | S::ShowStatus { .. }
        | S::ShowCreate { .. }
        | S::ShowColumns { .. }
        | S::ShowTables { .. }
        | S::ShowDatabases { .. }
        | S::Fetch { .. }
        | S::Declare { .. } => Template::of(UNCACHED),
        S::Vacuum(_) if setting.dialect == Dialect::Sqlite => vacuum(),
        S::Set(_)
        | S::Use(_)
        | S::Reset(_)
        | S::Discard { .. }
        | S::Pragma { .. }
        | S::Analyze(_)
        | S::Vacuum(_)
        | S::LISTEN { .. }
        | S::UNLISTEN { .. }
        | S::NOTIFY { .. }
        | S::Prepare { .. }
        | S::Deallocate { .. }
        | S::Close { .. }
        | S::Lock(_)
        | S::AttachDatabase { .. }
        | S::Grant(_)
        | S::Revoke(_)
        | S::Comment { .. } => Template::of(Kind::Session),
        S::CreateSchema { .. }
        | S::CreateExtension(_)
        | S::CreateSequence { .. }
        | S::CreateType { .. }
        | S::CreateRole(_)
        | S::CreateProcedure { .. } => Template::of(Kind::Ddl),
        // A cached result may be one of a view or query that calls the function.
        S::CreateFunction(_)
        | S::Drop { .. }
        | S::AlterView { .. }
        | S::AlterIndex { .. }
        | S::AlterType(_)
        | S::CreateTrigger(_)
        | S::DropTrigger(_)
        | S::RenameTable(_)
        | S::CreateVirtualTable { .. } => whole(setting, &inventory.relations, Kind::Ddl, true),
        _ => whole(setting, &inventory.relations, Kind::Other, true),
    }
}
